package api_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/api"
)

// BenchmarkPing compares the edge with net/http alone, over a unix socket as
// clients do it.
func BenchmarkPing(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "OK")
	})
	edge := api.New(&engine{}, api.Options{Version: "bench", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	b.Run("bare", func(b *testing.B) { ping(b, bare, "/_ping") })
	b.Run("edge", func(b *testing.B) { ping(b, edge, "/_ping") })
	b.Run("edge-prefix", func(b *testing.B) { ping(b, edge, "/v1.18/_ping") })
	b.Run("edge-info", func(b *testing.B) { ping(b, edge, "/v1.23/info") })
}

func ping(b *testing.B, handler http.Handler, path string) {
	socket := filepath.Join(b.TempDir(), "d.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	defer server.Close()
	go func() { _ = server.Serve(l) }() // ends with Close
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	for b.Loop() {
		response, err := client.Get("http://d" + path)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatal(response.Status, err)
		}
		_ = response.Body.Close()
	}
}

// BenchmarkNew measures what the edge costs at the daemon's start.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		api.New(&engine{}, api.Options{})
	}
}
