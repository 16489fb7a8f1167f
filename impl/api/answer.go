package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// answer is the ResponseWriter that operations get: it remembers what went
// out, for the log and for errors that come too late for a status.
type answer struct {
	http.ResponseWriter
	conns    *conns
	status   int // 0: nothing has gone out
	bytes    int64
	hijacked bool
	duplex   bool // the answer may begin before the request's end
}

// restLimit is how much of a request that its operation left unread is read to
// keep the connection, in bytes. The server itself would read as much.
const restLimit = 256 << 10

// lingerTime is how long a request with more than that is read on, as long as
// the server itself would (net/http, rstAvoidanceDelay).
const lingerTime = 500 * time.Millisecond

// EnableFullDuplex lets the answer begin before the request's end.
func (a *answer) EnableFullDuplex() error {
	a.duplex = true
	return http.NewResponseController(a.ResponseWriter).EnableFullDuplex()
}

// settle reads to the end of a request whose answer was allowed to begin
// before it. The server would do that too late: at the end of a body it begins to
// watch the connection, and nothing stops that watch before the next request
// any more (net/http, conn.serve: the watch is ended before the body is closed).
// A request that does not end here costs the client its connection.
func (a *answer) settle(r *http.Request) {
	if !a.duplex || a.hijacked {
		return
	}
	if _, err := io.CopyN(io.Discard, r.Body, restLimit); err != nil {
		return // io.EOF, or the connection is lost anyway
	}
	// A client that is sending when its connection goes may lose the answer with
	// it, so it is heard out for a moment (RFC 9112, 9.6).
	control := http.NewResponseController(a.ResponseWriter)
	if a.status != 0 { // else it is being cut off
		_ = control.Flush()
	}
	_ = control.SetReadDeadline(time.Now().Add(lingerTime))
	if _, err := io.Copy(io.Discard, r.Body); err == nil {
		_ = control.SetReadDeadline(time.Time{})
		return
	}
	_ = control.SetReadDeadline(time.Unix(1, 0))
}

// Unwrap gives http.ResponseController the server's own writer.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// ReadFrom keeps the server's way of copying files without user space.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	n, err := io.Copy(a.ResponseWriter, r)
	a.bytes += n
	return n, err
}

// FlushError sends what is buffered, with status 200 if none was given.
func (a *answer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

func (a *answer) begin() {
	if a.status == 0 {
		a.status = http.StatusOK
	}
}

// Hijack gives the connection away. It is closed at shutdown if its new owner
// has not done so by then.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take the connection from the server: %w", err)
	}
	a.hijacked = true
	if a.status == 0 {
		a.status = http.StatusSwitchingProtocols
	}
	return a.conns.track(conn), rw, nil
}
