// Package wire speaks HTTP/1.1 to a daemon one exchange per connection and keeps
// what went over the wire, because the suite judges the bytes: status lines,
// header sets, chunk borders, what a hijacked connection carries and when it
// ends.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds what Do keeps of an answer. Archives of the suite's images are
// a few megabytes.
const maxBody = 64 << 20

// Endpoint is where a daemon listens.
type Endpoint struct {
	// Host is the address as the user gave it.
	Host string

	network, address string
	tls              *tls.Config
}

// ParseEndpoint understands unix:///path, tcp://host:port and http(s)://host:port.
// A TLS configuration is used for https and, if it is not nil, for tcp.
func ParseEndpoint(host string, config *tls.Config) (Endpoint, error) {
	parsed, err := url.Parse(host)
	if err != nil {
		return Endpoint{}, fmt.Errorf("parse host %q: %w", host, err)
	}
	endpoint := Endpoint{Host: host, tls: config}
	switch parsed.Scheme {
	case "unix":
		endpoint.network, endpoint.address, endpoint.tls = "unix", parsed.Path, nil
	case "https":
		endpoint.network, endpoint.address = "tcp", parsed.Host
		if config == nil {
			endpoint.tls = &tls.Config{ServerName: parsed.Hostname(), MinVersion: tls.VersionTLS12}
		}
	case "tcp", "http":
		endpoint.network, endpoint.address = "tcp", parsed.Host
	default:
		return Endpoint{}, fmt.Errorf("host %q: the scheme must be unix, tcp, http or https", host)
	}
	if endpoint.address == "" {
		return Endpoint{}, fmt.Errorf("host %q names no address", host)
	}
	return endpoint, nil
}

// Dial connects to the daemon.
func (e Endpoint) Dial(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if e.tls != nil {
		return (&tls.Dialer{NetDialer: dialer, Config: e.tls}).DialContext(ctx, e.network, e.address)
	}
	return dialer.DialContext(ctx, e.network, e.address)
}

// Request is one HTTP request.
type Request struct {
	Method string
	// Target is path and query with the version prefix.
	Target string
	// Header has the headers beside Host, Content-Length and Connection: close.
	Header http.Header
	// Body is the whole body, nil for none. An empty body that is not nil sends
	// Content-Length: 0.
	Body []byte
}

// Response is an answer that was read to its end.
type Response struct {
	Status int
	// Reason is the status line without protocol and number, "No Content".
	Reason string
	Header http.Header
	Body   []byte
}

// MediaType is the Content-Type without parameters, in lower case.
func MediaType(header http.Header) string {
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// Do sends a request and reads the answer until its end or the deadline. The
// exchange is never nil and holds what there was when an error occurs.
func Do(ctx context.Context, endpoint Endpoint, request Request, timeout time.Duration) (*Response, *Exchange, error) {
	stream, exchange, err := Open(ctx, endpoint, request, timeout)
	if err != nil {
		return nil, exchange, err
	}
	defer stream.Close()
	body, err := io.ReadAll(io.LimitReader(stream, maxBody))
	response := &Response{Status: stream.Status, Reason: stream.Reason, Header: stream.Header, Body: body}
	if err != nil {
		return response, exchange, fmt.Errorf("read the body of %s %s: %w", request.Method, request.Target, err)
	}
	return response, exchange, nil
}

// Stream is an answer whose head has been read. Read gives the body without
// chunk headers, or the bytes of the hijacked connection.
type Stream struct {
	Status int
	Reason string
	Header http.Header
	// Chunked says that the body has an end of its own, so that a connection
	// that ends before it was cut off.
	Chunked bool

	conn    *recordedConn
	buffer  *bufio.Reader
	body    io.Reader
	timeout time.Duration
	release func() bool
}

// Open sends a request and reads the head of the answer. Every Read and Write
// after it may take as long as the timeout.
func Open(ctx context.Context, endpoint Endpoint, request Request, timeout time.Duration) (*Stream, *Exchange, error) {
	exchange := &Exchange{Method: request.Method, Target: request.Target, Started: time.Now()}
	conn, err := endpoint.Dial(ctx)
	if err != nil {
		return nil, exchange, fmt.Errorf("connect to %s: %w", endpoint.Host, err)
	}
	recorded := &recordedConn{Conn: conn, exchange: exchange}
	// An answer without an end must not outlive its case.
	release := context.AfterFunc(ctx, func() { conn.Close() })
	stream, err := send(recorded, request, timeout)
	if err != nil {
		release()
		conn.Close()
		return nil, exchange, fmt.Errorf("%s %s: %w", request.Method, request.Target, err)
	}
	stream.release = release
	return stream, exchange, nil
}

// Abandon sends the first half of a request, its body included, and hangs up.
func Abandon(ctx context.Context, endpoint Endpoint, request Request, timeout time.Duration) (*Exchange, error) {
	exchange := &Exchange{Method: request.Method, Target: request.Target, Started: time.Now(), header: request.Header}
	conn, err := endpoint.Dial(ctx)
	if err != nil {
		return exchange, fmt.Errorf("connect to %s: %w", endpoint.Host, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return exchange, err
	}
	raw := encode(request)
	if _, err := conn.Write(raw[:len(raw)-len(request.Body)/2]); err != nil {
		return exchange, fmt.Errorf("send half of the request: %w", err)
	}
	exchange.note("client hung up in the middle of its body")
	return exchange, nil
}

func send(conn *recordedConn, request Request, timeout time.Duration) (*Stream, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	conn.exchange.header, conn.exchange.body = request.Header, beginning(request.Body)
	// A server may answer before it has read the body; the answer counts then.
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(encode(request))
		written <- err
	}()
	buffer := bufio.NewReader(conn)
	response, err := http.ReadResponse(buffer, &http.Request{Method: request.Method})
	if err != nil {
		conn.Close()
		if errWrite := <-written; errWrite != nil {
			return nil, fmt.Errorf("send the request: %w", errWrite)
		}
		return nil, fmt.Errorf("read the head of the answer: %w", err)
	}
	stream := &Stream{
		Status: response.StatusCode, Header: response.Header,
		Chunked: slices.Contains(response.TransferEncoding, "chunked"),
		conn:    conn, buffer: buffer, body: response.Body, timeout: timeout,
	}
	conn.exchange.Status = response.StatusCode
	conn.exchange.ResponseHeader = response.Header
	if _, reason, found := strings.Cut(response.Status, " "); found {
		stream.Reason = reason
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		stream.body = buffer
	}
	return stream, nil
}

// encode writes a request. Headers are in alphabetical order, so that equal
// requests are equal bytes.
func encode(request Request) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: docker\r\n", request.Method, request.Target)
	header := request.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "berth-conformance")
	}
	if header.Get("Connection") == "" {
		header.Set("Connection", "close")
	}
	if request.Body != nil || request.Method == http.MethodPost || request.Method == http.MethodPut {
		header.Set("Content-Length", strconv.Itoa(len(request.Body)))
	}
	_ = header.Write(&text) // a bytes.Buffer takes everything
	text.WriteString("\r\n")
	text.Write(request.Body)
	return text.Bytes()
}

// Read reads the decoded body or the hijacked connection.
func (s *Stream) Read(p []byte) (int, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	return s.body.Read(p)
}

// Write sends bytes on the hijacked connection.
func (s *Stream) Write(p []byte) (int, error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	return s.conn.Write(p)
}

// CloseWrite ends the sending half, as a client does whose standard input ended.
func (s *Stream) CloseWrite() error {
	half, ok := s.conn.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("a %T has no sending half", s.conn.Conn)
	}
	s.conn.exchange.note("client closed its sending half")
	return half.CloseWrite()
}

// Close closes the connection.
func (s *Stream) Close() error {
	s.release()
	return s.conn.Close()
}
