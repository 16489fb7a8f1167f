package conformance

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/image"
)

// wrongValue is what a query parameter must not be, and how that is answered.
type wrongValue struct {
	value  string
	status int
}

// wrongValues has a wrong value for the parameters of type string and array that
// can be wrong. Numbers, booleans and filters have generated cases.
func wrongValues(operation string) map[string]wrongValue {
	const badName, badTag, badChange = "BAD/NAME", "no tag!", "NOPE x"
	bad := func(value string) wrongValue { return wrongValue{value, http.StatusBadRequest} }
	switch operation {
	case "ContainerList":
		return map[string]wrongValue{"since": {"no-such-container", http.StatusNotFound}}
	case "ContainerLogs":
		return map[string]wrongValue{"since": bad("yesterday")}
	case "ContainerRename":
		return map[string]wrongValue{"name": bad("a b")}
	case "ContainerAttach", "ContainerAttachWebsocket":
		return map[string]wrongValue{"detachKeys": bad("no-such-key")}
	case "ImageBuild":
		return map[string]wrongValue{
			"t": bad(badName), "remote": bad("no-such-scheme://host/path"), "dockerfile": bad("no-such-file"),
			"ulimits": bad("nope"), "buildargs": bad("nope"), "labels": bad("nope"),
		}
	case "ImageCreate":
		return map[string]wrongValue{"repo": bad(badName), "tag": bad(badTag), "changes": bad(badChange), "fromSrc": bad("no-such-scheme://host/path")}
	case "ImagePush":
		return map[string]wrongValue{"tag": bad(badTag)}
	case "ImageTag":
		return map[string]wrongValue{"tag": bad(badTag)}
	case "ImageCommit":
		return map[string]wrongValue{"repo": bad(badName), "tag": bad(badTag), "changes": bad(badChange)}
	case "SystemEvents":
		return map[string]wrongValue{"since": bad("yesterday"), "until": bad("tomorrow")}
	}
	return nil
}

// wrongElsewhere names the cases of an operation that ask with a wrong value of a
// parameter already, and gives a reason for a parameter that any text is right
// for.
func wrongElsewhere(operation, parameter string) (name, reason string) {
	switch operation + " " + parameter {
	case "ContainerArchive path", "ContainerArchiveInfo path", "PutContainerArchive path":
		return "no-such-path", ""
	case "ContainerCreate name":
		return "bad-name", ""
	case "ContainerKill signal":
		return "bad-signal", ""
	case "ContainerList before":
		return "before-unknown", ""
	case "ContainerTop ps_args":
		return "bad-arguments", ""
	case "ImageCommit container":
		return "no-such-container", ""
	case "ImageCreate fromImage", "ImageTag repo":
		return "bad-name", ""
	case "ImageGetAll names":
		return "no-such-image", ""
	case "ImageBuild cpusetcpus", "ImageBuild cpusetmems":
		return "bad-cpusets", ""
	case "ContainerLogs tail":
		return "tail-no-number", ""
	case "ImageBuild cgroupparent":
		return "", "a path of the host, and a cgroup of the suite's own would stay there"
	case "ContainerStart detachKeys":
		return "", "engines do not read it: a start has no stream to detach from"
	case "ImageCommit author", "ImageCommit comment", "ImageCreate message":
		return "", "any text is right"
	case "ImageList filter", "ImageSearch term":
		return "", "a text to look for; one that nothing has is answered with an empty list"
	}
	return "", ""
}

// invalidCases use query parameters with values that they must not have.
func invalidCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	wrong := wrongValues(operation.ID)
	for _, parameter := range operation.Parameters {
		value, ok := wrong[parameter.Name]
		if parameter.In != "query" || !ok {
			continue
		}
		declared, ok := operation.Response(value.status)
		if !ok {
			continue // TestEveryParameterHasAWrongValue
		}
		level := Must
		if declared.Undocumented != "" {
			level = Should
		}
		cases = append(cases, newCase(Case{
			Name: "bad-" + parameter.Name, Document: doc, Operation: operation, Level: level,
			Requirement: fmt.Sprintf("A wrong %s is answered with %d and a line of text.", parameter.Name, value.status),
			Source:      fmt.Sprintf("status %d: %s", value.status, declared.Description),
			run:         func(r *Run) { runWrongValue(r, parameter.Name, value) },
		}, "generated"))
	}
	if operation.ID == "ImageBuild" {
		cases = append(cases, newCase(Case{
			Name: "bad-cpusets", Document: doc, Operation: operation,
			Requirement: "A command of a build does not run on processors or memory that do not exist: the build fails, with the answer's status or in its stream.",
			Source:      "parameters of " + operation.ID, Labels: []string{"stream", "needs:cgroup"}, run: runBadCpusets,
		}, "generated"))
	}
	return cases
}

func runWrongValue(r *Run, parameter string, value wrongValue) {
	if value.value == "no-such-container" {
		value.value = r.fresh()
	}
	options := url.Values{}
	var body any
	path := r.Operation.Path
	switch r.Operation.ID {
	case "ContainerList":
		options.Set("all", "1")
	case "ContainerLogs":
		r.containerExited()
		options.Set("stdout", "1")
		path = r.containerPath("/logs")
	case "ContainerRename":
		r.containerCreated()
		path = r.containerPath("/rename")
	case "ContainerAttach", "ContainerAttachWebsocket":
		r.containerRunning()
		options = url.Values{"stream": {"1"}, "stdout": {"1"}}
	case "ImageBuild":
		r.removeUnnamed()
		r.buildContext()
		body = r.body
	case "ImageCreate":
		options = url.Values{"fromSrc": {"-"}, "repo": {r.fresh()}}
		r.removeImage(options.Get("repo"))
		body = r.suite.Base.Layer
	case "ImagePush", "ImageTag":
		r.imageLoaded()
		action := map[string]string{"ImagePush": "/push", "ImageTag": "/tag"}[r.Operation.ID]
		path = "/images/" + r.values["image"] + action
		options.Set("repo", r.fresh())
	case "ImageCommit":
		r.containerExited()
		options = url.Values{"container": {r.values["container"]}, "repo": {r.fresh()}}
		body = map[string]any{}
	}
	options.Set(parameter, value.value)
	if parameter == "fromSrc" || parameter == "remote" {
		body = nil
	}
	req := r.request(r.Operation.Method, path, options, nil)
	switch body := body.(type) {
	case []byte:
		req.Body = body
		req.Header.Set("Content-Type", "application/x-tar")
	case map[string]any:
		req = r.request(r.Operation.Method, path, options, body)
	}
	switch r.Operation.ID {
	case "ImagePush":
		req.Header.Set("X-Registry-Auth", "e30=")
	case "ContainerAttachWebsocket":
		target := req.Target
		req = r.minimal(r.values["container"])
		req.Target = target
	}
	r.phase = request
	response := r.send(req)
	r.phase = check
	r.compareError(response, value.status)
}

// runBadCpusets builds on processor and memory node 4095.
func runBadCpusets(r *Run) {
	base := r.baseImage()
	for _, parameter := range []string{"cpusetcpus", "cpusetmems"} {
		archive, err := image.Tar(image.File{Name: "Dockerfile", Content: []byte("FROM " + base + "\nRUN echo ran\n")})
		if err != nil {
			r.broken("%v", err)
		}
		name := r.fresh()
		r.removeImage(name)
		response := r.asked(http.MethodPost, "/build", url.Values{parameter: {"4095"}, "t": {name}, "forcerm": {"1"}, "nocache": {"1"}}, archive)
		if response.Status != http.StatusOK && response.Status != http.StatusBadRequest {
			r.finding("status", parameter, "is %d, expected 200 with an error in the stream, or 400", response.Status)
		}
		r.gone("/images/" + name + "/json")
	}
}
