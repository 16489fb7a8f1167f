package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// TestBuildStreams sends 2 GiB through POST /build while the answer is already
// coming, and bounds the memory that the whole process (client included) takes
// for it.
func TestBuildStreams(t *testing.T) {
	const (
		size  = 2 << 30
		bound = 30 << 20
	)
	var received int64
	d := serve(t, &engine{
		build: func(_ context.Context, p *hub.ImageBuildParams, out stream.Output) error {
			defer p.Body.Close()
			if err := out.Encode(&models.JSONMessage{Stream: "begun"}); err != nil {
				return err
			}
			n, err := io.Copy(io.Discard, p.Body)
			received = n
			if err != nil {
				return err
			}
			return out.Encode(&models.JSONMessage{Stream: "done"})
		},
	}, api.Options{})
	before := resident(t)
	// Writing 5 resets the peak (Documentation/filesystems/proc.rst, clear_refs).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://d/v1.18/build?t=x", io.LimitReader(&zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/tar")
	response, text := d.send(t, r)
	if response.StatusCode != 200 || text != `{"stream":"begun"}`+"\r\n"+`{"stream":"done"}`+"\r\n" || received != size {
		t.Errorf("%d %q, %d bytes arrived", response.StatusCode, text, received)
	}
	if took := peak(t) - before; took > bound {
		t.Errorf("%d bytes through POST /build took %d bytes of memory", size, took)
	} else {
		t.Logf("%d MiB through POST /build took %d KiB of memory", size>>20, took>>10)
	}
}

// zeros is an endless archive.
type zeros struct{}

func (*zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func resident(t *testing.T) int64 { return status(t, "VmRSS:") }
func peak(t *testing.T) int64     { return status(t, "VmHWM:") }

// status reads a size in bytes from /proc/self/status (proc(5)).
func status(t *testing.T, name string) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		if rest, found := strings.CutPrefix(string(line), name); found {
			var kib int64
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc/self/status", name)
	return 0
}

// TestConnectionAfterAnArchive: an operation may stop reading an archive before
// the request's end (a tar says itself where it ends). The next request on the
// same connection is served all the same, or the connection is closed; the
// server's own reader of the connection must not meet that of the request.
func TestConnectionAfterAnArchive(t *testing.T) {
	for name, rest := range map[string]int64{"all but the end": 0, "a little": 100, "much": 4 << 20} {
		t.Run(name, func(t *testing.T) {
			const taken = 1 << 20
			d := serve(t, &engine{
				build: func(_ context.Context, p *hub.ImageBuildParams, out stream.Output) error {
					if _, err := io.CopyN(io.Discard, p.Body, taken); err != nil {
						return err
					}
					return out.Encode(&models.JSONMessage{Stream: "done"})
				},
			}, api.Options{})
			for i := range 40 {
				r, err := http.NewRequestWithContext(t.Context(), "POST", "http://d/v1.23/build?t=x", io.LimitReader(&zeros{}, taken+rest))
				if err != nil {
					t.Fatal(err)
				}
				response, err := d.http.Do(r)
				switch {
				case err == nil:
					if text, err := io.ReadAll(response.Body); response.StatusCode != 200 || err != nil && rest < taken {
						t.Fatalf("round %d: archive: %d %q, %v", i, response.StatusCode, text, err)
					}
					response.Body.Close()
				case rest < taken: // a client that goes on sending may lose the connection
					t.Fatalf("round %d: archive: %v", i, err)
				}
				if response, text := d.do(t, "POST", "/v1.23/containers/create", "application/json", `{"Image":"x","Cmd":["true"]}`); response.StatusCode != 201 {
					t.Fatalf("round %d: the request after it: %d %q", i, response.StatusCode, text)
				}
			}
		})
	}
}

// TestRefusalOfAnArchive: a client that is still sending when it is refused gets
// the answer, not a broken connection.
func TestRefusalOfAnArchive(t *testing.T) {
	for name, size := range map[string]int64{"much": 4 << 20, "endless": 1 << 62} {
		t.Run(name, func(t *testing.T) {
			d := serve(t, &engine{
				build: func(context.Context, *hub.ImageBuildParams, stream.Output) error {
					return fault.Forbidden("not here")
				},
			}, api.Options{})
			for range 3 {
				r, err := http.NewRequestWithContext(t.Context(), "POST", "http://d/v1.23/build?t=x", io.LimitReader(&zeros{}, size))
				if err != nil {
					t.Fatal(err)
				}
				response, text := d.send(t, r)
				if response.StatusCode != http.StatusForbidden || text != "not here\n" {
					t.Errorf("%d %q", response.StatusCode, text)
				}
			}
		})
	}
}
