package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/impl/api/bind"
	"github.com/seed-50ced230/berth/impl/authz"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/spec"
)

// bodyTimeout bounds how long a client may take to send a body that plugins
// are to see.
const bodyTimeout = time.Minute

// archives gives the operations whose body is an archive (format binary in the
// documents). Those bodies stream past the plugins.
func archives() map[string]bool {
	found := map[string]bool{}
	for _, version := range spec.Versions() {
		text, _ := spec.Document(version)
		var document struct {
			Paths map[string]map[string]json.RawMessage
		}
		if json.Unmarshal(text, &document) != nil {
			continue // what is not found is read, and refused if it is large
		}
		for _, item := range document.Paths {
			for method, raw := range item {
				var operation struct {
					ID         string `json:"operationId"`
					Parameters []struct {
						In     string
						Schema struct{ Format string }
					}
				}
				if method == "parameters" || json.Unmarshal(raw, &operation) != nil {
					continue
				}
				for _, p := range operation.Parameters {
					if p.In == "body" && p.Schema.Format == "binary" {
						found[operation.ID] = true
					}
				}
			}
		}
	}
	return found
}

// authorized serves a request if the plugins allow it, and gives its answer out
// if they allow that. path is the one that was routed, with its version.
func (e *Edge) authorized(x *exchange, a *answer, r *http.Request, path string, mode bind.Mode, serve func(http.ResponseWriter, *http.Request) error) error {
	q := authz.Question{Method: r.Method, URI: (&url.URL{Path: path, RawQuery: r.URL.RawQuery}).RequestURI(), Headers: r.Header}
	if r.TLS != nil {
		q.Peers = r.TLS.PeerCertificates
	}
	if e.isRead(x.operation, r) {
		body, err := wholeBody(a, r)
		if err != nil {
			return err
		}
		// The engine gets the very bytes that the plugins saw.
		r.Body = io.NopCloser(bytes.NewReader(body))
		if x.operation != "SystemAuth" { // a password, which plugins never got
			q.Body = body
		}
	}
	allowed, err := e.options.Authorize.Request(r.Context(), q)
	if err != nil {
		return err
	}
	g := &guarded{answer: a, ctx: r.Context(), exchange: allowed, whole: mode == bind.ModeJSON, headers: a.Header().Clone()}
	err = serve(g, r)
	switch {
	case g.denied != nil:
		return g.denied
	case err != nil:
		return err
	}
	return g.end()
}

// isRead says whether plugins see the request's body: all but archives. A form
// holds parameters, whatever the operation.
func (e *Edge) isRead(operation string, r *http.Request) bool {
	if !e.archives[operation] {
		return true
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

// wholeBody reads a body by what arrives, not by what its headers say.
func wholeBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // as bind does; no other writer comes here
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, authz.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fault.Forbidden("authorization denied: the request body is larger than the %d bytes that plugins can see", authz.MaxBody)
	case err != nil:
		return nil, fault.Invalid("Bad parameters: the request body cannot be read: %w", err)
	}
	return body, nil
}

// guarded holds an answer back until the plugins have allowed it: the whole
// one of an operation that answers with a model, up to authz.MaxBody, else the
// status and the headers.
type guarded struct {
	*answer
	ctx      context.Context
	exchange *authz.Exchange
	whole    bool

	headers http.Header // before the operation
	status  int         // 0: the operation has said nothing yet
	body    bytes.Buffer
	allowed bool
	denied  error
}

// Unwrap gives http.ResponseController what this does not do itself.
func (g *guarded) Unwrap() http.ResponseWriter { return g.answer }

func (g *guarded) WriteHeader(status int) {
	if g.status != 0 || status < 200 {
		return
	}
	g.status = status
	if !g.whole {
		_ = g.ask(nil) // kept in g.denied
	}
}

// ask asks the plugins, once, and sends the head if they allow.
func (g *guarded) ask(body []byte) error {
	if g.allowed || g.denied != nil {
		return g.denied
	}
	if !strings.HasPrefix(g.Header().Get("Content-Type"), "application/json") {
		body = nil
	}
	if err := g.decide(g.status, body); err != nil {
		return err
	}
	g.answer.WriteHeader(g.status)
	return nil
}

// decide has the plugins decide, once. A refusal takes back the operation's
// headers, which may tell of what it found.
func (g *guarded) decide(status int, body []byte) error {
	g.denied = g.exchange.Response(g.ctx, status, g.Header(), body)
	if g.denied != nil {
		clear(g.Header())
		maps.Copy(g.Header(), g.headers)
		return g.denied
	}
	g.allowed = true
	return nil
}

func (g *guarded) Write(p []byte) (int, error) {
	if g.status == 0 {
		g.WriteHeader(http.StatusOK)
	}
	if g.whole && !g.allowed && g.denied == nil {
		if g.body.Len()+len(p) <= authz.MaxBody {
			return g.body.Write(p)
		}
		if err := g.release(nil); err != nil {
			return 0, err
		}
	}
	if g.denied != nil {
		return 0, g.denied
	}
	return g.answer.Write(p)
}

// ReadFrom hides the answer's own, which asks nobody.
func (g *guarded) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{g}, r)
}

// release sends what was held back.
func (g *guarded) release(body []byte) error {
	if err := g.ask(body); err != nil {
		return err
	}
	_, err := g.answer.Write(g.body.Bytes())
	g.body.Reset()
	return err
}

// FlushError is for streams; what is held back whole stays.
func (g *guarded) FlushError() error {
	if g.status == 0 {
		g.WriteHeader(http.StatusOK)
	}
	if g.denied != nil {
		return g.denied
	}
	if g.whole && !g.allowed {
		return nil
	}
	return g.answer.FlushError()
}

// Hijack asks as for the status 101: what goes over the connection is nobody's
// to see.
func (g *guarded) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !g.allowed && g.denied == nil {
		_ = g.decide(http.StatusSwitchingProtocols, nil) // kept in g.denied
	}
	if g.denied != nil {
		return nil, nil, fmt.Errorf("take the connection from the server: %w", g.denied)
	}
	return g.answer.Hijack()
}

// end asks about what is held back, also about an answer without a body.
func (g *guarded) end() error {
	if g.allowed || g.answer.hijacked {
		return nil
	}
	if g.status == 0 {
		g.status = http.StatusOK
	}
	if g.body.Len() > 0 {
		return g.release(g.body.Bytes())
	}
	return g.ask(nil)
}
