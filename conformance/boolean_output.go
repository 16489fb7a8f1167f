package conformance

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// isStreamed says whether an operation answers with more than one document.
func isStreamed(operation *document.Operation) bool { return streamed(operation.ID) != nil }

// outputObserver is for the parameters of logs and of both forms of attach.
func outputObserver(operation, parameter string) arrangement {
	switch parameter {
	case "stdout", "stderr":
		// The other output is chosen, too, so that the request is right.
		other := map[string]string{"stdout": "stderr", "stderr": "stdout"}[parameter]
		return func(r *Run) func(string) any {
			r.containerSpoke()
			return func(word string) any {
				output := r.outputs(operation, url.Values{"logs": {"1"}, other: {"1"}, parameter: {word}}, nil)
				return bytes.Contains(output, []byte("on "+parameter))
			}
		}
	case "logs":
		return func(r *Run) func(string) any {
			r.containerSpoke()
			return func(word string) any {
				return bytes.Contains(r.outputs(operation, url.Values{"stdout": {"1"}, "logs": {word}}, nil), []byte("on stdout"))
			}
		}
	case "timestamps":
		return func(r *Run) func(string) any {
			r.containerSpoke()
			return func(word string) any {
				output := r.outputs(operation, url.Values{"stdout": {"1"}, "timestamps": {word}}, nil)
				return bytes.Contains(output, []byte("Z on stdout"))
			}
		}
	case "follow", "stream":
		return func(r *Run) func(string) any {
			return func(word string) any { return r.goesOn(operation, parameter, word) }
		}
	case "stdin":
		return func(r *Run) func(string) any {
			return func(word string) any { return r.hears(operation, word) }
		}
	}
	return nil
}

// containerSpoke has said one thing on each output, and ended.
func (r *Run) containerSpoke() { r.runToEnd("echo on stdout; echo on stderr >&2") }

// outputs reads everything that logs or attach send. ready is called after each
// piece with all that came so far.
func (r *Run) outputs(operation string, query url.Values, ready func(heard []byte)) []byte {
	read, end := r.listen(operation, query)
	defer end()
	var heard []byte
	for {
		piece, err := read()
		heard = append(heard, piece...)
		if ready != nil {
			ready(heard)
		}
		if errors.Is(err, io.EOF) {
			return heard
		}
		if err != nil {
			r.fatal("stream", "after %d bytes: %v", len(heard), err)
		}
	}
}

// listen opens logs or an attachment; read returns the next piece of output.
func (r *Run) listen(operation string, query url.Values) (read func() ([]byte, error), end func()) {
	if operation == "ContainerAttachWebsocket" {
		socket := r.socket(query)
		return func() ([]byte, error) {
			opcode, payload, err := socket.Receive()
			if opcode == wire.OpClose {
				err = io.EOF
			}
			if err != nil {
				payload = nil
			}
			return payload, err
		}, func() {}
	}
	stream := r.outputStream(operation, query)
	return func() ([]byte, error) {
		frame, err := wire.ReadFrame(stream)
		return frame.Payload, err
	}, func() { _ = stream.Close() }
}

// outputStream opens logs, or attach without a change of the protocol.
func (r *Run) outputStream(operation string, query url.Values) *wire.Stream {
	method, action := http.MethodGet, "/logs"
	if operation == "ContainerAttach" {
		method, action = http.MethodPost, "/attach"
	}
	return r.streaming(r.request(method, r.containerPath(action), query, nil), http.StatusOK)
}

func (r *Run) socket(query url.Values) *wire.WebSocket {
	r.phase = request
	socket, stream, exchange, err := wire.OpenWebSocket(r.ctx, r.suite.Endpoint, r.target(r.containerPath("/attach/ws"), query), r.suite.Timeout)
	r.exchanges = append(r.exchanges, Recorded{string(request), exchange})
	r.phase = check
	if stream != nil {
		r.later(func() { _ = stream.Close() })
	}
	if socket == nil {
		r.fatal("transport", "%v", err)
	}
	return socket
}

// goesOn tells whether what a container says after it was seen to be ready still
// comes.
func (r *Run) goesOn(operation, parameter, word string) bool {
	r.startPatient(r.create(map[string]any{"Cmd": shell("trap 'echo farewell; exit 7' TERM; sleep 3600 & echo ready; while :; do wait; done")}))
	told := false
	heard := r.outputs(operation, url.Values{"logs": {"1"}, "stdout": {"1"}, parameter: {word}}, func(heard []byte) {
		if !told && bytes.Contains(heard, []byte("ready")) {
			told = true
			time.Sleep(100 * time.Millisecond) // an answer that ends by itself has then ended
			r.must(r.call(http.MethodPost, r.containerPath("/kill"), query("signal", "TERM"), nil), "sending SIGTERM", http.StatusNoContent)
		}
	})
	if !told {
		r.finding("stream", "", "does not hold what the container said before: %s", excerpt(heard))
	}
	return bytes.Contains(heard, []byte("farewell"))
}

// hears tells whether a container repeats what it is sent. What a second client
// sends, which is surely heard, says how long to wait for it.
func (r *Run) hears(operation, word string) bool {
	r.containerRunningStdin()
	options := url.Values{"stream": {"1"}, "stdout": {"1"}, "stdin": {word}}
	if operation == "ContainerAttachWebsocket" {
		if err := r.socket(options).Send(wire.OpBinary, []byte("ping\n")); err != nil {
			r.fatal("stream", "send a frame: %v", err)
		}
	} else {
		r.say(r.outputStream(operation, options), "ping\n")
	}
	r.phase = check
	log := func() []byte {
		return r.must(r.call(http.MethodGet, r.containerPath("/logs"), query("stdout", "1"), nil), "reading the log", http.StatusOK).Body
	}
	second := r.open(r.request(http.MethodPost, r.containerPath("/attach"), url.Values{"stream": {"1"}, "stdin": {"1"}}, nil))
	r.say(second, "over\n")
	r.waitFor("what the second client sent in the log", func() bool { return bytes.Contains(log(), []byte("over")) })
	// The two came on connections of their own, which may overtake each other.
	for range 10 {
		if bytes.Contains(log(), []byte("ping")) {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func (r *Run) say(stream *wire.Stream, words string) {
	if _, err := stream.Write([]byte(words)); err != nil {
		r.fatal("stream", "write to the container: %v", err)
	}
}
