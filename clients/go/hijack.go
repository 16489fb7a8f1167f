package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Conn is a connection that attach or exec took over: what is written is the
// process's standard input, what is read is its output, in frames (see Split)
// unless it has a terminal.
type Conn struct {
	net.Conn
	reader *bufio.Reader // may hold the first bytes of output
}

// Read reads output.
func (c *Conn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// CloseWrite ends the process's standard input and leaves its output open.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("this connection has no halves")
	}
	return half.CloseWrite()
}

// Error is the engine's answer to a request that it did not carry out.
type Error struct {
	// Status is the HTTP status, Message the engine's sentence.
	Status  int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Message) }

// Attachment says which streams of a container a connection has (POST
// /containers/{name}/attach).
type Attachment struct {
	// Logs replays what was written before, Stream goes on with what comes.
	Logs, Stream          bool
	Stdin, Stdout, Stderr bool
	// DetachKeys end the connection when they are typed ("ctrl-p,ctrl-q"); from 1.22 on.
	DetachKeys string
}

// Attach connects to a container's standard streams.
func (c *Client) Attach(ctx context.Context, container string, a Attachment) (*Conn, error) {
	query := url.Values{}
	for name, on := range map[string]bool{"logs": a.Logs, "stream": a.Stream, "stdin": a.Stdin, "stdout": a.Stdout, "stderr": a.Stderr} {
		if on {
			query.Set(name, "1")
		}
	}
	if a.DetachKeys != "" {
		query.Set("detachKeys", a.DetachKeys)
	}
	return c.hijack(ctx, "/containers/"+url.PathEscape(container)+"/attach?"+query.Encode(), nil)
}

// ExecStart starts an exec and connects to its streams. tty is what the exec was
// created with.
func (c *Client) ExecStart(ctx context.Context, id string, tty bool) (*Conn, error) {
	return c.hijack(ctx, "/exec/"+url.PathEscape(id)+"/start", map[string]bool{"Detach": false, "Tty": tty})
}

// hijack sends a request for the connection itself. ctx bounds the request, not
// what follows.
func (c *Client) hijack(ctx context.Context, path string, body any) (_ *Conn, err error) {
	text := []byte{}
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+c.Host+"/v"+c.version+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "tcp")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			_ = conn.Close()
		}
	}()
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	// Engines answer 101 to those who ask for an upgrade; older ones 200.
	if response.StatusCode != http.StatusSwitchingProtocols && response.StatusCode != http.StatusOK {
		message, err := io.ReadAll(response.Body)
		return nil, errors.Join(&Error{response.StatusCode, strings.TrimSpace(string(message))}, err)
	}
	return &Conn{conn, reader}, nil
}
