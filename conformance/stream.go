package conformance

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// streamed returns what replays an example whose answer is a stream, nil for
// operations without one.
func streamed(operation string) func(*Run, wire.Request) {
	switch operation {
	case "ContainerLogs":
		return replayLogs
	case "ContainerAttach":
		return replayAttach
	case "ContainerAttachWebsocket":
		return replayWebSocket
	case "ExecStart":
		return replayExec
	case "ContainerStats":
		return replayStats
	case "SystemEvents":
		return replayEvents
	case "ImageBuild":
		return replayBuild
	case "ImageCreate":
		return replayPull
	case "ImagePush":
		return replayPush
	case "ImageLoad":
		return replayLoad
	case "ContainerExport", "ContainerCopy", "ContainerArchive", "ImageGet", "ImageGetAll":
		return replayArchive
	default:
		return nil
	}
}

// begin sends the request, and compares status and headers.
func (r *Run) begin(req wire.Request) *wire.Stream {
	stream := r.open(req)
	r.phase = check
	r.compareHead(stream)
	return stream
}

// compareHead compares status and headers of a streamed answer with the example.
func (r *Run) compareHead(stream *wire.Stream) {
	want := r.Example.Response.Status
	switch {
	case stream.Status == want:
	case stream.Status < 300 && want < 300, stream.Status == http.StatusOK:
		// Something flows nevertheless, so the rest can be looked at, too.
		r.finding("status", "", "is %d, expected %d", stream.Status, want)
	default:
		body, _ := io.ReadAll(io.LimitReader(stream, 4096))
		r.compareStatus(stream.Status, body, want)
	}
	r.compareContentType(stream.Header)
	if stream.Status != http.StatusSwitchingProtocols {
		return
	}
	for _, name := range []string{"Connection", "Upgrade"} {
		if want := r.Example.Response.Headers[name]; want != "" && !strings.EqualFold(stream.Header.Get(name), want) {
			r.finding("header", "", "%s is %q, expected %q", name, stream.Header.Get(name), want)
		}
	}
}

// stamped is a line of a log with the time before it, as the query timestamps
// asks for.
var stamped = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (.*)$`)

// replayLogs reads the log of a running container, ends the container and wants
// the stream to end by itself.
func replayLogs(r *Run, req wire.Request) {
	stream := r.begin(req)
	var stdout, stderr strings.Builder
	for lines := 0; lines < 10; {
		frame, err := wire.ReadFrame(stream)
		if err != nil {
			r.fatal("stream", "after %d of 10 lines: %v", lines, err)
		}
		lines += bytes.Count(frame.Payload, []byte("\n"))
		if frame.Stream == wire.Stderr {
			stderr.Write(frame.Payload)
		} else {
			stdout.Write(frame.Payload)
		}
	}
	r.equalLines("stdout", stdout.String(), "out 1", "out 2", "out 3", "out 4", "out 5", "out 6", "ready")
	r.equalLines("stderr", stderr.String(), "err 1", "err 2", "err 3")
	r.kill()
	rest, _, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "does not end when the container does: %v", err)
	}
	if len(rest) > 0 {
		r.finding("stream", "", "goes on after the last line with %q", excerpt(rest))
	}
}

// equalLines compares lines with time stamps in front of them.
func (r *Run) equalLines(what, got string, want ...string) {
	var lines []string
	for line := range strings.Lines(got) {
		parts := stamped.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if parts == nil {
			r.finding("stream", "", "a line of %s has no time stamp: %q", what, line)
			return
		}
		lines = append(lines, parts[1])
	}
	r.equal("stream", what, lines, want)
}

// kill ends the container of the case.
func (r *Run) kill() {
	response := r.call(http.MethodPost, "/containers/"+r.values["container"]+"/kill", nil, nil)
	r.must(response, "killing the container", http.StatusNoContent)
}

// replayAttach reads what the container has written so far; the stream ends
// there, since the example does not ask to stay connected.
func replayAttach(r *Run, req wire.Request) {
	stream := r.begin(req)
	stdout, stderr, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "%v", err)
	}
	r.equal("stream", "stdout", string(stdout), "out 1\nout 2\nout 3\nout 4\nout 5\nout 6\nready\n")
	if len(stderr) > 0 {
		r.finding("stream", "", "holds standard error, which was not asked for: %s", excerpt(stderr))
	}
	if stream.Chunked {
		r.finding("stream", "", "is chunked; the connection is not hijacked then")
	}
}

// replayWebSocket says something to a container that says it again.
func replayWebSocket(r *Run, req wire.Request) {
	socket, stream, exchange, err := wire.OpenWebSocket(r.ctx, r.suite.Endpoint, req.Target, r.suite.Timeout)
	r.exchanges = append(r.exchanges, Recorded{string(request), exchange})
	if stream == nil {
		r.fatal("transport", "%v", err)
	}
	r.later(func() { _ = stream.Close() })
	r.phase = check
	if socket == nil {
		body, _ := io.ReadAll(io.LimitReader(stream, 4096))
		r.compareStatus(stream.Status, body, r.Example.Response.Status)
		r.fatal("header", "%v", err)
	}
	if err := socket.Send(wire.OpBinary, []byte("ping\n")); err != nil {
		r.fatal("stream", "send a frame: %v", err)
	}
	var heard []byte
	for len(heard) < len("ping\n") {
		opcode, payload, err := socket.Receive()
		if err != nil {
			r.fatal("stream", "wait for what `cat` answers: %v", err)
		}
		if opcode == wire.OpText || opcode == wire.OpBinary {
			heard = append(heard, payload...)
		}
	}
	r.equal("stream", "", string(heard), "ping\n")
	r.kill()
	for {
		opcode, _, err := socket.Receive()
		if opcode == wire.OpClose || errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.fatal("stream", "does not end when the container does: %v", err)
		}
	}
}

// replayExec talks to a command: both outputs arrive framed, input reaches it,
// the end of input does too, what it says last is not lost.
func replayExec(r *Run, req wire.Request) {
	stream := r.begin(req)
	if stream.Chunked {
		r.finding("stream", "", "is chunked; the connection is not hijacked then")
	}
	if _, err := stream.Write([]byte("ping\n")); err != nil {
		r.fatal("stream", "write to the command: %v", err)
	}
	var stdout, stderr strings.Builder
	for !strings.Contains(stdout.String(), "ping\n") || !strings.Contains(stderr.String(), "err\n") {
		frame, err := wire.ReadFrame(stream)
		if err != nil {
			r.fatal("stream", "with %q on standard output and %q on standard error: %v", stdout.String(), stderr.String(), err)
		}
		if frame.Stream == wire.Stderr {
			stderr.Write(frame.Payload)
		} else {
			stdout.Write(frame.Payload)
		}
	}
	if err := stream.CloseWrite(); err != nil {
		r.broken("%v", err)
	}
	rest, restErr, err := wire.ReadFrames(stream)
	if err != nil {
		r.finding("stream", "", "after the end of standard input: %v", err)
	}
	r.equal("stream", "stdout", stdout.String()+string(rest), "out\nping\ntail\n")
	r.equal("stream", "stderr", stderr.String()+string(restErr), "err\n")
	var exec map[string]any
	r.waitFor("the end of the exec", func() bool {
		response := r.must(r.call(http.MethodGet, "/exec/"+r.values["exec"]+"/json", nil, nil), "inspecting the exec", http.StatusOK)
		exec = r.object(response, "the exec")
		return exec["Running"] == false
	})
	r.equal("effect", "/ExitCode", exec["ExitCode"], 5)
}

// replayStats takes two samples.
func replayStats(r *Run, req wire.Request) {
	stream := r.begin(req)
	decoder := json.NewDecoder(stream)
	decoder.UseNumber()
	var moments []any
	for range 2 {
		var sample any
		if err := decoder.Decode(&sample); err != nil {
			r.fatal("stream", "wait for a sample: %v", err)
		}
		r.compareLine(sample)
		moments = append(moments, at(sample, "read"))
	}
	if text(moments[0]) == text(moments[1]) {
		r.finding("value", "/read", "is %s in both samples", text(moments[0]))
	}
}

// compareLine compares one object of a stream with the schema of its status.
func (r *Run) compareLine(value any) {
	declared, ok := r.Operation.Response(http.StatusOK)
	if ok && declared.Schema != nil {
		r.compareSchema(declared.Schema, value)
	}
	r.noteLine(value)
}

// noteLine adds one object of a stream to the shape of the answer that the
// stream is.
func (r *Run) noteLine(value any) {
	if len(r.answers) == 0 {
		return
	}
	last := &r.answers[len(r.answers)-1]
	shape := map[string]map[string]bool{}
	for at, kinds := range last.Shape {
		shape[at] = map[string]bool{}
		for _, kind := range kinds {
			shape[at][kind] = true
		}
	}
	shapeOf([]any{value}, "", shape)
	last.Shape = map[string][]string{}
	for at, kinds := range shape {
		last.Shape[at] = slices.Sorted(maps.Keys(kinds))
	}
}

// replayEvents reads the past life of the container that the fixture made.
func replayEvents(r *Run, req wire.Request) {
	stream := r.begin(req)
	wanted := r.wantedEvents()
	decoder := json.NewDecoder(stream)
	decoder.UseNumber()
	deadline := time.Now().Add(r.suite.Timeout)
	for len(wanted) > 0 && time.Now().Before(deadline) {
		var event any
		if err := decoder.Decode(&event); err != nil {
			r.fatal("stream", "the next of the expected events is %s: %v", text(document.Expand(wanted[0], r.values)), err)
		}
		r.compareLine(event)
		trial := &Run{Case: r.Case, suite: r.suite, values: r.values}
		trial.matchEvent(wanted[0], event)
		if len(trial.findings) == 0 {
			wanted = wanted[1:]
		}
	}
	if len(wanted) > 0 {
		r.finding("stream", "", "no event like %s came", text(document.Expand(wanted[0], r.values)))
	}
}

// wantedEvents are the documented events of what the fixture did, in order.
func (r *Run) wantedEvents() []any {
	var wanted []any
	for _, event := range r.Example.Response.Events {
		name, _ := at(event, "status").(string)
		if name == "" {
			name, _ = at(event, "Action").(string)
		}
		switch name {
		case "create", "start", "stop", "die", "destroy", "connect", "disconnect":
			wanted = append(wanted, event)
		}
	}
	return wanted
}

// matchEvent compares an event with a documented one where the names and the
// placeholders determine it.
func (r *Run) matchEvent(want, got any) {
	for _, name := range []string{"status", "Type", "Action"} {
		if value := at(want, name); value != nil {
			r.equal("value", "/"+name, at(got, name), value)
		}
	}
	r.match("", want, got)
}

// replayArchive reads an archive to its end.
func replayArchive(r *Run, req wire.Request) {
	stream := r.begin(req)
	files := r.readTar(stream)
	switch r.Operation.ID {
	case "ContainerExport":
		r.wantFile(files, "bin/busybox", nil)
	case "ContainerCopy":
		r.wantFile(files, "test.txt", []byte("content"))
	case "ContainerArchive":
		r.wantFile(files, "root/hello", nil)
		r.comparePathStat(stream.Header, "root")
	case "ImageGet", "ImageGetAll":
		r.wantSaved(files)
	}
}

// readTar reads an archive with all its contents; file names lose "./" before
// them and "/" behind them.
func (r *Run) readTar(stream io.Reader) map[string][]byte {
	files := map[string][]byte{}
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.fatal("stream", "after %d files of the archive: %v", len(files), err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			r.fatal("stream", "in file %s of the archive: %v", header.Name, err)
		}
		files[strings.Trim(strings.TrimPrefix(header.Name, "./"), "/")] = content
	}
	// The chunks or the length must end where the archive does.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		r.finding("stream", "", "after the archive: %v", err)
	}
	return files
}

func (r *Run) wantFile(files map[string][]byte, name string, content []byte) {
	got, there := files[name]
	if !there {
		r.finding("stream", "", "the archive has no %s among its %d files", name, len(files))
		return
	}
	if content != nil && !bytes.Equal(got, content) {
		r.finding("stream", "", "%s of the archive holds %q, expected %q", name, excerpt(got), content)
	}
}
