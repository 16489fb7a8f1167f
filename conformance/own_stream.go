package conformance

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// wholeBody reads a stream to its end.
func (r *Run) wholeBody(stream *wire.Stream) []byte {
	body, err := io.ReadAll(stream)
	if err != nil {
		r.finding("stream", "", "after %d bytes: %v", len(body), err)
	}
	return body
}

// streaming sends a request and wants a status. The phase is check afterwards.
func (r *Run) streaming(req wire.Request, status int) *wire.Stream {
	r.phase = request
	stream := r.open(req)
	r.phase = check
	if stream.Status != status {
		body, _ := io.ReadAll(io.LimitReader(stream, 4096))
		r.compareStatus(stream.Status, body, status)
	}
	return stream
}

func (r *Run) containerPath(action string) string {
	return "/containers/" + r.values["container"] + action
}

func runLogsPlain(r *Run) {
	r.containerWithLogs()
	stream := r.streaming(r.request(http.MethodGet, r.containerPath("/logs"), url.Values{"stdout": {"1"}, "stderr": {"1"}}, nil), http.StatusOK)
	stdout, stderr, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "%v", err)
	}
	r.equal("stream", "stdout", string(stdout), "out 1\nout 2\nout 3\nout 4\nout 5\nout 6\nready\n")
	r.equal("stream", "stderr", string(stderr), "err 1\nerr 2\nerr 3\n")
}

func runLogsTerminal(r *Run) {
	id := r.create(map[string]any{"Cmd": shell("echo from a terminal"), "Tty": true})
	r.start(id)
	r.wait(id)
	stream := r.streaming(r.request(http.MethodGet, r.containerPath("/logs"), query("stdout", "1"), nil), http.StatusOK)
	r.equal("stream", "", string(r.wholeBody(stream)), "from a terminal\r\n")
}

// runLogsTail chooses both outputs: whether lines of one that is not chosen
// count, the document does not say.
func runLogsTail(r *Run) {
	r.containerWithLogs()
	stream := r.streaming(r.request(http.MethodGet, r.containerPath("/logs"), url.Values{"stdout": {"1"}, "stderr": {"1"}, "tail": {"2"}}, nil), http.StatusOK)
	stdout, stderr, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "%v", err)
	}
	if lines := bytes.Count(stdout, []byte("\n")) + bytes.Count(stderr, []byte("\n")); lines != 2 {
		r.finding("stream", "", "has %d lines, expected 2", lines)
	}
}

func runLogsTailNoNumber(r *Run) {
	r.containerWithLogs()
	stream := r.streaming(r.request(http.MethodGet, r.containerPath("/logs"), url.Values{"stdout": {"1"}, "tail": {"some"}}, nil), http.StatusOK)
	stdout, _, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "%v", err)
	}
	r.equal("stream", "stdout", string(stdout), "out 1\nout 2\nout 3\nout 4\nout 5\nout 6\nready\n")
}

// attaching is a request to attach to all streams.
func (r *Run) attaching(upgrade bool) wire.Request {
	req := r.request(http.MethodPost, r.containerPath("/attach"), url.Values{
		"stream": {"1"}, "stdin": {"1"}, "stdout": {"1"}, "stderr": {"1"},
	}, nil)
	if upgrade {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "tcp")
	}
	return req
}

// talkative repeats its input, and says something on both outputs when it ends.
const talkative = "cat; echo tail; echo error >&2; exit 3"

// converse talks to the container talkative through a hijacked connection.
func (r *Run) converse(stream *wire.Stream) {
	if stream.Chunked || stream.Header.Get("Content-Length") != "" {
		r.finding("header", "", "the connection is not hijacked: Transfer-Encoding or Content-Length is set")
	}
	if got := wire.MediaType(stream.Header); got != "application/vnd.docker.raw-stream" {
		r.finding("content-type", "", "is %q, expected application/vnd.docker.raw-stream", got)
	}
	if _, err := stream.Write([]byte("ping\n")); err != nil {
		r.fatal("stream", "write to the container: %v", err)
	}
	frame, err := wire.ReadFrame(stream)
	if err != nil {
		r.fatal("stream", "wait for what the container repeats: %v", err)
	}
	r.equal("stream", "stdout", string(frame.Payload), "ping\n")
	if err := stream.CloseWrite(); err != nil {
		r.broken("%v", err)
	}
	stdout, stderr, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "after the end of standard input: %v", err)
	}
	r.equal("stream", "stdout", string(stdout), "tail\n")
	r.equal("stream", "stderr", string(stderr), "error\n")
	r.equal("effect", "/StatusCode", r.wait(r.values["container"]), 3)
}

func (r *Run) containerTalkative() {
	r.start(r.create(map[string]any{"Cmd": shell(talkative), "OpenStdin": true, "StdinOnce": true, "AttachStdin": true}))
}

func runAttachUpgrade(r *Run) {
	r.containerTalkative()
	stream := r.streaming(r.attaching(true), http.StatusSwitchingProtocols)
	for name, want := range map[string]string{"Connection": "Upgrade", "Upgrade": "tcp"} {
		if got := stream.Header.Get(name); !strings.EqualFold(got, want) {
			r.finding("header", "", "%s is %q, expected %q", name, got, want)
		}
	}
	r.converse(stream)
}

func runAttachPlain(r *Run) {
	r.containerTalkative()
	r.converse(r.streaming(r.attaching(false), http.StatusOK))
}

func runAttachTerminal(r *Run) {
	r.start(r.create(map[string]any{
		"Cmd": shell("stty -echo; echo ready; read line; echo heard $line"), "Tty": true, "OpenStdin": true, "AttachStdin": true,
	}))
	// The log tells when the echo is off.
	r.waitFor("the container's first line", func() bool {
		response := r.call(http.MethodGet, r.containerPath("/logs"), query("stdout", "1"), nil)
		return bytes.Contains(response.Body, []byte("ready"))
	})
	stream := r.streaming(r.attaching(true), http.StatusSwitchingProtocols)
	if _, err := stream.Write([]byte("ping\n")); err != nil {
		r.fatal("stream", "write to the terminal: %v", err)
	}
	r.equal("stream", "", string(r.wholeBody(stream)), "heard ping\r\n")
}

// runAttachSilent attaches to a container that says nothing; open returns when
// the head has come.
func runAttachSilent(r *Run) {
	r.containerRunning()
	stream := r.streaming(r.attaching(true), http.StatusSwitchingProtocols)
	r.kill()
	if body := r.wholeBody(stream); len(body) > 0 {
		r.finding("stream", "", "holds %q of a container that wrote nothing", excerpt(body))
	}
}

func runExecDetached(r *Run) {
	r.containerRunning()
	id := r.execCreate(map[string]any{"Cmd": shell("echo unheard >/tmp/done"), "AttachStdin": false})
	r.phase = request
	response := r.call(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": true, "Tty": false})
	r.phase = check
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	if len(response.Body) > 0 {
		r.finding("body", "", "there is one: %s", excerpt(response.Body))
	}
	r.waitFor("the file that the command makes", func() bool {
		return strings.Contains(r.output("cat", "/tmp/done"), "unheard")
	})
}

func runExecTerminal(r *Run) {
	r.containerRunning()
	id := r.execCreate(map[string]any{"Cmd": shell("tty >/dev/null && echo terminal"), "Tty": true})
	stream := r.streaming(r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": true}), http.StatusOK)
	r.equal("stream", "", string(r.wholeBody(stream)), "terminal\r\n")
}

func runExecUpgrade(r *Run) {
	r.containerRunning()
	id := r.execCreate(map[string]any{"Cmd": shell("echo heard; echo error >&2"), "AttachStdin": false})
	req := r.request(http.MethodPost, "/exec/"+id+"/start", nil, map[string]any{"Detach": false, "Tty": false})
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "tcp")
	stdout, stderr, err := wire.ReadFrames(r.streaming(req, http.StatusSwitchingProtocols))
	if err != nil {
		r.finding("stream", "", "%v", err)
	}
	r.equal("stream", "stdout", string(stdout), "heard\n")
	r.equal("stream", "stderr", string(stderr), "error\n")
}

// runEventsLive listens first, then makes something happen.
func runEventsLive(r *Run) {
	r.baseImage()
	stream := r.streaming(r.request(http.MethodGet, "/events", nil, nil), http.StatusOK)
	id := r.create(nil)
	decoder := json.NewDecoder(stream)
	decoder.UseNumber()
	for range 100 {
		var event any
		if err := decoder.Decode(&event); err != nil {
			r.fatal("stream", "wait for the container's event: %v", err)
		}
		r.compareLine(event)
		if at(event, "id") == id && at(event, "status") == "create" {
			return
		}
	}
	r.finding("stream", "", "100 events came, none of them tells that the container was created")
}

func runEventsUntil(r *Run) {
	r.eventsPast()
	until := unixTime(time.Now().Add(2 * time.Second))
	stream := r.streaming(r.request(http.MethodGet, "/events", url.Values{"since": {r.values["since"]}, "until": {until}}, nil), http.StatusOK)
	lines, err := wire.DecodeLines(stream)
	if err != nil {
		r.fatal("stream", "%v", err)
	}
	var names []string
	for _, line := range lines {
		r.compareLine(line)
		if at(line, "id") == r.values["container"] {
			name, _ := at(line, "status").(string)
			names = append(names, name)
		}
	}
	r.equal("stream", "", names, []string{"create", "start", "kill", "die", "stop", "destroy"})
}
