package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// generatedCases follow from what the document says of an operation beside its
// examples: its statuses, its parameters and the properties of its body.
func generatedCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	add := func(name, requirement string, status int, run func(*Run)) {
		declared, ok := operation.Response(status)
		if !ok {
			return
		}
		if operation.ID == "ExecStart" && declared.Undocumented != "" && status == http.StatusConflict {
			return // change v1.21-15 brought it
		}
		if operation.ID == "ImageTag" && name == "name-taken" && CompareVersions(doc.Version, "1.22") >= 0 {
			return // see uncovered.yaml
		}
		level := Must
		if declared.Undocumented != "" {
			// The reference of the API does not list the status; the document
			// adds it with a reason.
			level = Should
		}
		cases = append(cases, newCase(Case{
			Name: name, Document: doc, Operation: operation, Requirement: requirement,
			Source: fmt.Sprintf("status %d: %s", status, declared.Description), Level: level, run: run,
		}, "generated"))
	}
	if parameter := operation.PathParameter(); parameter != "" {
		add("unknown-"+parameter, "An object that does not exist is answered with 404 and a line of text.", http.StatusNotFound, runUnknown)
	}
	if schema := operation.BodySchema(); schema != nil {
		add("malformed-body", "A body that is no JSON is answered with 400 and a line of text.", http.StatusBadRequest, runMalformed)
		add("wrong-types", "A property of another type than the document has, however deep, is answered with 400.", http.StatusBadRequest, runWrongTypes)
		if operation.ID != "ContainerCreate" { // create has a case that sees more
			status := success(operation)
			add("unknown-property", "Unknown properties of a body are ignored.", status, func(r *Run) { runUnknownProperties(r, status) })
		}
	}
	for _, parameter := range operation.Parameters {
		switch {
		case parameter.In == "query" && parameter.Type == "integer":
			add("no-number-"+parameter.Name, "A number that is none is answered with 400.", http.StatusBadRequest,
				func(r *Run) { r.badQuery(parameter.Name, "x") })
		case parameter.In == "query" && parameter.Name == "filters":
			add("malformed-filters", "Filters that are no JSON are answered with 400.", http.StatusBadRequest,
				func(r *Run) { r.badQuery("filters", "nope") })
		}
	}
	for _, provoked := range provocations(operation.ID) {
		add(provoked.name, provoked.requirement, provoked.status, func(r *Run) {
			send := provoked.prepare(r)
			r.phase = request
			response := send()
			r.phase = check
			r.compareError(response, provoked.status)
		})
	}
	return cases
}

// success is the status of an operation that did what it was asked, without a
// change of the protocol.
func success(operation *document.Operation) int {
	for _, status := range operation.Statuses() {
		if status >= http.StatusOK && status < http.StatusMultipleChoices {
			return status
		}
	}
	return http.StatusOK
}

// compareError wants a status and, from 400 on, the form of errors: text/plain,
// one line, ended by a newline.
func (r *Run) compareError(response *wire.Response, status int) {
	r.tidy(response)
	r.compareStatus(response.Status, response.Body, status)
	if status < http.StatusBadRequest {
		if len(response.Body) > 0 {
			r.finding("body", "", "there is one with status %d: %s", status, excerpt(response.Body))
		}
		return
	}
	if r.Operation.Method == http.MethodHead {
		return
	}
	if got := wire.MediaType(response.Header); got != "text/plain" {
		r.finding("content-type", "", "is %q, expected text/plain for an error", response.Header.Get("Content-Type"))
	}
	line, ended := strings.CutSuffix(string(response.Body), "\n")
	switch {
	case strings.TrimSpace(line) == "":
		r.finding("body", "", "does not say what is wrong")
	case !ended, strings.Contains(line, "\n"):
		r.finding("body", "", "is not one line ended by a newline: %q", excerpt(response.Body))
	}
}

// minimal is a request of the operation that is right as far as it goes; name
// fills the path parameter.
func (r *Run) minimal(name string) wire.Request {
	path := strings.ReplaceAll(r.Operation.Path, "{"+r.Operation.PathParameter()+"}", name)
	query := url.Values{}
	for _, parameter := range r.Operation.Parameters {
		if parameter.In != "query" || !parameter.Required {
			continue
		}
		switch parameter.Name {
		case "path":
			query.Set("path", "/root")
		case "name":
			query.Set("name", r.fresh())
		default:
			query.Set(parameter.Name, "40")
		}
	}
	var body any
	switch r.Operation.ID {
	case "ContainerLogs", "ContainerAttach":
		query.Set("stdout", "1")
	case "ContainerCreate":
		body = map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}}
	case "ContainerCopy":
		body = map[string]any{"Resource": "root"}
	case "ContainerUpdate":
		body = map[string]any{"CpuShares": 512}
	case "ContainerExec":
		body = map[string]any{"Cmd": []string{"true"}}
	case "ExecStart":
		body = map[string]any{"Detach": true, "Tty": false}
	case "VolumeCreate", "NetworkCreate":
		body = map[string]any{"Name": r.fresh()}
	case "NetworkConnect", "NetworkDisconnect":
		body = map[string]any{"Container": r.values["container"]}
	case "ImageTag":
		query.Set("repo", r.fresh())
	}
	req := r.request(r.Operation.Method, path, query, body)
	switch r.Operation.ID {
	case "PutContainerArchive":
		req.Body = r.madeUpBody()
		req.Header.Set("Content-Type", "application/x-tar")
	case "ImagePush":
		// Empty credentials: {}.
		req.Header.Set("X-Registry-Auth", "e30=")
	case "ContainerAttachWebsocket":
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Origin", "http://docker")
		req.Header.Set("Sec-WebSocket-Version", "13")
		req.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	}
	return req
}

func runUnknown(r *Run) {
	if r.Operation.ID == "NetworkConnect" || r.Operation.ID == "NetworkDisconnect" {
		r.containerRunning()
	}
	req := r.minimal(r.fresh() + "-none")
	r.phase = request
	response := r.send(req)
	r.phase = check
	r.compareError(response, http.StatusNotFound)
}

// existing builds what the path parameter of the operation names and returns the
// name, so that nothing but the rest of the request is wrong.
func (r *Run) existing() string {
	path := r.Operation.Path
	switch {
	case r.Operation.PathParameter() == "":
		return ""
	case strings.HasPrefix(path, "/containers/") && (r.Operation.ID == "ContainerExec" || r.Operation.ID == "ContainerStop" || r.Operation.ID == "ContainerRestart"):
		r.containerRunning()
		return r.values["container"]
	case r.Operation.ID == "ContainerResize":
		r.containerRunningTTY()
		return r.values["container"]
	case strings.HasPrefix(path, "/containers/"):
		r.containerCreated()
		return r.values["container"]
	case r.Operation.ID == "ExecResize":
		r.containerRunning()
		r.execRunningTTY()
		return r.values["exec"]
	case strings.HasPrefix(path, "/exec/"):
		r.containerRunning()
		r.execCreated()
		return r.values["exec"]
	case strings.HasPrefix(path, "/images/"):
		r.imageLoaded()
		return r.values["image"]
	case strings.HasPrefix(path, "/networks/"):
		r.networkCreated()
		r.containerRunning()
		return r.values["network"]
	default:
		r.broken("nothing makes the object that %s names", path)
		return ""
	}
}

func runMalformed(r *Run) {
	req := r.minimal(r.existing())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Del("X-Registry-Auth")
	req.Body = []byte(`{"unfinished": `)
	if r.Operation.ID == "ImageCommit" {
		r.containerExited()
		req.Target = r.target("/commit", query("container", r.values["container"]))
	}
	r.phase = request
	response := r.send(req)
	r.phase = check
	r.compareError(response, http.StatusBadRequest)
}

// badQuery sends a request that is right but for one parameter.
func (r *Run) badQuery(name, value string) {
	req := r.minimal(r.existing())
	path, rawQuery, _ := strings.Cut(req.Target, "?")
	query, _ := url.ParseQuery(rawQuery)
	query.Set(name, value)
	req.Target = path + "?" + query.Encode()
	if r.Operation.ID == "ImageBuild" {
		r.removeUnnamed()
		r.buildContext()
		req.Body = r.body
		req.Header.Set("Content-Type", "application/x-tar")
	}
	r.phase = request
	response := r.send(req)
	r.phase = check
	r.compareError(response, http.StatusBadRequest)
}
