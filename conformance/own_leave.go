package conformance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// leaveCases have clients go away in the middle of a stream: what the daemon
// kept for them must be gone soon, as /info counts it.
func leaveCases(doc *document.Document, operation *document.Operation) []*Case {
	var query url.Values
	switch operation.ID {
	case "ContainerLogs":
		query = url.Values{"follow": {"1"}, "stdout": {"1"}}
	case "ContainerAttach":
		query = url.Values{"stream": {"1"}, "stdout": {"1"}, "stdin": {"1"}}
	case "ContainerStats", "SystemEvents", "ContainerWait":
	default:
		return nil
	}
	return []*Case{newCase(Case{
		Name: "clients-leave", Document: doc, Operation: operation, Level: Should,
		Requirement: "Clients that go away in the middle leave no open file and no goroutine behind.",
		Source:      "NFd and NGoroutines of GET /info", Labels: []string{"stream"},
		run: func(r *Run) { runLeave(r, query) },
	}, "own")}
}

// census is what /info counts.
type census struct {
	NFd         int
	NGoroutines int
}

func (r *Run) census() census {
	var c census
	response := r.must(r.call(http.MethodGet, "/info", nil, nil), "reading /info", http.StatusOK)
	if err := json.Unmarshal(response.Body, &c); err != nil {
		r.fatal("body", "/info: %v", err)
	}
	return c
}

// settled is the smallest census of half a second: what earlier requests left
// goes away meanwhile.
func (r *Run) settled() census {
	least := r.census()
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		now := r.census()
		least.NFd, least.NGoroutines = min(least.NFd, now.NFd), min(least.NGoroutines, now.NGoroutines)
	}
	return least
}

func runLeave(r *Run, query url.Values) {
	path := r.Operation.Path
	if r.Operation.PathParameter() != "" {
		r.containerTicking()
		path = r.containerPath(path[len("/containers/{name}"):])
	}
	before := r.settled()
	if before.NGoroutines == 0 {
		r.block("the daemon does not count its files and goroutines")
	}
	r.phase = request
	const clients = 8
	for range clients {
		r.comeAndGo(r.request(r.Operation.Method, path, query, nil))
	}
	r.phase = check
	// Two of each are room for what else goes on in a daemon; a leak has eight.
	var after census
	for range 50 {
		after = r.census()
		if after.NFd <= before.NFd+2 && after.NGoroutines <= before.NGoroutines+2 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	r.finding("effect", "", "%d clients left, and there are %d open files and %d goroutines; before them %d and %d",
		clients, after.NFd, after.NGoroutines, before.NFd, before.NGoroutines)
}

// containerTicking writes all the time: on a hijacked connection a client that is
// gone looks like one that closed its half, until something is written to it.
func (r *Run) containerTicking() {
	r.start(r.create(map[string]any{"Cmd": shell("while :; do echo tick; sleep 0.1; done")}))
}

// comeAndGo connects, waits for the head of the answer, and hangs up. An answer
// that has no head yet is left after a moment.
func (r *Run) comeAndGo(req wire.Request) {
	timeout := r.suite.Timeout
	if r.Operation.ID == "ContainerWait" {
		timeout = 200 * time.Millisecond
	}
	stream, exchange, err := wire.Open(r.ctx, r.suite.Endpoint, req, timeout)
	r.exchanges = append(r.exchanges, Recorded{string(request), exchange})
	if err == nil {
		_ = stream.Close()
		return
	}
	if r.Operation.ID != "ContainerWait" {
		r.fatal("transport", "%v", err)
	}
}
