package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// parameterCases use query parameters that no example uses.
func parameterCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	add := func(requirement string, run func(*Run), names ...string) {
		for _, name := range names {
			if !operation.HasParameter("query", name) {
				return
			}
		}
		name := "query-" + strings.Join(names, "-")
		if len(names) == 0 {
			name = "header-credentials"
		}
		cases = append(cases, newCase(Case{
			Name: name, Document: doc, Operation: operation,
			Requirement: requirement, Source: "parameters of " + operation.ID, run: run,
		}, "parameter"))
	}
	switch operation.ID {
	case "ContainerList":
		add("since shows only containers made after the one it names.", runListSince, "since")
		add("limit shows only as many containers, the newest.", runListLimit, "limit")
		add("Filters choose containers.", runListFilters, "filters")
	case "ContainerKill":
		add("signal is the one that the container gets, by name, with SIG and as a number.", runKillSignal, "signal")
	case "VolumeList":
		add("The filter dangling chooses volumes that no container uses.", runVolumesDangling, "filters")
	case "SystemEvents":
		add("The filter container leaves out the events of others.", runEventsOfContainer, "filters")
	case "ContainerDelete":
		add("force removes a running container.", runDeleteForce, "force")
		add("link removes the name that another container has for this one, and not the container.", runDeleteLink, "link")
	case "ContainerAttach":
		add("detachKeys end the connection, not the container.", runDetachKeys, "detachKeys")
	case "ImageList":
		add("filter shows only images of that repository.", runImageFilter, "filter")
	case "ImageBuild":
		add("dockerfile names the build file.", runBuildFile, "dockerfile")
		add("q leaves out what commands write.", runBuildQuiet, "q")
		add("labels label the image.", runBuildLabels, "labels")
		add("shmsize is the size of /dev/shm of a command.", runBuildShm, "shmsize")
		add("Limits and habits of build containers are taken.", runBuildOptions,
			"rm", "forcerm", "nocache", "pull", "memory", "memswap", "cpushares", "cpusetcpus", "cpusetmems", "ulimits")
		add("remote names a build file that the engine fetches.", runBuildRemote, "remote")
		add("X-Registry-Config opens the registry of the image that a build begins with.", runBuildConfig)
	case "ImageCreate":
		add("An archive in the body becomes an image with a name, a tag and a comment.", runImport, "fromSrc", "repo", "tag", "message")
		add("changes are applied to an imported image.", runImportChanges, "fromSrc", "changes")
		add("X-Registry-Auth opens a registry that asks who comes.", runPullAuth)
	case "ImageSearch":
		add("X-Registry-Auth may go along with a search.", runSearchAuth)
	case "ContainerStart":
		add("detachKeys is taken.", runStartDetachKeys, "detachKeys")
	case "ImagePush":
		add("tag chooses what is pushed.", runPushTag, "tag")
	case "ImageDelete":
		add("force removes an image that a stopped container uses.", runImageDeleteForce, "force")
		add("noprune is taken.", runImageDeleteNoPrune, "noprune")
	case "ImageCommit":
		add("author and tag are recorded.", runCommitAuthor, "author", "tag")
		add("changes are applied to the image's settings.", runCommitChanges, "changes", "pause")
	case "ImageLoad":
		add("quiet leaves out the progress.", runLoadQuiet, "quiet")
	case "PutContainerArchive":
		add("noOverwriteDirNonDir refuses to replace a directory by a file.", runNoOverwrite, "noOverwriteDirNonDir")
	}
	return cases
}

// asking sends a request in the phase request and wants a status.
func (r *Run) asking(status int, method, path string, query url.Values, body any) *wire.Response {
	r.phase = request
	response := r.call(method, path, query, body)
	r.phase = check
	r.compareStatus(response.Status, response.Body, status)
	return response
}

// listed are the ids that a list of containers shows.
func (r *Run) listed(query url.Values) []string {
	var ids []string
	for _, item := range r.list(r.asking(http.StatusOK, http.MethodGet, "/containers/json", query, nil), "the list") {
		ids = append(ids, fmt.Sprint(at(item, "Id")))
	}
	return ids
}

func runListSince(r *Run) {
	older := r.create(nil)
	time.Sleep(1100 * time.Millisecond) // engines compare whole seconds
	newer := r.create(nil)
	if ids := r.listed(url.Values{"all": {"1"}, "since": {older}}); !slices.Contains(ids, newer) || slices.Contains(ids, older) {
		r.finding("value", "", "shows %v, expected %s and not %s", ids, newer, older)
	}
}

func runListLimit(r *Run) {
	r.create(nil)
	time.Sleep(1100 * time.Millisecond)
	newest := r.create(nil)
	r.equal("value", "", r.listed(url.Values{"limit": {"1"}}), []string{newest})
}

func runListFilters(r *Run) {
	r.containerExited()
	exited := r.values["container"]
	created := r.create(nil)
	for filter, want := range map[string]string{
		`{"exited":["9"]}`:                                exited,
		`{"status":["exited"]}`:                           exited,
		`{"id":["` + created + `"]}`:                      created,
		`{"name":["` + r.values["container-name"] + `"]}`: created,
	} {
		ids := r.listed(url.Values{"all": {"1"}, "filters": {filter}})
		other := exited
		if want == exited {
			other = created
		}
		if !slices.Contains(ids, want) || slices.Contains(ids, other) {
			r.finding("value", "", "filters %s show %v, expected %s and not %s", filter, ids, want, other)
		}
	}
}

func runDeleteForce(r *Run) {
	r.containerRunning()
	r.asking(http.StatusNoContent, http.MethodDelete, "/containers/"+r.values["container"], query("force", "1"), nil)
	r.gone(r.containerPath("/json"))
}

func runDeleteLink(r *Run) {
	r.containerCreated()
	linked := r.values["container-name"]
	r.create(map[string]any{"HostConfig": map[string]any{"Links": []string{linked + ":alias"}}})
	r.asking(http.StatusNoContent, http.MethodDelete, "/containers/"+r.values["container-name"]+"/alias", query("link", "1"), nil)
	r.must(r.call(http.MethodGet, "/containers/"+linked+"/json", nil, nil), "inspecting the linked container", http.StatusOK)
}

func runDetachKeys(r *Run) {
	r.containerRunningTTY()
	req := r.request(http.MethodPost, r.containerPath("/attach"), url.Values{
		"stream": {"1"}, "stdin": {"1"}, "stdout": {"1"}, "detachKeys": {"ctrl-x"},
	}, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	stream := r.streaming(req, http.StatusSwitchingProtocols)
	if _, err := stream.Write([]byte{'x' - 'a' + 1}); err != nil {
		r.fatal("stream", "write to the terminal: %v", err)
	}
	if _, err := io.ReadAll(stream); err != nil {
		r.finding("stream", "", "does not end after the keys: %v", err)
	}
	r.runs(nil)
}

func runImageFilter(r *Run) {
	r.imageLoaded()
	wanted := r.values["image"]
	r.imageLoaded()
	items := r.list(r.asking(http.StatusOK, http.MethodGet, "/images/json", query("filter", wanted), nil), "the list")
	if len(items) != 1 || !strings.Contains(text(at(items[0], "RepoTags")), wanted) {
		r.finding("value", "", "is %s, expected image %s alone", text(items), wanted)
	}
}

func runBuildFile(r *Run) {
	archive, err := image.Tar(image.File{Name: "other/file", Content: []byte("FROM " + r.baseImage() + "\nENV A=b\n")})
	if err != nil {
		r.broken("%v", err)
	}
	name := r.fresh()
	r.removeImage(name)
	r.asking(http.StatusOK, http.MethodPost, "/build", url.Values{"dockerfile": {"other/file"}, "t": {name}}, archive)
	if env := text(at(r.inspectImage(name), "Config", "Env")); !strings.Contains(env, `"A=b"`) {
		r.finding("effect", "/Config/Env", "is %s, expected A=b in it", env)
	}
}

func runBuildQuiet(r *Run) {
	archive, err := image.Tar(image.File{Name: "Dockerfile", Content: []byte("FROM " + r.baseImage() + "\nRUN echo spoken aloud\n")})
	if err != nil {
		r.broken("%v", err)
	}
	name := r.fresh()
	r.removeImage(name)
	response := r.asking(http.StatusOK, http.MethodPost, "/build", url.Values{"q": {"1"}, "t": {name}}, archive)
	if bytes.Contains(response.Body, []byte("\"spoken aloud")) {
		r.finding("stream", "", "holds what the command wrote: %s", excerpt(response.Body))
	}
	r.inspectImage(name)
}

func runBuildLabels(r *Run) {
	img := r.build("", query("labels", `{"com.example.tide":"high"}`))
	r.equal("effect", "/Config/Labels/com.example.tide", at(img, "Config", "Labels", "com.example.tide"), "high")
}

func runBuildOptions(r *Run) {
	before := len(r.listed(query("all", "1")))
	r.build("RUN true\n", url.Values{
		"rm": {"1"}, "forcerm": {"1"}, "nocache": {"1"}, "pull": {"0"}, "memory": {"67108864"}, "memswap": {"134217728"},
		"cpushares": {"512"}, "cpusetcpus": {"0"}, "cpusetmems": {"0"}, "ulimits": {`[{"Name":"nofile","Soft":1024,"Hard":2048}]`},
	})
	if after := len(r.listed(query("all", "1"))); after != before {
		r.finding("effect", "", "%d containers before the build, %d after it", before, after)
	}
}

func runImport(r *Run) {
	name := r.fresh()
	r.removeImage(name + ":v1")
	r.asking(http.StatusOK, http.MethodPost, "/images/create",
		url.Values{"fromSrc": {"-"}, "repo": {name}, "tag": {"v1"}, "message": {"by the suite"}}, r.suite.Base.Layer)
	img := r.inspectImage(name + ":v1")
	r.equal("effect", "/Comment", at(img, "Comment"), "by the suite")
}

func runPushTag(r *Run) {
	r.registryStarted()
	r.imageTaggedForRegistry()
	name := r.values["image"]
	r.removeImage(name + ":other")
	response := r.call(http.MethodPost, "/images/"+name+"/tag", url.Values{"repo": {name}, "tag": {"other"}}, nil)
	r.must(response, "tagging an image", http.StatusCreated)
	req := r.request(http.MethodPost, "/images/"+name+"/push", query("tag", "other"), nil)
	req.Header.Set("X-Registry-Auth", "e30=")
	lines, err := wire.DecodeLines(r.streaming(req, http.StatusOK))
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	for _, line := range lines {
		if message := at(line, "error"); message != nil {
			r.fatal("effect", "the push reports an error: %s", text(message))
		}
	}
	if !r.registry.Has("test", "other") || r.registry.Has("test", "latest") {
		r.finding("effect", "", "the registry has tag other: %t, tag latest: %t; expected the first alone",
			r.registry.Has("test", "other"), r.registry.Has("test", "latest"))
	}
}

func runImageDeleteForce(r *Run) {
	r.imageLoaded()
	name := r.values["image"]
	r.create(map[string]any{"Image": name})
	r.asking(http.StatusOK, http.MethodDelete, "/images/"+name, query("force", "1"), nil)
	r.gone("/images/" + name + "/json")
}

func runImageDeleteNoPrune(r *Run) {
	r.imageLoaded()
	name := r.values["image"]
	r.asking(http.StatusOK, http.MethodDelete, "/images/"+name, query("noprune", "1"), nil)
	r.gone("/images/" + name + "/json")
}

// commit makes an image of a container that ran and returns what inspect shows.
func (r *Run) commit(query url.Values) map[string]any {
	r.containerExited()
	name := r.fresh()
	reference := name
	if tag := query.Get("tag"); tag != "" {
		reference += ":" + tag
	}
	query.Set("container", r.values["container"])
	query.Set("repo", name)
	r.removeImage(reference)
	r.asking(http.StatusCreated, http.MethodPost, "/commit", query, map[string]any{})
	return r.inspectImage(reference)
}

func runCommitAuthor(r *Run) {
	img := r.commit(url.Values{"author": {"Jane Roe <jane@example.com>"}, "tag": {"v7"}})
	r.equal("effect", "/Author", at(img, "Author"), "Jane Roe <jane@example.com>")
}

func runCommitChanges(r *Run) {
	img := r.commit(url.Values{"changes": {"ENV TIDE=high"}, "pause": {"0"}})
	if env := text(at(img, "Config", "Env")); !strings.Contains(env, `"TIDE=high"`) {
		r.finding("effect", "/Config/Env", "is %s, expected TIDE=high in it", env)
	}
}

func runLoadQuiet(r *Run) {
	r.imageArchive()
	response := r.asking(http.StatusOK, http.MethodPost, "/images/load", query("quiet", "1"), r.body)
	if bytes.Contains(response.Body, []byte("progressDetail\":{\"")) {
		r.finding("stream", "", "holds progress: %s", excerpt(response.Body))
	}
	r.loaded()
}

func runNoOverwrite(r *Run) {
	r.containerCreated()
	archive, err := image.Tar(image.File{Name: "root", Content: []byte("no directory")})
	if err != nil {
		r.broken("%v", err)
	}
	r.asking(http.StatusBadRequest, http.MethodPut, r.containerPath("/archive"), url.Values{"path": {"/"}, "noOverwriteDirNonDir": {"1"}}, archive)
	r.must(r.call(http.MethodGet, r.containerPath("/archive"), query("path", "/root/hello"), nil), "reading what was there", http.StatusOK)
}
