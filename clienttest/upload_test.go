package clienttest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// archiveOf is a tar with one file.
func archiveOf(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// promptly bounds what must not wait for somebody else's client.
const promptly = 10 * time.Second

// operated does to a container that does not run what must not wait for a
// client of its files: it ends up running.
func operated(t *testing.T, a *remote, id string) {
	t.Helper()
	name := "operated-" + id[:12]
	for _, step := range []struct {
		method, path string
		body         any
		status       int
	}{
		{http.MethodGet, "/containers/" + id + "/json?size=1", nil, http.StatusOK},
		{http.MethodPost, "/containers/" + id + "/stop", nil, http.StatusNotModified},
		{http.MethodPost, "/containers/" + id + "/kill", nil, http.StatusConflict},
		{http.MethodPost, "/containers/" + id + "/rename?name=" + name, nil, http.StatusNoContent},
		{http.MethodHead, "/containers/" + id + "/archive?path=/etc/passwd", nil, http.StatusOK},
		{http.MethodPut, "/containers/" + id + "/archive?path=/tmp", bytes.NewReader(archiveOf(t, "other", []byte("x"))), http.StatusOK},
		{http.MethodPost, "/containers/" + id + "/update", map[string]any{"CpuShares": 300}, http.StatusOK},
		{http.MethodPost, "/containers/" + id + "/start", nil, http.StatusNoContent},
		{http.MethodPost, "/containers/" + id + "/pause", nil, http.StatusNoContent},
		{http.MethodPost, "/containers/" + id + "/unpause", nil, http.StatusNoContent},
		{http.MethodPost, "/containers/" + id + "/restart?t=0", nil, http.StatusNoContent},
		{http.MethodPost, "/containers/" + id + "/stop?t=0", nil, http.StatusNoContent},
		{http.MethodPost, "/containers/" + id + "/start", nil, http.StatusNoContent},
	} {
		began := time.Now()
		r, err := a.send(step.method, step.path, step.body)
		if err != nil {
			t.Fatal(err)
		}
		if r.status != step.status {
			t.Errorf("%s %s: %v, want %d", step.method, step.path, r, step.status)
		}
		if took := time.Since(began); took > promptly {
			t.Fatalf("%s %s took %v", step.method, step.path, took)
		}
	}
}

// A client that uploads slowly into a container that does not run holds up
// nothing, and its files arrive, whatever the container does by then.
func TestSlowUpload(t *testing.T) {
	t.Parallel()
	a := newRemote(t, engine, "1.23")
	for name, content := range map[string][]byte{"small": []byte("content"), "large": bytes.Repeat([]byte("0123456789abcdef"), 200<<10)} {
		t.Run(name, func(t *testing.T) {
			id := a.create(map[string]any{"Cmd": []string{"sleep", "1000"}, "Volumes": map[string]any{"/volume": map[string]any{}}})
			archive := archiveOf(t, "uploaded", content)
			body, client := io.Pipe()
			done := make(chan error, 1)
			go func() {
				r, err := a.send(http.MethodPut, "/containers/"+id+"/archive?path=/volume/", body)
				if err == nil && r.status != http.StatusOK {
					err = errors.New(r.String())
				}
				done <- err
			}()
			head := len(archive) - 1024 // of the two blocks at the end
			if _, err := client.Write(archive[:head]); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // the engine has what there is
			operated(t, a, id)
			select {
			case err := <-done:
				t.Fatalf("the upload was answered before its end: %v", err)
			default:
			}
			if _, err := client.Write(archive[head:]); err != nil {
				t.Fatal(err)
			}
			client.Close()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			got := a.call(http.MethodGet, "/containers/"+id+"/archive?path=/volume/uploaded", nil, http.StatusOK)
			r := tar.NewReader(bytes.NewReader(got.body))
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(r); err != nil || !bytes.Equal(text, content) {
				t.Errorf("%d bytes arrived (%v), want %d", len(text), err, len(content))
			}
		})
	}
}

// An upload that breaks off is an error and leaves nothing in a container that
// does not run; one to a place that takes nothing is refused as early as its
// size allows.
func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	a := newRemote(t, engine, "1.23")
	id := a.create(map[string]any{"Cmd": []string{"true"}})
	archive := archiveOf(t, "uploaded", bytes.Repeat([]byte{'x'}, 2<<20))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body, client := io.Pipe()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = a.open(ctx, http.MethodPut, "/containers/"+id+"/archive?path=/tmp", body)
	}()
	if _, err := client.Write(archive[:len(archive)/2]); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = client.CloseWithError(context.Canceled) // the transport may wait for the body's end
	<-gone
	a.call(http.MethodHead, "/containers/"+id+"/archive?path=/tmp/uploaded", nil, http.StatusNotFound)

	// Much more than the engine reads before it refuses, and no end: the answer
	// comes all the same.
	endless, rest := io.Pipe()
	defer rest.Close()
	large := archiveOf(t, "uploaded", bytes.Repeat([]byte{'x'}, 8<<20))
	go func() { _, _ = rest.Write(large[:7<<20]) }()
	a.call(http.MethodPut, "/containers/"+id+"/archive?path=/no/such", endless, http.StatusNotFound)
}

// A client that reads a container's files slowly, or not at all, holds up
// nothing, not even the container's removal with its volumes.
func TestSlowDownload(t *testing.T) {
	t.Parallel()
	a := newRemote(t, engine, "1.23")
	for name, config := range map[string]map[string]any{
		"plain":  {"Cmd": []string{"sleep", "1000"}},
		"volume": {"Cmd": []string{"sleep", "1000"}, "Volumes": map[string]any{"/made/volume": map[string]any{}}},
	} {
		t.Run(name, func(t *testing.T) {
			id := a.create(config)
			var volume string
			for _, m := range a.object(http.MethodGet, "/containers/"+id+"/json", nil)["Mounts"].([]any) {
				volume, _ = m.(map[string]any)["Name"].(string)
			}
			content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
			a.call(http.MethodPut, "/containers/"+id+"/archive?path=/home", bytes.NewReader(archiveOf(t, "large", content)), http.StatusOK)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answer, err := a.open(ctx, http.MethodGet, "/containers/"+id+"/archive?path=/home/large", nil)
			if err != nil {
				t.Fatal(err)
			}
			r := tar.NewReader(answer.Body)
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			operated(t, a, id)
			if text, err := io.ReadAll(r); err != nil || !bytes.Equal(text, content) {
				t.Errorf("%d bytes came (%v), want %d", len(text), err, len(content))
			}

			a.call(http.MethodPost, "/containers/"+id+"/stop?t=0", nil)
			if _, err = a.open(ctx, http.MethodGet, "/containers/"+id+"/archive?path=/home/large", nil); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			a.call(http.MethodDelete, "/containers/"+id+"?v=1", nil, http.StatusNoContent)
			if took := time.Since(began); took > promptly {
				t.Errorf("the removal took %v", took)
			}
			if volume != "" {
				a.call(http.MethodGet, "/volumes/"+volume, nil, http.StatusNotFound)
			}
		})
	}
}
