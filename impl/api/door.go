package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/seed-50ced230/berth/gen"
	"github.com/seed-50ced230/berth/impl/api/listen"
	"github.com/seed-50ced230/berth/impl/grant"
)

// Door is a listener whose clients may do what its grant says and nothing else.
// What they are refused, and what they change, is told in the log with the client's
// user and process: message "audit".
type Door struct {
	net.Listener
	Grant *grant.Grant
}

// passage is what requests through a door have in common.
type passage struct {
	grant  *grant.Grant
	tables *tables // bound to the engine as the grant shows it
}

type (
	passageKey struct{}
	peerKey    struct{}
)

// through gives the context of a listener's connections.
func (e *Edge) through(ctx context.Context, l net.Listener) context.Context {
	door, ok := l.(*Door)
	if !ok {
		return ctx
	}
	tables := e.tables
	if limited := door.Grant.Limit(e.engine); limited != e.engine {
		tables = newTables(gen.Versions(limited))
	}
	return context.WithValue(ctx, passageKey{}, &passage{door.Grant, tables})
}

func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// peered notes the process at a connection's other end if it came through a door.
func peered(ctx context.Context, c net.Conn) context.Context {
	if passageOf(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, listen.PeerOf(c))
}

// admit refuses what the door's grant does not allow. HEAD /_ping is its GET,
// and the documents have a word of their own.
func (e *Edge) admit(x *exchange, r *http.Request, path, param string) error {
	if x.passage == nil {
		return nil
	}
	operation := x.operation
	switch {
	case operation != "":
	case path == "/_ping":
		operation = "SystemPing"
	default:
		operation = grant.Documents
	}
	x.object = object(r, param)
	if err := x.passage.grant.Check(operation); err != nil {
		e.audit(x, r, "refused", operation, err)
		return err
	}
	if changes(operation, r.Method) {
		e.audit(x, r, "allowed", operation, nil)
	}
	return nil
}

// changes says whether a request may change something: a WebSocket carries input.
func changes(operation, method string) bool {
	return method != http.MethodGet && method != http.MethodHead || operation == "ContainerAttachWebsocket"
}

// object is what a request is about: the path's parameter, or the name that
// the query gives to what is made. Other parts of a query may hold credentials.
func object(r *http.Request, param string) string {
	if param != "" {
		return param
	}
	query := r.URL.Query()
	for _, key := range []string{"name", "fromImage", "container", "t", "names"} {
		if values := query[key]; len(values) > 0 {
			return strings.Join(values, " ")
		}
	}
	return ""
}

// audited tells of a refusal that came behind the door's own check: an object
// out of reach, or a setting.
func (e *Edge) audited(x *exchange, r *http.Request) {
	var refusal *grant.Refusal
	if x.passage != nil && errors.As(x.err, &refusal) && x.passage.grant.Check(x.operation) == nil {
		e.audit(x, r, "refused", x.operation, refusal)
	}
}

func (e *Edge) audit(x *exchange, r *http.Request, verdict, operation string, err error) {
	peer, _ := r.Context().Value(peerKey{}).(listen.Peer)
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.Uint64("id", x.id), // that of the message "request"
		slog.String("verdict", verdict),
		slog.String("socket", x.passage.grant.Name()),
		slog.String("operation", operation),
		slog.String("object", x.object),
		slog.Int64("uid", int64(peer.UID)),
		slog.Int64("gid", int64(peer.GID)),
		slog.Int64("pid", int64(peer.PID)),
	}
	if err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	e.logger.LogAttrs(context.WithoutCancel(r.Context()), level, "audit", attrs...)
}
