package bind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/seed-50ced230/berth/impl/stream"
)

// Kind says what a streaming operation sends.
type Kind struct {
	ContentType string
	Status      int
	// Progress: JSON lines that end with CRLF, and a failure in their midst is
	// one more line (pull, push, build, load), as the engines of API 1.23 did.
	Progress bool
	// Archive: bytes that nobody waits for one by one, so packets are filled.
	Archive bool
	// Upgrade: a client that asks for it gets the stream on the bare
	// connection, after status 101.
	Upgrade bool
}

// Stream serves an operation that goes on writing after the headers.
func Stream[P any](kind Kind, fill Parse[P], call func(context.Context, *P, stream.Output) error) Handler {
	return serveStream(kind, fill, call, nil)
}

// StreamAs is [Stream] with every encoded M or *M in the shape of a version, V.
func StreamAs[P, M, V any](kind Kind, fill Parse[P], call func(context.Context, *P, stream.Output) error, fromHub func(*M) *V) Handler {
	return serveStream(kind, fill, call, func(v any) any {
		switch m := v.(type) {
		case *M:
			return fromHub(m)
		case M:
			return fromHub(&m)
		}
		return v
	})
}

func serveStream[P any](kind Kind, fill Parse[P], call func(context.Context, *P, stream.Output) error, shape func(any) any) Handler {
	return func(w http.ResponseWriter, r *http.Request, path string) error {
		p, err := parse(w, r, path, fill)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		out := &output{w: w, kind: kind, shape: shape, flush: http.NewResponseController(w).Flush}
		if kind.Upgrade && r.Header.Get("Upgrade") != "" {
			out.upgrade = func() (*stream.Conn, error) { return upgrade(w, r, cancel) }
		}
		err = call(ctx, p, out)
		switch {
		case err == nil:
			return told(out.end())
		case out.started && kind.Progress:
			return told(errors.Join(err, out.failure(err)))
		default:
			return errors.Join(err, out.close())
		}
	}
}

// upgrade takes the connection over. What the client sends has no meaning, but its
// end ends the operation, as it does on a connection of the server's.
func upgrade(w http.ResponseWriter, r *http.Request, gone context.CancelFunc) (*stream.Conn, error) {
	conn, err := stream.Hijack(w, r)
	if err != nil {
		return nil, err
	}
	go func() {
		defer gone()
		_, _ = io.Copy(io.Discard, conn) // any end of it is the client's end
	}()
	return conn, nil
}

// output implements stream.Output on an answer.
type output struct {
	w       http.ResponseWriter
	flush   func() error
	kind    Kind
	shape   func(any) any // nil: values are sent as they are
	started bool

	upgrade func() (*stream.Conn, error) // nil: the client did not ask for it
	conn    *stream.Conn                 // after an upgrade
}

func (o *output) Header() http.Header { return o.w.Header() }

func (o *output) SetContentType(mediaType string) { o.kind.ContentType = mediaType }

func (o *output) Started() bool { return o.started }

// head sends status and headers into the server's buffer, or on the bare
// connection.
func (o *output) head() error {
	if o.started {
		return nil
	}
	o.started = true
	if o.upgrade != nil {
		conn, err := o.upgrade()
		if err != nil {
			return err
		}
		o.conn = conn
		return nil
	}
	if o.kind.ContentType != "" {
		o.w.Header().Set("Content-Type", o.kind.ContentType)
	} else {
		// Do not let the server guess from the first bytes of a log.
		o.w.Header()["Content-Type"] = nil
	}
	o.w.WriteHeader(o.kind.Status)
	return nil
}

func (o *output) Begin() error {
	if o.started {
		return nil
	}
	if err := o.head(); err != nil {
		return err
	}
	return o.send()
}

// send flushes what the server has buffered.
func (o *output) send() error {
	if o.conn != nil {
		return nil
	}
	if err := o.flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("send to the client: %w", err)
	}
	return nil
}

func (o *output) Write(p []byte) (int, error) {
	if err := o.head(); err != nil {
		return 0, err
	}
	var to io.Writer = o.w
	if o.conn != nil {
		to = o.conn
	}
	n, err := to.Write(p)
	if err != nil {
		return n, fmt.Errorf("send to the client: %w", err)
	}
	if o.kind.Archive {
		return n, nil
	}
	return n, o.send()
}

func (o *output) Encode(v any) error {
	if o.shape != nil {
		v = o.shape(v)
	}
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write a value as JSON: %w", err)
	}
	if o.kind.Progress {
		line = append(line, '\r')
	}
	_, err = o.Write(append(line, '\n'))
	return err
}

// end finishes a stream that succeeded, if only with nothing to say.
func (o *output) end() error { return errors.Join(o.head(), o.close()) }

// close ends a connection that was taken over.
func (o *output) close() error {
	if o.conn == nil {
		return nil
	}
	return o.conn.Close()
}

// failure tells the client in the stream's own form why it ends. An error that
// has a code of its own there (the exit status of a build's command) has a
// method StreamCode.
func (o *output) failure(err error) error {
	type detail struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message"`
	}
	code := 0
	var coded interface{ StreamCode() int }
	if errors.As(err, &coded) {
		code = coded.StreamCode()
	}
	return o.Encode(struct {
		Detail detail `json:"errorDetail"`
		Error  string `json:"error"`
	}{detail{code, err.Error()}, err.Error()})
}
