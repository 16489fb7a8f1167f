package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// counting writes far more than the buffers of a connection hold.
const counting = "seq 1 400000"

// counted is what counting writes.
func counted() []byte {
	var text bytes.Buffer
	for i := 1; i <= 400000; i++ {
		fmt.Fprintln(&text, i)
	}
	return text.Bytes()
}

// slowCases have a client that reads nothing for a while, and one that waits for
// the head of an answer to which nothing is said yet.
func slowCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	add := func(name, requirement string, run func(*Run)) {
		level := Must
		if operation.ID == "ContainerWait" {
			level = Should // the document only says when the whole answer comes
		}
		cases = append(cases, newCase(Case{
			Name: name, Level: level, Document: doc, Operation: operation, Requirement: requirement,
			Source: "description of " + operation.ID, Labels: []string{"stream"}, run: run,
		}, "own"))
	}
	const slow = "A client that reads slowly gets everything in order, and others are served meanwhile."
	const silent = "The head of the answer comes before the first byte of output."
	switch operation.ID {
	case "ContainerLogs":
		add("slow-reader", slow, func(r *Run) {
			r.start(r.create(map[string]any{"Cmd": shell(counting)}))
			r.readSlowly(r.request(http.MethodGet, r.containerPath("/logs"), url.Values{"follow": {"1"}, "stdout": {"1"}}, nil), true)
		})
		add("silent", silent, func(r *Run) {
			r.silent(r.request(http.MethodGet, r.silentPath("/logs"), url.Values{"follow": {"1"}, "stdout": {"1"}}, nil), http.StatusOK)
		})
	case "ContainerAttach":
		add("slow-reader", slow, func(r *Run) {
			r.create(map[string]any{"Cmd": shell("read line; " + counting), "OpenStdin": true, "StdinOnce": true, "AttachStdin": true})
			r.start(r.values["container"])
			r.readSlowly(r.attaching(false), true)
		})
		add("silent-plain", silent, func(r *Run) {
			path := r.silentPath("/attach")
			r.silent(r.request(http.MethodPost, path, url.Values{"stream": {"1"}, "stdout": {"1"}}, nil), http.StatusOK)
		})
	case "ExecStart":
		add("slow-reader", slow, func(r *Run) {
			r.containerRunning()
			id := r.execCreate(map[string]any{"Cmd": shell(counting), "AttachStdin": false})
			r.readSlowly(r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": false}), true)
		})
		add("silent", silent, func(r *Run) {
			r.containerRunning()
			id := r.execCreate(map[string]any{"Cmd": []string{"sleep", "3600"}, "AttachStdin": false})
			r.silent(r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": false}), http.StatusOK)
		})
	case "ContainerWait":
		add("silent", "The head of the answer comes before the container ends.", runWaitSilent)
	case "ContainerArchive":
		add("slow-reader", slow, func(r *Run) {
			r.runToEnd(counting + " >/counted")
			files := r.readTar(bytes.NewReader(r.readSlowly(r.request(http.MethodGet, r.containerPath("/archive"), query("path", "/counted"), nil), false)))
			r.wantFile(files, "counted", counted())
		})
	case "ContainerExport":
		add("slow-reader", slow, func(r *Run) {
			r.runToEnd(counting + " >/counted")
			files := r.readTar(bytes.NewReader(r.readSlowly(r.request(http.MethodGet, r.containerPath("/export"), nil, nil), false)))
			r.wantFile(files, "counted", counted())
		})
	}
	return cases
}

// readSlowly opens a stream, lets others ask while nothing of it is read, and
// then reads all. In frames it is what counting writes, which a line of input
// sets going where the container waits for one.
func (r *Run) readSlowly(req wire.Request, frames bool) []byte {
	stream := r.streaming(req, http.StatusOK)
	if r.Operation.ID == "ContainerAttach" {
		r.say(stream, "\n")
	}
	for range 5 {
		began := time.Now()
		r.must(r.call(http.MethodGet, "/containers/json", nil, nil), "listing containers", http.StatusOK)
		if took := time.Since(began); took > 5*time.Second {
			r.finding("effect", "", "a list of containers took %s while a client did not read", took.Round(time.Millisecond))
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !frames {
		return r.wholeBody(stream)
	}
	stdout, _, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "after %d bytes: %v", len(stdout), err)
	}
	if want := counted(); !bytes.Equal(stdout, want) {
		r.finding("stream", "stdout", "has %d bytes, expected %d, or has them in another order", len(stdout), len(want))
	}
	return stdout
}

// silentPath is a path of a container that runs and says nothing.
func (r *Run) silentPath(action string) string {
	r.start(r.create(map[string]any{"Cmd": []string{"sleep", "3600"}}))
	return r.containerPath(action)
}

// silent opens a stream, which returns when the head has come, and ends the
// container.
func (r *Run) silent(req wire.Request, status int) {
	stream := r.streaming(req, status)
	if r.Operation.ID == "ExecStart" {
		r.waitFor("the start of the command", func() bool {
			return at(r.object(r.call(http.MethodGet, "/exec/"+r.values["exec"]+"/json", nil, nil), "the exec"), "Running") == true
		})
	}
	r.kill()
	body, err := io.ReadAll(stream)
	if err != nil {
		r.finding("stream", "", "does not end with the container: %v", err)
	}
	if len(body) > 0 {
		r.finding("stream", "", "holds %q of a command that wrote nothing", excerpt(body))
	}
}

func runWaitSilent(r *Run) {
	path := r.silentPath("/wait")
	stream := r.streaming(r.request(http.MethodPost, path, nil, nil), http.StatusOK)
	r.runs(nil)
	r.kill()
	answer, err := wire.DecodeJSON(r.wholeBody(stream))
	if err != nil {
		r.fatal("body", "%v", err)
	}
	r.equal("value", "/StatusCode", at(answer, "StatusCode"), 137)
}
