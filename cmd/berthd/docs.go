package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/docs"
)

// serveDocs serves the documentation at --docs-addr until it is closed. It is
// no part of the API: no request that comes in here reaches the engine.
func serveDocs(ctx context.Context, c *config.Config, log *slog.Logger) (closeDocs func() error, err error) {
	if c.DocsAddr == "" {
		return func() error { return nil }, nil
	}
	var options docs.Options
	if c.DocsConformance != "" {
		if options.Conformance, err = docs.OpenConformance(c.DocsConformance); err != nil {
			return nil, err
		}
	}
	site, err := docs.New(options)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.DocsAddr)
	if err != nil {
		return nil, fmt.Errorf("docs-addr: %w", err)
	}
	server := &http.Server{
		Handler: site, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	log.Info("the documentation is served", "address", "http://"+listener.Addr().String()+"/")
	return func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
