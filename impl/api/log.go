package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// exchange is what the log tells about one request. Bodies, queries and
// headers are no part of it: they hold credentials.
type exchange struct {
	id        uint64
	start     time.Time
	version   string // the prefix as the client wrote it, - without one
	operation string
	err       error
	cut       bool // the connection must be cut, not ended
	passage   *passage
	object    string // what the request is about; set if passage is
}

// Served tells of an answered request.
type Served struct {
	// Operation is the operationId, empty if no operation was reached; Version
	// that of the path as "1.18", empty without one or without an operation.
	Operation, Version string
	// UserAgent is the request's header.
	UserAgent string
	// Status is 499 for a client that left before the answer.
	Status int
	// Duration is from the request's head to the answer's end.
	Duration time.Duration
}

// statusClientGone is what the log shows when the client left before the
// answer; it is never sent.
const statusClientGone = 499

// finish logs a request. A panic in its handler becomes a 500 whose text
// names the request, and its stack goes to the log only. It is deferred.
func (e *Edge) finish(x *exchange, a *answer, r *http.Request) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			x.cut = true
		} else {
			e.logger.LogAttrs(r.Context(), slog.LevelError, "panic while serving a request",
				slog.Uint64("id", x.id), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			x.err = errPanic
			switch {
			case a.hijacked:
			case a.status != 0:
				x.cut = true
			default:
				writeError(a, errPanic)
			}
		}
	}
	e.log(x, a, r)
	if x.cut {
		// The server's own way to end an answer so that the client notices.
		panic(http.ErrAbortHandler)
	}
}

// errPanic is what a client learns of a panic.
var errPanic = errors.New("the engine failed while serving this request; its log tells more")

func (e *Edge) log(x *exchange, a *answer, r *http.Request) {
	status := a.status
	if status == 0 {
		status = http.StatusOK // the server sends it for a handler that said nothing
		if x.err != nil {
			status = statusClientGone
		}
	}
	duration := time.Since(x.start)
	if e.options.Observe != nil {
		served := Served{Operation: x.operation, UserAgent: r.UserAgent(), Status: status, Duration: duration}
		if x.operation != "" && x.version != "-" {
			if n, ok := parseNumber(x.version); ok {
				served.Version = n.short()
			}
		}
		e.options.Observe(served)
	}
	level := slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions:
		level = slog.LevelDebug
	}
	ctx := context.WithoutCancel(r.Context())
	if !e.logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.Uint64("id", x.id),
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.String("version", x.version),
		slog.String("operation", x.operation),
		slog.Int("status", status),
		slog.Int64("bytes", a.bytes),
		slog.Duration("duration", duration),
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("error", x.err.Error()))
	}
	e.logger.LogAttrs(ctx, level, "request", attrs...)
}
