package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Bounds of the HTTP server.
const (
	// headTimeout ends clients that connect and do not speak.
	headTimeout = 30 * time.Second
	// idleTimeout ends connections that are kept open unused.
	idleTimeout = 5 * time.Minute
	// headLimit bounds a request's head, in bytes. X-Registry-Config holds the
	// credentials of all of a client's registries.
	headLimit = 1 << 20
	// lastWords is how long requests that were cut off at shutdown may take to
	// notice it.
	lastWords = 2 * time.Second
)

// Serve answers requests on all listeners until ctx ends or a listener fails.
// Then it drains: nothing new is accepted, streams without an end and hijacked
// connections are closed, other requests may finish within grace, and those that do
// not lose their context and then their connection. It closes the listeners
// and returns nil after an orderly end.
func (e *Edge) Serve(ctx context.Context, listeners []net.Listener, grace time.Duration) error {
	requests, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	server := &http.Server{
		Handler:           e,
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headLimit,
		BaseContext:       func(l net.Listener) context.Context { return e.through(requests, l) },
		ConnContext:       peered,
		ErrorLog:          slog.NewLogLogger(e.logger.Handler(), slog.LevelDebug),
	}
	pings := e.newPinger(requests)
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := server.Serve(pings.listener(l)); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
		})
	}
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-failed:
	}
	err := e.shutdown(server, grace, cancel)
	serving.Wait()
	return errors.Join(failure, err)
}

func (e *Edge) shutdown(server *http.Server, grace time.Duration, cancelRequests context.CancelCauseFunc) error {
	e.Drain()
	orderly, done := context.WithTimeout(context.Background(), grace)
	defer done()
	err := server.Shutdown(orderly)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e.logger.Warn("requests are still being served; ending them", "after", grace)
	cancelRequests(errEnding)
	last, done := context.WithTimeout(context.Background(), lastWords)
	defer done()
	err = server.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}
