package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/docs"
	"github.com/seed-50ced230/berth/impl/engine"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/metrics"
)

// aside is a listener beside the API's: no request that comes in there reaches
// the engine.
type aside struct {
	// flag is its name in messages, address a HOST:PORT; an empty one is not
	// listened on.
	flag, address string
	// handler makes what is served, when it is.
	handler func() (http.Handler, error)
}

// open serves until closeAside is called.
func (a aside) open(ctx context.Context, log *slog.Logger) (closeAside func() error, err error) {
	if a.address == "" {
		return func() error { return nil }, nil
	}
	handler, err := a.handler()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.flag, err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", a.address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.flag, err)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	log.Info("listening aside of the API", "flag", a.flag, "address", "http://"+listener.Addr().String()+"/")
	return func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// asides are the listeners beside the API's. observe hears of the API's
// requests, for the metrics; it is nil if nobody asked for them.
func asides(ctx context.Context, c *config.Config, e *engine.Engine, log *slog.Logger) (all []aside, observe func(api.Served)) {
	all = []aside{
		{"docs-addr", c.DocsAddr, func() (http.Handler, error) { return documentation(c) }},
		{"pprof-addr", c.PprofAddr, func() (http.Handler, error) { return profiles(), nil }},
	}
	if c.MetricsAddr == "" {
		return all, nil
	}
	m := metrics.New(version, commit, func() metrics.Holdings { return metrics.Holdings(e.Holdings()) })
	go countEvents(ctx, e.Events, m, log)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler(log))
	all = append(all, aside{"metrics-addr", c.MetricsAddr, func() (http.Handler, error) { return mux, nil }})
	return all, func(s api.Served) { m.Observe(metrics.Request(s)) }
}

// countEvents counts until ctx ends. What was dropped because it fell behind is
// not counted.
func countEvents(ctx context.Context, history *events.Log, m *metrics.Metrics, log *slog.Logger) {
	for ctx.Err() == nil {
		err := history.Read(ctx, events.Span{}, func(e events.Event) error {
			m.Event(e.Type, e.Action)
			return nil
		})
		if !errors.Is(err, events.ErrOverrun) {
			return // the daemon ends
		}
		log.Warn("events came too fast to be counted; some are missing in the metrics")
	}
}

func documentation(c *config.Config) (http.Handler, error) {
	var options docs.Options
	if c.DocsConformance != "" {
		found, err := docs.OpenConformance(c.DocsConformance)
		if err != nil {
			return nil, err
		}
		options.Conformance = found
	}
	return docs.New(options)
}

// profiles are those of net/http/pprof, without its handlers in the default
// multiplexer.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
