package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
)

// A ping is the kernel's and the HTTP server's time for the most part, and those who
// watch an engine send nothing else. So a connection on which nothing but pings
// came so far is answered before the server: it still waits for its first request.
// Anything else, a header that it does not expect among it, leaves the
// connection to the server for good; no answer differs.

// pinger knows the answer to GET /_ping.
type pinger struct {
	edge       *Edge
	head, tail []byte // before and behind the time
}

// newPinger gives nil if pings are not the same for everybody.
func (e *Edge) newPinger(ctx context.Context) *pinger {
	if e.options.Authorize != nil {
		return nil
	}
	text, err := e.engine.SystemPing(ctx, &hub.SystemPingParams{})
	if err != nil {
		return nil
	}
	h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Content-Length": {strconv.Itoa(len(text))}}
	for _, own := range e.headers {
		h[own.name] = own.values
	}
	head := bytes.NewBufferString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(head) // sorted, as the server does it
	head.WriteString("Date: ")
	return &pinger{edge: e, head: head.Bytes(), tail: []byte("\r\n\r\n" + text)}
}

// listener gives connections on which pings are answered, where that costs nobody
// anything: not behind a door, with TLS, or where the kernel copies files for
// the server.
func (p *pinger) listener(l net.Listener) net.Listener {
	if _, door := l.(*Door); door || p == nil {
		return l
	}
	return &pingListener{l, p}
}

type pingListener struct {
	net.Listener
	pinger *pinger
}

func (l *pingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_, secret := conn.(*tls.Conn)
	if _, copies := conn.(io.ReaderFrom); copies || secret {
		return conn, nil
	}
	// The server does not take it for idle at shutdown while it is new.
	return &pingConn{Conn: l.pinger.edge.conns.track(conn), pinger: l.pinger, only: true}, nil
}

// pingConn is a connection of the server's.
type pingConn struct {
	net.Conn // *hijacked
	pinger   *pinger
	only     bool      // nothing but pings came so far
	armed    time.Time // when the deadline was set
	answer   []byte
}

// NetConn gives the connection below, as that of crypto/tls does.
func (c *pingConn) NetConn() net.Conn { return c.Conn.(*hijacked).Conn }

// CloseWrite ends the way to the client, for hijacked connections.
func (c *pingConn) CloseWrite() error { return c.Conn.(*hijacked).CloseWrite() }

// Read answers pings and gives what is none.
func (c *pingConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if !c.only {
			return n, err
		}
		began := time.Now()
		agent, ok := pingAgent(b[:n])
		e := c.pinger.edge
		if err != nil || !ok || e.draining.Err() != nil || e.logger.Enabled(context.Background(), slog.LevelDebug) {
			c.only = false
			c.Conn.(*hijacked).forget()
			if !c.armed.IsZero() {
				_ = c.SetReadDeadline(began.Add(headTimeout))
			}
			return n, err
		}
		if err := c.reply(began); err != nil {
			return 0, err
		}
		e.requests.Add(1)
		if e.options.Observe != nil {
			e.options.Observe(Served{Operation: "SystemPing", UserAgent: string(agent), Status: http.StatusOK, Duration: time.Since(began)})
		}
	}
}

func (c *pingConn) reply(now time.Time) error {
	if now.Sub(c.armed) > time.Second {
		if err := c.SetReadDeadline(now.Add(idleTimeout)); err != nil {
			return err
		}
		c.armed = now
	}
	c.answer = append(c.answer[:0], c.pinger.head...)
	c.answer = now.UTC().AppendFormat(c.answer, http.TimeFormat)
	c.answer = append(c.answer, c.pinger.tail...)
	_, err := c.Write(c.answer)
	return err
}

// pingAgent says that b is one whole GET /_ping with headers that change nothing
// of the answer, and gives the client's User-Agent.
func pingAgent(b []byte) (agent []byte, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte("GET /_ping HTTP/1.1\r\n"))
	if !ok || !bytes.HasSuffix(rest, []byte("\r\n\r\n")) {
		return nil, false
	}
	hosts := 0
	for rest = rest[:len(rest)-2]; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			return nil, false
		}
		switch string(name) {
		case "Host":
			hosts++
			for _, c := range value {
				if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != ':' {
					return nil, false
				}
			}
		case "User-Agent":
			if agent != nil {
				return nil, false
			}
			agent = value
		case "Accept", "Accept-Encoding":
		default:
			return nil, false
		}
		for _, c := range value {
			if c < ' ' || c > '~' {
				return nil, false
			}
		}
	}
	return agent, hosts == 1
}
