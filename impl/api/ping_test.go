package api

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
)

type pingable struct{ hub.Unimplemented }

func (pingable) SystemPing(context.Context, *hub.SystemPingParams) (string, error) { return "OK", nil }

const plainPing = "GET /_ping HTTP/1.1\r\nHost: engine\r\nUser-Agent: watcher/1\r\n\r\n"

// servePings serves on a unix socket; all counts the pings.
func servePings(t *testing.T) (e *Edge, dial func() (net.Conn, *bufio.Reader), all *atomic.Int64, stop func()) {
	t.Helper()
	all = &atomic.Int64{}
	e = New(pingable{}, Options{Version: "1", CORS: "*", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Observe: func(s Served) {
		if s.Operation == "SystemPing" && s.Status == http.StatusOK {
			all.Add(1)
		}
	}})
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, []net.Listener{l}, 10*time.Second) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return e, func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		return conn, bufio.NewReader(conn)
	}, all, stop
}

var date = regexp.MustCompile(`Date: .*? GMT\r\n`)

// exchangeBytes sends a request and gives the bytes of the answer, without its time.
func exchangeBytes(t *testing.T, conn net.Conn, r *bufio.Reader, request string) string {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	var raw strings.Builder
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(onlyBuffered{r}, &raw)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if !date.MatchString(raw.String()) {
		t.Fatalf("no time in %q", raw.String())
	}
	return date.ReplaceAllString(raw.String(), "")
}

// onlyBuffered gives what has come, so that nothing of the next answer is read.
type onlyBuffered struct{ r *bufio.Reader }

func (o onlyBuffered) Read(p []byte) (int, error) {
	if _, err := o.r.Peek(1); err != nil {
		return 0, err
	}
	return o.r.Read(p[:min(len(p), o.r.Buffered())])
}

// What is answered before the server is answered in the server's very words, and
// everything else goes to the server, on the same connection.
func TestPings(t *testing.T) {
	e, dial, all, stop := servePings(t)
	pinging := func() int { // connections that the server has not seen a request of
		e.conns.mu.Lock()
		defer e.conns.mu.Unlock()
		return len(e.conns.open)
	}
	conn, r := dial()
	first := exchangeBytes(t, conn, r, plainPing)
	second := exchangeBytes(t, conn, r, plainPing)
	if all.Load() != 2 || pinging() != 1 || first != second {
		t.Fatalf("%d pings, %d connections; %q, %q", all.Load(), pinging(), first, second)
	}
	if !strings.Contains(first, "\r\nAccess-Control-Allow-Origin: *\r\n") || !strings.HasSuffix(first, "\r\n\r\nOK") {
		t.Errorf("%q", first)
	}
	server := exchangeBytes(t, conn, r, "GET /_ping HTTP/1.1\r\nHost: engine\r\nX-Other: 1\r\n\r\n")
	if server != first {
		t.Errorf("before the server: %q\nthe server:        %q", first, server)
	}
	if again := exchangeBytes(t, conn, r, plainPing); again != first || all.Load() != 4 || pinging() != 0 {
		t.Errorf("behind the server: %q, %d observed, %d connections", again, all.Load(), pinging())
	}
	if missing := exchangeBytes(t, conn, r, "GET /nowhere HTTP/1.1\r\nHost: engine\r\n\r\n"); !strings.HasPrefix(missing, "HTTP/1.1 404 ") {
		t.Errorf("%q", missing)
	}
	// In pieces, the server waits for the rest.
	conn, r = dial()
	exchangeBytes(t, conn, r, plainPing)
	if _, err := io.WriteString(conn, plainPing[:12]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if pieces := exchangeBytes(t, conn, r, plainPing[12:]); pieces != first {
		t.Errorf("in pieces: %q", pieces)
	}
	// Two at once are two answers.
	conn, r = dial()
	if _, err := io.WriteString(conn, plainPing+plainPing); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("one of two: %v, %v", resp, err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "OK" || err != nil {
			t.Errorf("one of two: %q, %v", body, err)
		}
	}
	// At shutdown, nobody waits for such a connection, however new.
	conn, r = dial()
	exchangeBytes(t, conn, r, plainPing)
	began := time.Now()
	stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection is open after the shutdown")
	}
}

// Nothing is taken for a ping that the server might answer in another way.
func TestPingAgent(t *testing.T) {
	if agent, ok := pingAgent([]byte(plainPing)); !ok || string(agent) != "watcher/1" {
		t.Errorf("%q %v", agent, ok)
	}
	const line = "GET /_ping HTTP/1.1\r\n"
	for _, other := range []string{
		"", line, line + "\r\n", line + "Host: a\r\n", line + "Host: a\r\nHost: b\r\n\r\n", line + "Host: a b\r\n\r\n", line + "Host: /s\r\n\r\n",
		line + "host: a\r\n\r\n", line + "Host:a\r\n\r\n", line + "Host : a\r\n\r\n", line + "Host: a\r\n Accept: b\r\n\r\n",
		line + "Host: a\r\nContent-Length: 1\r\n\r\n", line + "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		line + "Host: a\r\nConnection: close\r\n\r\n", line + "Host: a\r\nUpgrade: tcp\r\n\r\n", line + "Host: a\r\nExpect: 100-continue\r\n\r\n",
		line + "Host: a\r\nUser-Agent: \x00\r\n\r\n", line + "Host: a\r\nUser-Agent: a\nb\r\n\r\n", line + "Host: a\r\n\r\nX",
		plainPing + plainPing, plainPing + "x", "X" + plainPing, strings.Replace(plainPing, "1.1", "1.0", 1),
		strings.Replace(plainPing, "GET", "HEAD", 1), strings.Replace(plainPing, "_ping", "_ping?x", 1), strings.ReplaceAll(plainPing, "\r\n", "\n"),
	} {
		if _, ok := pingAgent([]byte(other)); ok {
			t.Errorf("taken for a ping: %q", other)
		}
	}
}
