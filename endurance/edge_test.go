package endurance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bounded says that the daemon answers at once, and that its memory did not
// grow by more than so many bytes.
func (e *engine) bounded(what string, before, growth int64) {
	e.t.Helper()
	began := time.Now()
	e.must(http.MethodGet, "/containers/json", nil, http.StatusOK)
	if d := time.Since(began); d > 5*time.Second {
		e.t.Errorf("%s: a list takes %v", what, d)
	}
	if now := e.memory(); now-before > growth {
		e.t.Errorf("%s: the daemon grew from %d to %d MB", what, before>>20, now>>20)
	}
}

// say writes bytes to a new connection and gives the status of the answer; 0 when the connection
// was closed without one.
func (e *engine) say(text string) (int, string) {
	e.t.Helper()
	conn, err := net.Dial("unix", e.command.Socket)
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	go func() { _, _ = io.WriteString(conn, text) }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode, string(body)
}

// Connections that say nothing, or little and slowly, and readers that stay, cost
// little and hold nobody up; afterwards nothing is left of them.
func TestCrowds(t *testing.T) {
	e := start(t, options{})
	before, memory := e.steady(), e.memory()
	var conns []net.Conn
	dial := func(text string) {
		conn, err := net.Dial("unix", e.command.Socket)
		// The queue of connections that nobody has accepted yet is short (unix(7)).
		for end := time.Now().Add(patience); errors.Is(err, syscall.EAGAIN) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			conn, err = net.Dial("unix", e.command.Socket)
		}
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	for range 10_000 {
		dial("")
	}
	e.bounded("10,000 silent connections", memory, 400<<20)
	for range 500 {
		dial("GET /v1.23/info HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		dial("POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"Image\":")
	}
	for range 1000 {
		dial("GET /v1.23/events HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	e.bounded("slow heads and bodies, 1,000 readers of events", memory, 500<<20)
	e.remove(e.sleeper("", nil)) // its events go to all
	for _, c := range conns {
		c.Close()
	}
	e.settles(before)
}

// What no client may send is refused in bounded memory and time.
func TestShapes(t *testing.T) {
	e := start(t, options{})
	before, memory := e.steady(), e.memory()
	huge := strings.Repeat("x", 8<<20)
	nested := strings.Repeat(`{"a":`, 1<<20) + strings.Repeat("}", 1<<20)
	post := func(body string) string {
		return fmt.Sprintf("POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for name, text := range map[string]string{
		"a huge header":                 "GET /v1.23/info HTTP/1.1\r\nHost: x\r\nX-Huge: " + huge + "\r\n\r\n",
		"a huge path":                   "GET /v1.23/" + huge + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"many headers":                  "GET /v1.23/info HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 1<<20) + "\r\n",
		"deep JSON objects":             post(nested),
		"deep JSON arrays":              post(`{"Cmd":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + "}"),
		"a number out of range":         post(`{"Image":"busybox","HostConfig":{"Memory":1e400}}`),
		"an integer out of range":       post(`{"Image":"busybox","HostConfig":{"Memory":92233720368547758080}}`),
		"a fraction for an integer":     post(`{"Image":"busybox","HostConfig":{"CpuShares":1.5}}`),
		"a negative amount of memory":   post(`{"Image":"busybox","HostConfig":{"Memory":-9223372036854775808}}`),
		"two lengths":                   "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n{}   GET /v1.23/info HTTP/1.1\r\n\r\n",
		"a length and chunks":           "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an odd encoding":               "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"a signed length":               "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
		"a negative length":             "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
		"a chunk that is no number":     "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"a folded header":               "GET /v1.23/containers/none/json HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
		"a space before the colon":      "GET /v1.23/info HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n",
		"no host":                       "GET /v1.23/info HTTP/1.1\r\n\r\n",
		"an upgrade of a create":        "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"a preface of HTTP/2":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"an attach to nothing":          "POST /v1.23/containers/none/attach?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n",
		"a body without its length":     "POST /v1.23/containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n{\"Image\":\"busybox\"}",
		"a method that is none":         "BREW /v1.23/info HTTP/1.1\r\nHost: x\r\n\r\n",
		"a path that leaves its prefix": "GET /v1.23/../../etc/shadow HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		began := time.Now()
		status, said := e.say(text)
		if status != 0 && (status < 400 || status == http.StatusInternalServerError) {
			t.Errorf("%s: %d %.200s", name, status, said)
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s: takes %v", name, d)
		}
		e.bounded(name, memory, 300<<20)
	}
	e.settles(before)
}

// NUL, newline and their like in every name are refused; nothing is made.
func TestNames(t *testing.T) {
	e := start(t, options{})
	before := e.steady()
	id := e.sleeper("here", nil)
	for _, bad := range []string{"a\x00b", "a\nb", "a\r\nX: y", "../../etc", "/etc/passwd\x00", ".", "..", "\xff\xfe", "a b", "%00", "\x1b[2J"} {
		q := url.QueryEscape(bad)
		p := url.PathEscape(bad)
		for _, r := range []struct {
			method, path string
			body         any
		}{
			{"POST", "/containers/create?name=" + q, map[string]any{"Image": "busybox"}},
			{"POST", "/containers/here/rename?name=" + q, nil},
			{"POST", "/containers/create", map[string]any{"Image": bad}},
			{"POST", "/volumes/create", map[string]any{"Name": bad}},
			{"POST", "/networks/create", map[string]any{"Name": bad, "Driver": bad}},
			{"POST", "/images/busybox/tag?repo=" + q + "&tag=" + q, nil},
			{"POST", "/images/create?fromImage=" + q, nil},
			{"POST", "/build?t=" + q, pack(map[string]string{"Dockerfile": "FROM busybox\n"})},
			{"GET", "/containers/" + p + "/json", nil},
			{"GET", "/images/" + p + "/json", nil},
			{"GET", "/volumes/" + p, nil},
			{"GET", "/networks/" + p, nil},
			{"GET", "/exec/" + p + "/json", nil},
			{"POST", "/containers/here/exec", map[string]any{"Cmd": []string{"true"}, "User": bad + ":" + bad}},
		} {
			a, err := e.send(t.Context(), r.method, r.path, r.body)
			if err != nil {
				t.Errorf("%s %.100s: %v", r.method, r.path, err)
				continue
			}
			made := a.ok() && !slices.Contains([]string{"GET"}, r.method) && !strings.HasSuffix(r.path, "/exec") && !strings.Contains(string(a.body), `"error"`)
			if made || a.status == http.StatusInternalServerError {
				t.Errorf("%q: %s %.100s: %v", bad[:min(len(bad), 20)], r.method, r.path, a)
			}
		}
	}
	if s := e.inspect(id); s.Name != "/here" {
		t.Errorf("renamed to %q", s.Name)
	}
	e.remove(id)
	e.settles(before)
}
