package conformance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// leaveCases have clients go away in the middle of a stream: what the daemon
// kept for them must be gone soon, as /info counts it.
func leaveCases(doc *document.Document, operation *document.Operation) []*Case {
	prepare := leaving(doc, operation)
	if prepare == nil {
		return nil
	}
	return []*Case{newCase(Case{
		Name: "clients-leave", Document: doc, Operation: operation, Level: Should,
		Requirement: "Clients that go away in the middle leave no open file and no goroutine behind.",
		Source:      "NFd and NGoroutines of GET /info", Labels: []string{"stream"},
		run: func(r *Run) { runLeave(r, prepare(r)) },
	}, "own")}
}

// leaving builds what an operation needs and returns what makes its requests,
// one for each client; nil for an operation that has no middle.
func leaving(doc *document.Document, operation *document.Operation) func(*Run) func() wire.Request {
	same := func(build func(*Run) wire.Request) func(*Run) func() wire.Request {
		return func(r *Run) func() wire.Request {
			req := build(r)
			return func() wire.Request { return req }
		}
	}
	onTicking := func(query url.Values) func(*Run) func() wire.Request {
		return same(func(r *Run) wire.Request {
			r.containerTicking()
			return r.request(operation.Method, r.containerPath(operation.Path[len("/containers/{name}"):]), query, nil)
		})
	}
	switch operation.ID {
	case "ContainerLogs":
		return onTicking(url.Values{"follow": {"1"}, "stdout": {"1"}})
	case "ContainerAttach":
		return onTicking(url.Values{"stream": {"1"}, "stdout": {"1"}, "stdin": {"1"}})
	case "ContainerStats", "ContainerWait", "ContainerExport":
		return onTicking(nil)
	case "ContainerArchive":
		return onTicking(query("path", "/"))
	case "SystemEvents":
		return same(func(r *Run) wire.Request { return r.request(operation.Method, operation.Path, nil, nil) })
	case "ContainerAttachWebsocket":
		return same(func(r *Run) wire.Request {
			r.containerTicking()
			req := r.minimal(r.values["container"])
			req.Target = r.target(r.containerPath("/attach/ws"), url.Values{"stream": {"1"}, "stdout": {"1"}})
			return req
		})
	case "ExecStart":
		return func(r *Run) func() wire.Request {
			r.containerTicking()
			return func() wire.Request {
				id := r.execCreate(map[string]any{"Cmd": shell("for i in 1 2 3 4 5 6 7 8 9 10; do echo tick; sleep 0.1; done"), "AttachStdin": false})
				return r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": false})
			}
		}
	case "ContainerCopy":
		return same(func(r *Run) wire.Request {
			r.containerTicking()
			return r.request(http.MethodPost, r.containerPath("/copy"), nil, map[string]any{"Resource": "/"})
		})
	case "PutContainerArchive":
		return same(func(r *Run) wire.Request {
			r.containerTicking()
			return r.upload(http.MethodPut, r.containerPath("/archive"), query("path", "/root"), r.bigArchive())
		})
	case "ImageLoad":
		return same(func(r *Run) wire.Request {
			r.imageArchive()
			return r.upload(http.MethodPost, "/images/load", nil, r.body)
		})
	case "ImageGetAll":
		return same(func(r *Run) wire.Request {
			r.imageLoaded()
			return r.request(http.MethodGet, "/images/get", url.Values{"names": {r.baseImage(), r.values["image"]}}, nil)
		})
	case "ImageGet":
		return same(func(r *Run) wire.Request { return r.request(http.MethodGet, "/images/"+r.baseImage()+"/get", nil, nil) })
	case "ImageBuild":
		return same(func(r *Run) wire.Request {
			archive, err := image.Tar(image.File{Name: "Dockerfile", Content: []byte("FROM " + r.baseImage() + "\nRUN sleep 100\n")})
			if err != nil {
				r.broken("%v", err)
			}
			return wire.Request{
				Method: http.MethodPost, Target: r.target("/build", url.Values{"rm": {"1"}, "forcerm": {"1"}, "nocache": {"1"}}),
				Body: archive, Header: http.Header{"Content-Type": {"application/x-tar"}},
			}
		})
	}
	if CompareVersions(doc.Version, "1.22") < 0 {
		return nil // a transfer is cancelled from 1.22 on (change v1.22-09)
	}
	switch operation.ID {
	case "ImageCreate":
		return same(func(r *Run) wire.Request {
			return r.request(http.MethodPost, "/images/create", url.Values{"fromImage": {r.slowRegistry()}, "tag": {"latest"}}, nil)
		})
	case "ImagePush":
		return same(func(r *Run) wire.Request {
			r.startRegistry("", "")
			r.imageTaggedForRegistry()
			r.registry.Stall()
			req := r.request(http.MethodPost, "/images/"+r.values["image"]+"/push", query("tag", "latest"), nil)
			req.Header.Set("X-Registry-Auth", "e30=")
			return req
		})
	}
	return nil
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

func runLeave(r *Run, next func() wire.Request) {
	before := r.settled()
	if before.NGoroutines == 0 {
		r.block("the daemon does not count its files and goroutines")
	}
	r.phase = request
	const clients = 8
	for range clients {
		r.comeAndGo(next())
	}
	r.phase = check
	// Two of each are room for what else goes on in a daemon; a leak has eight.
	var after census
	for range 50 {
		after = r.census()
		if after.NFd <= before.NFd+2 && after.NGoroutines <= before.NGoroutines+2 {
			if r.Operation.ID == "ImageLoad" {
				r.gone("/images/" + r.values["image"] + "/json") // half an archive is no image
			}
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

// upload is a request with an archive as its body.
func (r *Run) upload(method, path string, query url.Values, archive []byte) wire.Request {
	return wire.Request{Method: method, Target: r.target(path, query), Body: archive, Header: http.Header{"Content-Type": {"application/x-tar"}}}
}

// bigArchive does not fit into the buffers of a connection.
func (r *Run) bigArchive() []byte {
	archive, err := image.Tar(image.File{Name: "counted", Content: counted()})
	if err != nil {
		r.broken("%v", err)
	}
	return archive
}

// comeAndGo connects, waits for the head of the answer, and hangs up. An answer
// that has no head yet is left after a moment, an upload in its middle.
func (r *Run) comeAndGo(req wire.Request) {
	if r.Operation.ID == "ImageLoad" || r.Operation.ID == "PutContainerArchive" {
		exchange, err := wire.Abandon(r.ctx, r.suite.Endpoint, req, r.suite.Timeout)
		r.exchanges = append(r.exchanges, Recorded{string(request), exchange})
		if err != nil {
			r.fatal("transport", "%v", err)
		}
		return
	}
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
