package stream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzSplit reads frames of any bytes. What it takes apart can be put together
// and is the same again, whatever the frames were.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x01a\x02\x00\x00\x00\x00\x00\x00\x02bc"))
	f.Add([]byte("\x00\x00\x00\x00\xff\xff\xff\xffx"))
	f.Add([]byte("\x03\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		var out, err bytes.Buffer
		failed := Split(&out, &err, bytes.NewReader(text))
		if out.Len()+err.Len() > len(text) {
			t.Fatalf("%d bytes out of %d", out.Len()+err.Len(), len(text))
		}
		if failed != nil {
			return
		}
		var joined, out2, err2 bytes.Buffer
		for channel, payload := range map[Channel][]byte{Stdout: out.Bytes(), Stderr: err.Bytes()} {
			if _, err := NewFrameWriter(&joined, channel).Write(payload); err != nil {
				t.Fatal(err)
			}
		}
		if e := Split(&out2, &err2, &joined); e != nil || out2.String() != out.String() || err2.String() != err.String() {
			t.Errorf("%q %q became %q %q: %v", out.String(), err.String(), out2.String(), err2.String(), e)
		}
	})
}

// FuzzWebsocket has a client send any bytes where frames belong: what arrives is no
// more than was sent, and the connection's end is the reader's.
func FuzzWebsocket(f *testing.F) {
	// Masked frames with a key of zeros (RFC 6455, 5.2): a text, a close, a ping, a part.
	f.Add([]byte("\x81\x82\x00\x00\x00\x00hi\x88\x82\x00\x00\x00\x00\x03\xe8"))
	f.Add([]byte("\x89\x80\x00\x00\x00\x00\x02\xfe\x00\x02\x00\x00\x00\x00xy\x80\x80\x00\x00\x00\x00"))
	f.Add([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Add([]byte("\x81\x02hi"))
	read := make(chan int64, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Websocket(w, r)
		if err != nil {
			read <- -1
			return
		}
		n, _ := io.Copy(io.Discard, c) // any error will do
		_ = c.Close()
		read <- n
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, frames []byte) {
		defer effort.Bound()()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		answer := bufio.NewReader(conn)
		if resp, err := http.ReadResponse(answer, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v %v", resp, err)
		}
		_, _ = conn.Write(frames) // the server may have closed after the first of them
		_ = conn.(*net.TCPConn).CloseWrite()
		go func() { _, _ = io.Copy(io.Discard, answer) }()
		select {
		case n := <-read:
			if n < 0 || n > int64(len(frames)) {
				t.Errorf("%q: %d bytes", frames, n)
			}
		case <-time.After(5 * time.Minute):
			t.Fatalf("%q: the reader does not end", frames)
		}
	})
}
