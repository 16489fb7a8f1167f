// Package mutate puts a proxy in front of a daemon that changes one thing of its
// answers. A suite is worth something if it turns red for each of them.
package mutate

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
)

// Answer is an answer of the daemon on its way to the client.
type Answer struct {
	Status int
	Header http.Header
	// Body is the whole body of an answer that has an end; nil for a stream that
	// only Wrap reaches.
	Body []byte
	// Wrap changes the bytes of a stream: a hijacked connection or a body that
	// comes bit by bit. nil leaves them alone.
	Wrap func(io.Reader) io.Reader
}

// Change is what a proxy does to the answers of some requests.
type Change struct {
	// Matches chooses requests by method and target with the version prefix.
	Matches func(method, target string) bool
	// Answer changes an answer. nil leaves it alone.
	Answer func(*Answer)
	// Instead is answered without asking the daemon. nil if Answer is set.
	Instead func() Answer
	// Streams says that the answer is not to be collected: Answer sees the head
	// and may set Wrap.
	Streams bool
	// LateHead holds the head of a stream back until its first byte.
	LateHead bool
	// DeafToEnd keeps from the daemon that the client ended its half.
	DeafToEnd bool
}

// Proxy stands between a suite and a daemon.
type Proxy struct {
	listener net.Listener
	dial     func() (net.Conn, error)

	mu     sync.Mutex
	change *Change
}

// Start listens on a Unix socket at path and forwards to what dial connects to.
func Start(path string, dial func() (net.Conn, error)) (*Proxy, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	p := &Proxy{listener: listener, dial: dial}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the listener is closed
			}
			go p.serve(conn)
		}
	}()
	return p, nil
}

// Close stops listening. Connections that are open end by themselves.
func (p *Proxy) Close() error { return p.listener.Close() }

// Set makes the proxy apply a change, or none if it is nil.
func (p *Proxy) Set(change *Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = change
}

func (p *Proxy) changeFor(request *http.Request) *Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.change != nil && p.change.Matches(request.Method, request.RequestURI) {
		return p.change
	}
	return nil
}

// serve forwards the one exchange of a connection.
func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	fromClient := bufio.NewReader(client)
	request, err := http.ReadRequest(fromClient)
	if err != nil {
		return
	}
	change := p.changeFor(request)
	if change != nil && change.Instead != nil {
		_, _ = io.Copy(io.Discard, request.Body)
		answer := change.Instead()
		_ = writeWhole(client, request.Method, answer)
		return
	}
	daemon, err := p.dial()
	if err != nil {
		return
	}
	defer daemon.Close()
	if err := request.Write(daemon); err != nil {
		return
	}
	go func() {
		// What a client says on a hijacked connection, and that it stopped.
		_, _ = io.Copy(daemon, fromClient)
		if change != nil && change.DeafToEnd {
			return
		}
		if half, ok := daemon.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	fromDaemon := bufio.NewReader(daemon)
	response, err := http.ReadResponse(fromDaemon, request)
	if err != nil {
		return
	}
	_ = forward(client, request.Method, response, fromDaemon, change)
}

func forward(client io.Writer, method string, response *http.Response, fromDaemon io.Reader, change *Change) error {
	answer := Answer{Status: response.StatusCode, Header: response.Header}
	if change != nil && !change.Streams {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		answer.Body = body
		change.Answer(&answer)
		return writeWhole(client, method, answer)
	}
	if change != nil && change.Answer != nil {
		change.Answer(&answer)
	}
	var source io.Reader = response.Body
	if response.StatusCode == http.StatusSwitchingProtocols {
		source = fromDaemon
	}
	if answer.Wrap != nil {
		source = answer.Wrap(source)
	}
	if change != nil && change.LateHead {
		held := bufio.NewReader(source)
		_, _ = held.Peek(1) // a stream that ends has no first byte to wait for
		source = held
	}
	switch {
	case len(response.TransferEncoding) > 0:
		answer.Header.Set("Transfer-Encoding", "chunked")
		answer.Header.Set("Connection", "close")
		if err := writeHead(client, answer); err != nil {
			return err
		}
		chunks := httputil.NewChunkedWriter(client)
		if err := copyAtOnce(chunks, source); err != nil {
			return err // no last chunk: the client sees that it was cut off
		}
		if err := chunks.Close(); err != nil {
			return err
		}
		_, err := io.WriteString(client, "\r\n")
		return err
	case response.ContentLength >= 0 && response.StatusCode != http.StatusSwitchingProtocols:
		answer.Header.Set("Content-Length", strconv.FormatInt(response.ContentLength, 10))
		answer.Header.Set("Connection", "close")
	}
	if err := writeHead(client, answer); err != nil {
		return err
	}
	return copyAtOnce(client, source)
}

// errCut ends a copy in the middle.
var errCut = fmt.Errorf("cut off by the proxy")

// copyAtOnce passes on whatever a read brings.
func copyAtOnce(to io.Writer, from io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func writeHead(to io.Writer, answer Answer) error {
	var head bytes.Buffer
	reason := http.StatusText(answer.Status)
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", answer.Status, reason)
	_ = answer.Header.Write(&head) // a bytes.Buffer takes everything
	head.WriteString("\r\n")
	_, err := to.Write(head.Bytes())
	return err
}

func writeWhole(to io.Writer, method string, answer Answer) error {
	if answer.Header == nil {
		answer.Header = http.Header{}
	}
	answer.Header.Del("Transfer-Encoding")
	answer.Header.Set("Connection", "close")
	bodyless := answer.Status == http.StatusNoContent || answer.Status == http.StatusNotModified
	if bodyless {
		answer.Header.Del("Content-Length")
	} else {
		answer.Header.Set("Content-Length", strconv.Itoa(len(answer.Body)))
	}
	if err := writeHead(to, answer); err != nil {
		return err
	}
	if bodyless || method == http.MethodHead {
		return nil
	}
	_, err := to.Write(answer.Body)
	return err
}
