package api

import (
	"errors"
	"io"
	"net"
	"sync"
)

// conns are the hijacked connections that are open, which the HTTP server has
// forgotten and shutdown has to close, and those that have only pinged yet.
type conns struct {
	mu     sync.Mutex
	open   map[*hijacked]struct{}
	closed bool
}

func newConns() *conns { return &conns{open: map[*hijacked]struct{}{}} }

// track takes a connection into the set until it is closed. After close it is
// closed at once.
func (c *conns) track(conn net.Conn) net.Conn {
	h := &hijacked{Conn: conn, set: c}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.open[h] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		_ = conn.Close() // its user sees that in the next read or write
	}
	return h
}

// close closes all connections of the set, now and from now on.
func (c *conns) close() {
	c.mu.Lock()
	c.closed = true
	open := c.open
	c.open = map[*hijacked]struct{}{}
	c.mu.Unlock()
	for h := range open {
		_ = h.Conn.Close() // its user sees that in the next read or write
	}
}

// hijacked is a connection that leaves its set when it is closed.
type hijacked struct {
	net.Conn
	set *conns
}

func (h *hijacked) Close() error {
	h.forget()
	return h.Conn.Close()
}

// forget takes the connection out of its set.
func (h *hijacked) forget() {
	h.set.mu.Lock()
	delete(h.set.open, h)
	h.set.mu.Unlock()
}

// CloseWrite ends the way to the client.
func (h *hijacked) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom lets the kernel copy from files and sockets where it can.
func (h *hijacked) ReadFrom(r io.Reader) (int64, error) { return io.Copy(h.Conn, r) }
