package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// serve is a plugin at a TCP address.
func serve(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{"Implements": []string{VolumeDriver}}
		switch r.URL.Path {
		case "/base/Plugin.Activate", "/Plugin.Activate":
		case "/Echo", "/base/Echo":
			answer = map[string]any{"Path": r.URL.Path}
		case "/Odd":
			w.Write([]byte("no JSON"))
			return
		case "/Slow":
			time.Sleep(300 * time.Millisecond)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSpecifications reaches plugins by the addresses that files give.
func TestSpecifications(t *testing.T) {
	s, dir := serve(t), t.TempDir()
	at := s.Listener.Addr().String()
	write(t, dir, "tcp.spec", " tcp://"+at+"\n")
	write(t, dir, "base.spec", "http://"+at+"/base/")
	write(t, dir, "json.json", `{"Name": "json", "Addr": "tcp://`+at+`"}`)
	write(t, dir, "broken.json", `{"Addr": `)
	write(t, dir, "scheme.spec", "ftp://"+at)
	r := New(Options{Specs: []string{dir}, Connect: 100 * time.Millisecond, Call: time.Second})
	for name, path := range map[string]string{"tcp": "/Echo", "base": "/base/Echo", "json": "/Echo"} {
		p, err := r.Get(t.Context(), name, VolumeDriver)
		if err != nil {
			t.Error(err)
			continue
		}
		var answer struct{ Path string }
		if err := p.Call(t.Context(), "Echo", nil, &answer); err != nil || answer.Path != path {
			t.Errorf("%s: %q %v", name, answer.Path, err)
		}
		if _, err := r.Get(t.Context(), name, NetworkDriver); !errdefs.IsNotFound(err) {
			t.Errorf("%s for networks: %v", name, err)
		}
	}
	for _, name := range []string{"broken", "scheme"} {
		if _, err := r.Get(t.Context(), name, VolumeDriver); !errdefs.IsInternal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Get(t.Context(), "../tcp", VolumeDriver); !errdefs.IsNotFound(err) {
		t.Errorf("a path for a name: %v", err)
	}
}

// TestUndone tells what has certainly not been done from what may have been.
func TestUndone(t *testing.T) {
	s, dir := serve(t), t.TempDir()
	write(t, dir, "p.spec", "tcp://"+s.Listener.Addr().String())
	r := New(Options{Specs: []string{dir}, Connect: 100 * time.Millisecond, Call: 200 * time.Millisecond})
	p, err := r.Get(t.Context(), "p", VolumeDriver)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{}
	for method, undone := range map[string]bool{"Odd": false, "Slow": false, "Refused": true, "Echo": false} {
		if err := p.Call(t.Context(), method, nil, &answer); Undone(err) != undone {
			t.Errorf("%s: %v", method, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Call(ctx, "Slow", nil, &answer); err == nil || Undone(err) {
		t.Errorf("given up: %v", err)
	}
	s.Close()
	if err := p.Call(t.Context(), "Echo", nil, &answer); !errors.Is(err, ErrConnect) || !Undone(err) {
		t.Errorf("gone: %v", err)
	}
}

// TestManyWait: however many wait for a plugin that does not answer, each waits
// for two attempts at most.
func TestManyWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "dead.spec", "tcp://"+l.Addr().String())
	l.Close() // nobody listens there any more
	const patience = time.Second
	r := New(Options{Specs: []string{dir}, Connect: patience, Call: time.Minute})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			start := time.Now()
			if _, err := r.Get(t.Context(), "dead", VolumeDriver); !errors.Is(err, ErrConnect) {
				t.Errorf("dead: %v", err)
			}
			if took := time.Since(start); took > 3*patience {
				t.Errorf("waited %v", took)
			}
		})
	}
	all.Wait()
}
