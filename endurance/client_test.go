package endurance

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// client speaks HTTP to a daemon's socket, at version 1.23.
type client struct {
	socket string
	hc     *http.Client
}

func newClient(socket string) client { return client{socket, daemon.Client(socket)} }

// raw is a body that is no JSON.
type raw struct {
	kind string // Content-Type
	io.Reader
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %.600s", a.status, a.body) }

func (a answer) ok() bool {
	return a.status >= 200 && a.status < 300 || a.status == http.StatusNotModified
}

// decode reads the body as JSON.
func (a answer) decode(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%w in %v", err, a)
	}
	return nil
}

// send sends a request. path begins behind the version. An error says that
// there was no whole answer.
func (c client) send(ctx context.Context, method, path string, body any) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var reader io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case raw:
		reader, kind = b.Reader, b.kind
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://engine/v1.23"+path, reader)
	if err != nil {
		return answer{}, err
	}
	if reader != nil || method == http.MethodPost {
		r.Header.Set("Content-Type", kind)
	}
	resp, err := c.hc.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, text}, err
}

// transfer is send for pull, load and build, whose answer is a stream of JSON that may
// tell of a failure behind the status 200.
func (c client) transfer(ctx context.Context, path string, body any) error {
	a, err := c.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	if !a.ok() {
		return errors.New(a.String())
	}
	for line := range bytes.Lines(a.body) {
		var message struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(line, &message) == nil && message.Error != "" {
			return errors.New(message.Error)
		}
	}
	return nil
}

// must fails the test unless the answer has one of the statuses; without any,
// every success will do.
func (e *engine) must(method, path string, body any, statuses ...int) answer {
	e.t.Helper()
	a, err := e.send(context.Background(), method, path, body)
	if err != nil {
		e.t.Fatalf("%s %s: %v\n%s", method, path, err, e.stacks())
	}
	if !slices.Contains(statuses, a.status) && (len(statuses) > 0 || !a.ok()) {
		e.t.Fatalf("%s %s: %v", method, path, a)
	}
	return a
}

var sleep = []string{"sleep", "1000"}

// create makes a container and gives its id.
func (e *engine) create(name string, config any) string {
	e.t.Helper()
	path := "/containers/create"
	if name != "" {
		path += "?name=" + name
	}
	var made struct{ ID string }
	if err := e.must(http.MethodPost, path, config, http.StatusCreated).decode(&made); err != nil {
		e.t.Fatal(err)
	}
	return made.ID
}

func (e *engine) begin(id string) {
	e.t.Helper()
	e.must(http.MethodPost, "/containers/"+id+"/start", nil, http.StatusNoContent)
}

func (e *engine) remove(id string) {
	e.t.Helper()
	e.must(http.MethodDelete, "/containers/"+id+"?force=1&v=1", nil, http.StatusNoContent)
}

// sleeper runs a container that does nothing.
func (e *engine) sleeper(name string, host map[string]any) string {
	e.t.Helper()
	id := e.create(name, map[string]any{"Image": "busybox", "Cmd": sleep, "HostConfig": host})
	e.begin(id)
	return id
}

// outcome is what a program in a container left.
type outcome struct {
	code           int
	stdout, stderr string
}

// whole runs a container to its end, removes it and tells what it left.
func (e *engine) whole(config map[string]any) outcome {
	e.t.Helper()
	id := e.create("", config)
	defer e.remove(id)
	e.begin(id)
	return e.ends(id)
}

// ends waits for the end of a container.
func (e *engine) ends(id string) outcome {
	e.t.Helper()
	var end struct{ StatusCode int }
	if err := e.must(http.MethodPost, "/containers/"+id+"/wait", nil, http.StatusOK).decode(&end); err != nil {
		e.t.Fatal(err)
	}
	out, errs := split(e.must(http.MethodGet, "/containers/"+id+"/logs?stdout=1&stderr=1", nil).body)
	return outcome{end.StatusCode, out, errs}
}

// run runs a command in a running container to its end.
func (e *engine) run(id string, command ...string) outcome {
	e.t.Helper()
	o, err := e.exec(context.Background(), id, command...)
	if err != nil {
		e.t.Fatalf("exec %q: %v", command, err)
	}
	return o
}

// exec is run with an error where there is no whole answer, or a refusal.
func (c client) exec(ctx context.Context, id string, command ...string) (o outcome, err error) {
	a, err := c.send(ctx, http.MethodPost, "/containers/"+id+"/exec", map[string]any{"AttachStdout": true, "AttachStderr": true, "Cmd": command})
	if err != nil {
		return o, err
	}
	var made struct{ ID string }
	if err := a.decode(&made); err != nil || made.ID == "" {
		return o, errors.New(a.String())
	}
	a, err = c.send(ctx, http.MethodPost, "/exec/"+made.ID+"/start", map[string]any{})
	if err != nil {
		return o, err
	}
	if !a.ok() {
		return o, errors.New(a.String())
	}
	o.stdout, o.stderr = split(a.body)
	var state struct {
		Running  bool
		ExitCode *int
	}
	// The stream ends a moment before the exit code is there.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if a, err = c.send(ctx, http.MethodGet, "/exec/"+made.ID+"/json", nil); err != nil {
			return o, err
		}
		if err := a.decode(&state); err != nil {
			return o, err
		}
		if !state.Running && state.ExitCode != nil {
			o.code = *state.ExitCode
			return o, nil
		}
		if time.Now().After(end) {
			return o, errors.New("the exec's end does not show")
		}
	}
}

// split takes a stream of frames apart (v1.23 reference, "Attach to a
// container", stream details).
func split(stream []byte) (stdout, stderr string) {
	var text [3]strings.Builder
	for len(stream) >= 8 && stream[0] < 3 {
		n := int(binary.BigEndian.Uint32(stream[4:8]))
		rest := stream[8:]
		text[stream[0]].Write(rest[:min(n, len(rest))])
		stream = rest[min(n, len(rest)):]
	}
	return text[1].String(), text[2].String()
}

// state is what inspect shows of a container, as far as tests look at it.
type state struct {
	ID           string `json:"Id"`
	Name         string
	RestartCount int
	State        struct {
		Status              string
		Running, Restarting bool
		Paused, Dead        bool
		ExitCode, Pid       int
		Error               string
		StartedAt           time.Time
		FinishedAt          time.Time
	}
}

func (e *engine) inspect(id string) state {
	e.t.Helper()
	var s state
	if err := e.must(http.MethodGet, "/containers/"+id+"/json", nil, http.StatusOK).decode(&s); err != nil {
		e.t.Fatal(err)
	}
	return s
}

// hijack sends a request that takes the connection over and gives the
// connection behind the answer's head.
func (c client) hijack(method, path, body string) (net.Conn, *bufio.Reader, *http.Response, error) {
	conn, err := net.Dial("unix", c.socket)
	if err != nil {
		return nil, nil, nil, err
	}
	_, err = fmt.Fprintf(conn, "%s /v1.23%s HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	return conn, r, resp, nil
}

// pack packs files as the body of a build or of an archive that is put into
// a container.
func pack(files map[string]string) raw {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		// bytes.Buffer does not fail.
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
		_, _ = io.WriteString(w, text)
	}
	_ = w.Close()
	return raw{"application/x-tar", &b}
}
