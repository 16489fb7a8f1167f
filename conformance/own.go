package conformance

import (
	"net/http"
	"net/url"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// ownCases are cases of what the document says in sentences: operations without
// an example, the forms of streams, and rules that hold for every operation.
func ownCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	add := func(name, requirement string, run func(*Run), labels ...string) {
		cases = append(cases, newCase(Case{
			Name: name, Document: doc, Operation: operation, Requirement: requirement,
			Source: "description of " + operation.ID, Labels: labels, run: run,
		}, "own"))
	}
	switch operation.ID {
	case "ContainerArchiveInfo":
		add("archive-info", "HEAD of a path tells in a header what GET would archive, without a body.", runArchiveInfo)
	case "ContainerCreate":
		add("unknown-property", "Unknown properties in a request are ignored.", runUnknownProperty)
		add("other-case", "Names of properties in requests match whatever their case.", runOtherCase)
	case "ContainerList":
		add("boolean-words", "Booleans in a query are true unless they are empty, 0, no, false or none.", runBooleanWords)
	case "ContainerWait":
		add("waits", "The answer comes when the container ends, not before.", runWaits)
	case "ContainerLogs":
		add("plain", "A client that does not ask to change the protocol gets status 200 with the same stream.", runLogsPlain, "stream")
		add("terminal", "The log of a container with a terminal has no frames.", runLogsTerminal, "stream")
		add("tail", "tail limits the log to its last lines.", runLogsTail, "stream")
		add("tail-no-number", "A tail that is neither all nor a number stands for all lines.", runLogsTailNoNumber, "stream")
	case "ContainerAttach":
		add("upgrade", "With Connection: Upgrade and Upgrade: tcp the status is 101, both outputs come in frames, the end of the client's half is the end of standard input, and what is written after it is not lost.", runAttachUpgrade, "stream")
		add("plain", "Without the upgrade headers the status is 200 with the same stream, neither chunked nor with a length.", runAttachPlain, "stream")
		add("terminal", "With a terminal the bytes are the terminal's.", runAttachTerminal, "stream")
		add("silent", "The head of the answer comes before the first byte of output.", runAttachSilent, "stream")
	case "ExecStart":
		add("detached", "Detached there is no body.", runExecDetached)
		add("upgrade", "With Connection: Upgrade and Upgrade: tcp the status is 101.", runExecUpgrade, "stream")
		add("terminal", "With a terminal the bytes are the terminal's.", runExecTerminal, "stream")
	case "SystemEvents":
		add("live", "The head of the answer comes before the first event, and events come as they happen.", runEventsLive, "stream")
		add("until", "The stream ends at the moment that until names.", runEventsUntil, "stream")
	case "SystemPing":
		add("unknown-path", "A path that the API does not have is answered with 404.", runUnknownPath)
	}
	for _, brought := range behaviours(operation.ID) {
		if CompareVersions(doc.Version, brought.since) >= 0 {
			add(brought.name, brought.requirement, brought.run, brought.labels...)
		}
	}
	return cases
}

func runArchiveInfo(r *Run) {
	r.containerCreated()
	r.phase = request
	response := r.send(wire.Request{
		Method: http.MethodHead,
		Target: r.target("/containers/"+r.values["container"]+"/archive", query("path", "/root/hello")),
	})
	r.phase = check
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	if len(response.Body) > 0 {
		r.finding("body", "", "there is one: %s", excerpt(response.Body))
	}
	r.comparePathStat(response.Header, "hello")
}

// creating sends a create and returns the container as inspect shows it.
func (r *Run) creating(body map[string]any) map[string]any {
	r.phase = request
	response := r.call(http.MethodPost, "/containers/create", nil, body)
	r.phase = check
	r.tidy(response)
	r.compareStatus(response.Status, response.Body, http.StatusCreated)
	id, _ := r.object(response, "the answer")["Id"].(string)
	return r.inspect(id)
}

func runUnknownProperty(r *Run) {
	image := r.baseImage()
	container := r.creating(map[string]any{
		"Image": image, "Cmd": []string{"true"}, "NoSuchProperty": map[string]any{"a": []int{1}},
		"HostConfig": map[string]any{"NoSuchProperty": "x"},
	})
	r.equal("effect", "/Config/Cmd", at(container, "Config", "Cmd"), []string{"true"})
}

func runOtherCase(r *Run) {
	image := r.baseImage()
	container := r.creating(map[string]any{
		"image": image, "CMD": []string{"true"}, "hostconfig": map[string]any{"cpushares": 300},
	})
	r.equal("effect", "/Config/Cmd", at(container, "Config", "Cmd"), []string{"true"})
	r.equal("effect", "/HostConfig/CpuShares", at(container, "HostConfig", "CpuShares"), 300)
}

// runBooleanWords asks for all containers in several words; one that never ran
// shows which.
func runBooleanWords(r *Run) {
	r.containerCreated()
	r.phase = request
	for word, want := range map[string]bool{
		"1": true, "true": true, "True": true, "yes": true, "on": true,
		"": false, "0": false, "no": false, "false": false, "none": false, "False": false,
	} {
		response := r.call(http.MethodGet, "/containers/json", url.Values{"all": {word}}, nil)
		r.compareStatus(response.Status, response.Body, http.StatusOK)
		shown := false
		for _, item := range r.list(response, "the list") {
			shown = shown || at(item, "Id") == r.values["container"]
		}
		if shown != want {
			r.finding("value", "", "all=%q shows a container that never ran: %t, expected %t", word, shown, want)
		}
	}
}

// runWaits sends wait, then ends the container.
func runWaits(r *Run) {
	r.containerRunning()
	r.phase = request
	answered := make(chan *wire.Response, 1)
	ctx, endpoint, timeout := r.ctx, r.suite.Endpoint, r.suite.Timeout
	target := r.target("/containers/"+r.values["container"]+"/wait", nil)
	go func() {
		response, _, _ := wire.Do(ctx, endpoint, wire.Request{Method: http.MethodPost, Target: target}, timeout)
		answered <- response
	}()
	// Other requests are served meanwhile, and the container still runs.
	r.runs(nil)
	select {
	case response := <-answered:
		if response != nil {
			r.finding("stream", "", "is answered with status %d while the container runs: %s", response.Status, excerpt(response.Body))
		}
		return
	default:
	}
	r.kill()
	r.phase = check
	response := <-answered
	if response == nil {
		r.fatal("transport", "no answer came after the container's end")
	}
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	r.equal("value", "/StatusCode", at(r.object(response, "the answer"), "StatusCode"), 137)
}

func runUnknownPath(r *Run) {
	r.phase = request
	response := r.call(http.MethodGet, "/no/such/path", nil, nil)
	r.phase = check
	r.compareError(response, http.StatusNotFound)
}
