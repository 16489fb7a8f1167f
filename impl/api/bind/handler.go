package bind

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// Handler serves one operation. path is the value of the path parameter, empty
// when the path has none. A returned error has not been told to the client,
// unless it is a [stream.Told]; the edge maps it to a status.
type Handler func(w http.ResponseWriter, r *http.Request, path string) error

// Mode says how an operation answers (x-berth-mode in the documents).
type Mode string

// The modes.
const (
	ModeJSON   Mode = "json"   // one model or nothing
	ModeStream Mode = "stream" // output that goes on after the headers
	ModeRaw    Mode = "raw"    // the operation writes the answer itself
)

// Route is one operation of one version.
type Route struct {
	Operation string // operationId
	Method    string
	Path      string // with at most one parameter in braces
	Mode      Mode
	Handle    Handler
}

// Version is the route table of one API version.
type Version struct {
	Name   string // for example 1.23
	Routes []Route
}

// Parse fills the parameters P of an operation from a request.
type Parse[P any] func(q *Request, p *P)

func parse[P any](w http.ResponseWriter, r *http.Request, path string, fill Parse[P]) (*P, error) {
	q := newRequest(w, r, path)
	p := new(P)
	fill(q, p)
	return p, q.Err()
}

// Empty serves an operation that answers with a status only.
func Empty[P any](status int, fill Parse[P], call func(context.Context, *P) error) Handler {
	return func(w http.ResponseWriter, r *http.Request, path string) error {
		p, err := parse(w, r, path, fill)
		if err != nil {
			return err
		}
		if err := call(r.Context(), p); err != nil {
			return err
		}
		w.WriteHeader(status)
		return nil
	}
}

// JSON serves an operation that answers with a model.
func JSON[P, M any](status int, fill Parse[P], call func(context.Context, *P) (M, error)) Handler {
	return JSONAs(status, fill, call, func(m M) M { return m })
}

// JSONAs is [JSON] with the model in the shape of a version, V.
func JSONAs[P, M, V any](status int, fill Parse[P], call func(context.Context, *P) (M, error), fromHub func(M) V) Handler {
	return func(w http.ResponseWriter, r *http.Request, path string) error {
		p, err := parse(w, r, path, fill)
		if err != nil {
			return err
		}
		m, err := call(r.Context(), p)
		if err != nil {
			return err
		}
		return writeJSON(w, status, fromHub(m))
	}
}

// JSONOrEmpty is [JSON] for an operation that may also answer 204: it does
// when the model is nil.
func JSONOrEmpty[P, M any](status int, fill Parse[P], call func(context.Context, *P) (*M, error)) Handler {
	return JSONOrEmptyAs(status, fill, call, func(m *M) *M { return m })
}

// JSONOrEmptyAs is [JSONOrEmpty] with the model in the shape of a version, V.
func JSONOrEmptyAs[P, M, V any](status int, fill Parse[P], call func(context.Context, *P) (*M, error), fromHub func(*M) *V) Handler {
	return func(w http.ResponseWriter, r *http.Request, path string) error {
		p, err := parse(w, r, path, fill)
		if err != nil {
			return err
		}
		m, err := call(r.Context(), p)
		if err != nil {
			return err
		}
		if m == nil {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return writeJSON(w, status, fromHub(m))
	}
}

// Text serves an operation that answers with a few characters of plain text.
func Text[P any](status int, fill Parse[P], call func(context.Context, *P) (string, error)) Handler {
	return func(w http.ResponseWriter, r *http.Request, path string) error {
		p, err := parse(w, r, path, fill)
		if err != nil {
			return err
		}
		text, err := call(r.Context(), p)
		if err != nil {
			return err
		}
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(status)
		_, err = w.Write([]byte(text))
		return told(err)
	}
}

// Raw serves an operation that writes its answer itself.
func Raw[P any](fill Parse[P], call func(context.Context, *P, http.ResponseWriter, *http.Request) error) Handler {
	return func(w http.ResponseWriter, r *http.Request, path string) error {
		p, err := parse(w, r, path, fill)
		if err != nil {
			return err
		}
		return call(r.Context(), p, w, r)
	}
}

// writeJSON answers with one JSON value and a newline.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	// The encoder writes once, out of a buffer of its own, and only if all of
	// v can be written: until then another answer is possible, and no copy is made.
	body := &headedWriter{w: w, status: status}
	err := json.NewEncoder(body).Encode(v)
	if err != nil && !body.begun {
		return fault.Internal("The answer cannot be written as JSON: %w", err)
	}
	return told(err)
}

// headedWriter sends status and headers before the first and only write.
type headedWriter struct {
	w      http.ResponseWriter
	status int
	begun  bool
}

func (b *headedWriter) Write(p []byte) (int, error) {
	b.begun = true
	h := b.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(p)))
	b.w.WriteHeader(b.status)
	return b.w.Write(p)
}

func told(err error) error {
	if err == nil {
		return nil
	}
	return &stream.Told{Err: err}
}
