package listen

import (
	"bytes"
	"net"
)

// Clients of Docker up to 1.9 (API 1.21), which the Go of their time let pass,
// write the socket's path into the Host header. Today's HTTP server refuses a
// header with a slash as malformed before any handler sees it, so the
// header is mended in the bytes that arrive.

// mendingListener gives connections whose first request's Host header is
// mended.
type mendingListener struct{ net.Listener }

func (l mendingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &mendingConn{Conn: conn, fresh: true}, nil
}

// mendingConn looks at the first bytes of a connection. A mended request is
// answered with the connection's close, so that no later one comes unmended.
type mendingConn struct {
	net.Conn
	fresh   bool
	pending []byte // mended bytes that no Read has taken yet
}

func (c *mendingConn) Read(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if !c.fresh || n == 0 {
		return n, err
	}
	c.fresh = false
	mended, ok := mendHost(p[:n])
	if !ok {
		return n, err
	}
	n = copy(p, mended)
	c.pending = mended[n:]
	return n, err
}

// NetConn gives the connection below, as that of crypto/tls does.
func (c *mendingConn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends the way to the client, for hijacked connections.
func (c *mendingConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// mendHost replaces a Host header that is a path. Those clients write it right
// below the request line, in their first packet.
func mendHost(request []byte) ([]byte, bool) {
	_, rest, found := bytes.Cut(request, []byte("\r\n"))
	if !found || !bytes.HasPrefix(rest, []byte("Host: /")) {
		return nil, false
	}
	line := len(request) - len(rest)
	end := bytes.Index(rest, []byte("\r\n"))
	if end < 0 {
		return nil, false
	}
	header := "Host: localhost"
	if !bytes.Contains(rest, []byte("\r\nUpgrade: ")) {
		header += "\r\nConnection: close"
	}
	mended := make([]byte, 0, len(request)+len(header))
	mended = append(mended, request[:line]...)
	mended = append(mended, header...)
	return append(mended, rest[end:]...), true
}
