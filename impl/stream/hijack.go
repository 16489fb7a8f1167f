package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// RawStream is the content type of a hijacked connection.
const RawStream = "application/vnd.docker.raw-stream"

// bodyMax bounds a body that is dropped, in bytes.
const bodyMax = 1 << 20

// Conn is a client's connection after the answer's head: bytes both ways, and
// each way can be closed alone.
type Conn struct {
	net.Conn
	reader io.Reader
}

// Read returns what the client sends, including what it sent before the
// connection was taken over. io.EOF is the client's half-close.
func (c *Conn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// CloseWrite ends the way to the client and leaves the way from it open. A
// connection that cannot do that is closed altogether.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// Hijack takes the connection over for attach and exec: it answers "101
// UPGRADED" when the client asked for an upgrade, which tells proxies between
// about it (v1.17 and later clients do), else "200 OK", and gives the
// connection to the caller, who must close it.
//
// A body of a declared length that nobody read is no input and is dropped:
// dockerode sends one. The request's context says nothing about the connection from here on: a client that
// half-closes before the takeover has cancelled it. The end of the connection
// shows in Read and Write only.
func Hijack(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	if r.ContentLength > 0 {
		if _, err := io.Copy(io.Discard, io.LimitReader(r.Body, bodyMax)); err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take the connection over: %w", err)
	}
	var head strings.Builder
	if _, upgrade := r.Header["Upgrade"]; upgrade {
		head.WriteString("HTTP/1.1 101 UPGRADED\r\nContent-Type: " + RawStream + "\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n")
	} else {
		head.WriteString("HTTP/1.1 200 OK\r\nContent-Type: " + RawStream + "\r\n")
	}
	for _, name := range []string{"Api-Version", "Ostype", "Server"} {
		if v := w.Header().Get(name); v != "" {
			head.WriteString(name + ": " + v + "\r\n")
		}
	}
	head.WriteString("\r\n")
	// No deadline of the server's for reading the head may end the session.
	err = conn.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(conn, head.String())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("answer the upgrade: %w", err), conn.Close())
	}
	return &Conn{Conn: conn, reader: drained(buffered.Reader, conn)}, nil
}

// drained reads what the server had read ahead and then the connection itself,
// without a buffer between for the rest of the session.
func drained(ahead *bufio.Reader, conn net.Conn) io.Reader {
	n := ahead.Buffered()
	if n == 0 {
		return conn
	}
	return io.MultiReader(io.LimitReader(ahead, int64(n)), conn)
}
