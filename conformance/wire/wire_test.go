package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// serve runs f for every connection to a Unix socket.
func serve(t *testing.T, f func(net.Conn)) wire.Endpoint {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn)
			}()
		}
	}()
	endpoint, err := wire.ParseEndpoint("unix://"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

// answer reads a head and sends text.
func answer(text string) func(net.Conn) {
	return func(conn net.Conn) {
		buffer := make([]byte, 4096)
		_, _ = conn.Read(buffer)
		_, _ = io.WriteString(conn, text)
	}
}

func get(target string) wire.Request { return wire.Request{Method: http.MethodGet, Target: target} }

func TestDo(t *testing.T) {
	endpoint := serve(t, answer("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nnope\n"))
	response, exchange, err := wire.Do(context.Background(), endpoint, get("/x"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if response.Status != 404 || string(response.Body) != "nope\n" || wire.MediaType(response.Header) != "text/plain" {
		t.Errorf("got %d %q", response.Status, response.Body)
	}
	if exchange.Status != 404 || !strings.HasPrefix(exchange.Pieces()[0].Text, "GET /x HTTP/1.1\nHost: docker\n") {
		t.Errorf("recorded %v", exchange.Pieces())
	}
}

func TestDoNoticesWhatIsCutOff(t *testing.T) {
	for name, text := range map[string]string{
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"head":    "HTTP/1.1 200 OK\r\nContent-Le",
		"nothing": "",
	} {
		if _, _, err := wire.Do(context.Background(), serve(t, answer(text)), get("/"), time.Second); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHijackedConnection(t *testing.T) {
	endpoint := serve(t, func(conn net.Conn) {
		buffer := make([]byte, 4096)
		_, _ = conn.Read(buffer)
		_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello ")
		said, _ := io.ReadAll(conn)
		_, _ = conn.Write(bytes.ToUpper(said))
	})
	stream, _, err := wire.Open(context.Background(), endpoint, get("/"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if stream.Status != 101 || stream.Reason != "UPGRADED" {
		t.Errorf("status line %d %q", stream.Status, stream.Reason)
	}
	if _, err := stream.Write([]byte("world")); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if heard, err := io.ReadAll(stream); err != nil || string(heard) != "hello WORLD" {
		t.Errorf("heard %q, %v", heard, err)
	}
}

func TestReadFrames(t *testing.T) {
	frame := func(stream byte, payload string) string {
		return string([]byte{stream, 0, 0, 0, 0, 0, 0, byte(len(payload))}) + payload
	}
	stdout, stderr, err := wire.ReadFrames(strings.NewReader(frame(1, "a") + frame(2, "x") + frame(1, "") + frame(1, "b")))
	if err != nil || string(stdout) != "ab" || string(stderr) != "x" {
		t.Errorf("got %q, %q, %v", stdout, stderr, err)
	}
	for name, text := range map[string]string{
		"cut payload": frame(1, "abc")[:9], "cut header": frame(1, "abc")[:4], "text": "plain text", "stream 3": frame(3, "a"),
	} {
		if _, _, err := wire.ReadFrames(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWebSocketRefusesAWrongAccept(t *testing.T) {
	endpoint := serve(t, answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n"))
	socket, stream, _, err := wire.OpenWebSocket(context.Background(), endpoint, "/", time.Second)
	if err == nil || socket != nil || stream == nil {
		t.Fatalf("got %v, %v, %v", socket, stream, err)
	}
	stream.Close()
}

func TestPrintableLeavesCredentialsOut(t *testing.T) {
	shown := wire.Printable([]byte("POST / HTTP/1.1\r\nX-Registry-Auth: c2VjcmV0\r\n\r\n\x00\xff é"))
	if want := "POST / HTTP/1.1\nX-Registry-Auth: (left out)\n\n\\x00\\xff é"; shown != want {
		t.Errorf("shown as %q, expected %q", shown, want)
	}
}

func TestParseEndpoint(t *testing.T) {
	for host, ok := range map[string]bool{
		"unix:///run/a.sock": true, "tcp://127.0.0.1:2375": true, "http://a:1": true, "https://a:1": true,
		"ssh://a": false, "unix://": false, "/run/a.sock": false,
	} {
		if _, err := wire.ParseEndpoint(host, nil); (err == nil) != ok {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestDecodeLines(t *testing.T) {
	lines, err := wire.DecodeLines(strings.NewReader("{\"a\":1}\r\n{\"a\":2}\r\n"))
	if err != nil || len(lines) != 2 {
		t.Errorf("got %v, %v", lines, err)
	}
	if lines, err := wire.DecodeLines(strings.NewReader("{\"a\":1}\r\n{\"a\":")); err == nil || len(lines) != 1 || errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v", lines, err)
	}
	if _, err := wire.DecodeJSON([]byte(`{} {}`)); err == nil {
		t.Error("two values: no error")
	}
	if value, err := wire.DecodeJSON([]byte(`9007199254740993`)); err != nil || fmt.Sprint(value) != "9007199254740993" {
		t.Errorf("a large number became %v, %v", value, err)
	}
}

// What is over the bound is counted in one piece, not listed read by read.
func TestExchangeIsBounded(t *testing.T) {
	const reads, size = 2000, 1000
	endpoint := serve(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", reads*size)
		for range reads {
			_, _ = conn.Write(bytes.Repeat([]byte("x"), size))
		}
	})
	response, exchange, err := wire.Do(context.Background(), endpoint, get("/x"), 10*time.Second)
	if err != nil || len(response.Body) != reads*size {
		t.Fatalf("%d bytes, %v", len(response.Body), err)
	}
	pieces := exchange.Pieces()
	kept, bytes, last := 0, 0, pieces[len(pieces)-1]
	for _, piece := range pieces[1:] {
		kept += len(piece.Text)
		bytes += piece.Bytes
	}
	if len(pieces) > 20 || kept > 10<<10 {
		t.Errorf("%d pieces keep %d bytes", len(pieces), kept)
	}
	if bytes < reads*size || last.Reads < 2 || last.Text != fmt.Sprintf("… %d more bytes", last.Bytes) {
		t.Errorf("%d bytes are counted; the last piece is %+v", bytes, last)
	}
}
