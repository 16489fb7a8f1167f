package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// A pull ends at the registry when the last client that waits for it has left, and not before.
func TestPullOfClientsThatLeave(t *testing.T) {
	asked, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	config := `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("1", 64) + `"]}}`
	sum := digest.FromString(config).String()
	blob := "sha256:" + strings.Repeat("2", 64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", registry.TypeDockerManifest)
			if r.Method == http.MethodGet {
				fmt.Fprintf(w, `{"schemaVersion":2,"config":{"digest":%q,"size":%d},"layers":[{"digest":%q,"size":4194304}]}`, sum, len(config), blob)
			}
		case strings.HasSuffix(r.URL.Path, sum):
			fmt.Fprint(w, config)
		case strings.HasSuffix(r.URL.Path, blob):
			w.Header().Set("Content-Length", "4194304")
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write(make([]byte, 2<<20))
			_ = http.NewResponseController(w).Flush()
			asked <- struct{}{}
			<-r.Context().Done()
			ended <- struct{}{}
		}
	}))
	defer server.Close()
	e := newEngine(t)
	name := strings.TrimPrefix(server.URL, "http://") + "/slow"
	begin := func() (leave func(), end chan error, reads chan struct{}) {
		ctx, cancel := context.WithCancel(t.Context())
		end, reads = make(chan error, 1), make(chan struct{})
		var once sync.Once
		out := &output{}
		out.onValue = func() {
			if m, ok := out.values[len(out.values)-1].(*models.JSONMessage); ok && m.Status == "Downloading" {
				once.Do(func() { close(reads) })
			}
		}
		go func() { end <- e.ImageCreate(ctx, &hub.ImageCreateParams{FromImage: name, Tag: "v1"}, out) }()
		return cancel, end, reads
	}
	leaveFirst, first, reads := begin()
	<-reads
	leaveSecond, second, reads := begin()
	<-reads
	leaveFirst()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first client: %v", err)
	}
	select {
	case <-ended:
		t.Fatal("the download ended with the first client")
	case err := <-second:
		t.Fatal("the second pull ended with the first one: ", err)
	case <-time.After(200 * time.Millisecond):
	}
	leaveSecond()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the second client: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the download goes on for nobody")
	}
	if n := len(asked); n != 1 {
		t.Errorf("the layer was downloaded %d times", n)
	}
}

// A push ends at the registry when its client leaves before a layer is
// acknowledged, and leaves no name.
func TestPushOfAClientThatLeaves(t *testing.T) {
	began, ended := make(chan struct{}, 1), make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case r.Method == http.MethodPost:
			w.Header().Set("Location", r.URL.Path+"1")
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"):
			t.Error("the manifest came")
		case r.Method == http.MethodPut:
			_, _ = io.Copy(io.Discard, r.Body) // until then net/http does not notice that a client is gone
			began <- struct{}{}
			<-r.Context().Done()
			ended <- r.Context().Err()
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	e := newEngine(t)
	name := strings.TrimPrefix(server.URL, "http://") + "/x"
	importImage(t, e, name, "v1")
	ctx, leave := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- e.ImagePush(ctx, &hub.ImagePushParams{Name: name, Tag: "v1"}, &output{}) }()
	<-began
	leave()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Errorf("the client's end: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the upload goes on for nobody")
	}
	if m, err := e.ImageInspect(t.Context(), &hub.ImageInspectParams{Name: name + ":v1"}); err != nil || len(m.RepoDigests) != 0 {
		t.Errorf("after the push that was not: %+v %v", m, err)
	}
	if got := happened(t, e, `{"event":["push"]}`); len(got) > 0 {
		t.Errorf("events of a push: %v", got)
	}
}
