// Package api is the edge: it takes HTTP requests of every supported version,
// routes them to the generated handlers, and words errors for clients. Rules that
// hold for all operations live here and nowhere else: version prefixes,
// headers, statuses, logging, panics and the end of connections at shutdown.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/trace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/seed-50ced230/berth/gen"
	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/api/bind"
	"github.com/seed-50ced230/berth/impl/authz"
	"github.com/seed-50ced230/berth/impl/stream"
)

// Options are what an edge needs besides the engine.
type Options struct {
	// Version of the engine's software, shown in the Server header.
	Version string
	// CORS is the value of Access-Control-Allow-Origin; empty: no CORS headers.
	CORS string
	// Logger takes one record per request; nil is slog.Default().
	Logger *slog.Logger
	// Observe hears of every answered request; nil: nobody does.
	Observe func(Served)
	// Documents are the published documents, by path ("/swagger.json"), behind
	// each version's prefix. No operation may have such a path.
	Documents map[string]Document
	// Authorize are the plugins that have to allow requests and answers; nil for none.
	Authorize *authz.Chain
}

// Document is the published document of each version in one form.
type Document struct {
	MediaType string
	// Read gives a version's, for example "1.23"; ok is false if there is none.
	Read func(version string) (document []byte, ok bool, err error)
}

// Edge is an http.Handler for all versions of the API over one engine. It is
// safe for concurrent use.
type Edge struct {
	engine hub.API
	tables *tables
	// archives are the operations whose body plugins do not see; nil without plugins.
	archives map[string]bool
	headers  []header // on every answer
	logger   *slog.Logger
	options  Options

	requests atomic.Uint64 // ids of requests, unique in this process
	conns    *conns
	draining context.Context // done from Drain on
	drain    context.CancelFunc
}

// header is one header of every answer. Its values are shared by all answers;
// their length is their capacity, so that nobody can append in place.
type header struct {
	name   string // in canonical form
	values []string
}

// New makes the edge of an engine.
func New(engine hub.API, options Options) *Edge {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	e := &Edge{
		engine:  engine,
		tables:  newTables(gen.Versions(engine)),
		logger:  options.Logger,
		options: options,
		conns:   newConns(),
	}
	if options.Authorize != nil {
		e.archives = archives()
	}
	e.draining, e.drain = context.WithCancel(context.Background())
	// Clients read the operating system out of "Docker/… (linux)".
	e.headers = []header{
		{"Api-Version", []string{e.tables.newest().name}},
		{"Ostype", []string{"linux"}},
		{"Server", []string{"Docker/berth-" + options.Version + " (linux)"}},
	}
	if options.CORS != "" {
		e.headers = append(e.headers,
			header{"Access-Control-Allow-Origin", []string{options.CORS}},
			header{"Access-Control-Allow-Headers", []string{"Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth"}},
			header{"Access-Control-Allow-Methods", []string{"HEAD, GET, POST, DELETE, PUT, OPTIONS"}},
		)
	}
	return e
}

// Drain ends what has no end of its own: followed logs, events and stats, and
// hijacked connections. Other requests go on. It is called once, at shutdown.
func (e *Edge) Drain() {
	e.drain()
	e.conns.close()
}

// ServeHTTP answers one request and logs it.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{id: e.requests.Add(1), start: time.Now(), version: "-", passage: passageOf(r.Context())}
	a := &answer{ResponseWriter: w, conns: e.conns}
	headers := w.Header()
	for _, h := range e.headers {
		headers[h.name] = h.values
	}
	defer a.settle(r)
	defer e.finish(x, a, r)
	x.err = e.serve(x, a, r)
	if x.err != nil {
		e.audited(x, r)
		e.fail(x, a, r)
	}
}

// serve routes and calls the operation. Its error has not been told to the
// client, unless it is a stream.Told.
func (e *Edge) serve(x *exchange, a *answer, r *http.Request) error {
	path, prefix, hasPrefix := splitVersion(clean(r.URL.Path))
	if r.Method == http.MethodOptions {
		// Every path, known or not: a browser asks before it knows.
		a.WriteHeader(http.StatusOK)
		return nil
	}
	tables := e.tables
	if x.passage != nil {
		tables = x.passage.tables
	}
	t, versionError := tables.newest(), error(nil)
	if hasPrefix {
		x.version = prefix
		t, versionError = tables.at(prefix)
	}
	route, param := t.find(r.Method, path)
	switch {
	case route != nil:
	case path == "/_ping" && r.Method == http.MethodHead:
	case r.Method == http.MethodGet && e.options.Documents[path].Read != nil:
	default:
		// Also for a wrong method: the router of these versions knew no 405.
		return errNoPage
	}
	if versionError != nil {
		return versionError
	}
	if route != nil {
		x.operation = route.Operation
	}
	if err := e.admit(x, r, path, param); err != nil {
		return err
	}
	serve, mode := func(w http.ResponseWriter, r *http.Request) error {
		return e.own(t, w, r, e.options.Documents[path])
	}, bind.ModeJSON
	if route != nil {
		serve, mode = func(w http.ResponseWriter, r *http.Request) error { return route.Handle(w, r, param) }, route.Mode
	}
	if mode != bind.ModeJSON && r.Method == http.MethodGet {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(e.draining, cancel)()
		r = r.WithContext(ctx)
	}
	defer trace.StartRegion(r.Context(), x.operation).End()
	if e.options.Authorize == nil {
		return serve(a, r)
	}
	return e.authorized(x, a, r, clean(r.URL.Path), mode, serve)
}

// own answers what is not an operation of the documents: HEAD /_ping, by
// which today's clients learn the version, and the documents themselves.
func (e *Edge) own(t *table, a http.ResponseWriter, r *http.Request, d Document) error {
	if r.Method == http.MethodHead {
		a.Header().Set("Content-Type", "text/plain; charset=utf-8")
		a.Header().Set("Content-Length", "2") // as of GET's "OK"
		a.WriteHeader(http.StatusOK)
		return nil
	}
	document, ok, err := d.Read(t.name)
	if err != nil {
		return err
	}
	if !ok {
		return errNoPage
	}
	a.Header().Set("Content-Type", d.MediaType)
	a.Header().Set("Content-Length", strconv.Itoa(len(document)))
	if _, err := a.Write(document); err != nil {
		return &stream.Told{Err: err}
	}
	return nil
}

// fail tells the client about x.err if that is still to be done.
func (e *Edge) fail(x *exchange, a *answer, r *http.Request) {
	var told *stream.Told
	switch {
	case errors.As(x.err, &told):
	case a.hijacked:
	case a.status != 0 && r.Context().Err() == nil && e.draining.Err() == nil:
		// The answer has begun, and its end would look like success.
		x.cut = true
	case a.status != 0:
	case errors.Is(context.Cause(r.Context()), errEnding):
		writeError(a, errEnding)
	case r.Context().Err() != nil && errors.Is(x.err, context.Canceled):
		// The client went away. Nobody reads an answer, but if somebody does it
		// must not be the server's empty success.
		x.cut = true
	default:
		writeError(a, x.err)
	}
}
