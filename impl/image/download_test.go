package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// gated is a repository whose blobs stop half-way until the gate opens, and
// which counts how often they are asked for.
type gated struct {
	*registry.Repository
	gate    chan struct{}
	halfway chan struct{} // gets a value for every blob that has come half-way
	fail    error         // instead of the second half
	mu      sync.Mutex
	asked   int
}

func (g *gated) Blob(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := g.Repository.Blob(ctx, d)
	if err != nil || d.Size < 100_000 {
		return rc, err // the configuration
	}
	g.mu.Lock()
	g.asked++
	g.mu.Unlock()
	return &gatedBlob{ReadCloser: rc, g: g, ctx: ctx, left: d.Size / 2}, nil
}

type gatedBlob struct {
	io.ReadCloser
	g    *gated
	ctx  context.Context
	left int64
	open bool
}

func (b *gatedBlob) Read(p []byte) (int, error) {
	if b.left == 0 && !b.open {
		b.g.halfway <- struct{}{}
		select {
		case <-b.g.gate:
			b.open = true
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
		if b.g.fail != nil {
			return 0, b.g.fail
		}
	}
	if !b.open {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	if !b.open {
		b.left -= int64(n)
	}
	return n, err
}

// pushed makes a registry with the image x, whose one big layer is gated.
func pushedGated(t *testing.T) *gated {
	t.Helper()
	r := newRegistry(t)
	one := newStore(t)
	img := bulky()
	img.Layers = img.Layers[:1]
	load(t, one, archiveOf(t, img))
	tag(t, one, "x", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	mustPush(t, one, repo, "latest")
	return &gated{Repository: repo, gate: make(chan struct{}), halfway: make(chan struct{}, 16)}
}

// noDownloads wants no trace of a download: neither a record nor a file.
func noDownloads(t *testing.T, s *Store) {
	t.Helper()
	s.downloads.mu.Lock()
	defer s.downloads.mu.Unlock()
	if len(s.downloads.m) > 0 {
		t.Errorf("%d downloads are left", len(s.downloads.m))
	}
	entries, err := os.ReadDir(filepath.Join(s.root, blobsDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("file %s is left", e.Name())
		}
	}
}

func TestConcurrentPullsShareADownload(t *testing.T) {
	g := pushedGated(t)
	s := newStore(t)
	first, leave := context.WithCancel(context.Background())
	firstEnd, secondEnd := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Pull(first, g, "latest", nil)
		firstEnd <- err
	}()
	<-g.halfway
	seen := make(chan struct{})
	var once sync.Once
	go func() {
		_, err := s.Pull(context.Background(), g, "latest", func(p Progress) {
			if p.Status == "Pulling fs layer" {
				once.Do(func() { close(seen) })
			}
		})
		secondEnd <- err
	}()
	<-seen
	joined := func() bool {
		s.downloads.mu.Lock()
		defer s.downloads.mu.Unlock()
		for _, dl := range s.downloads.m {
			if dl.readers == 2 {
				return true
			}
		}
		return false
	}
	for range 10_000 {
		if joined() {
			break
		}
		select {
		case err := <-secondEnd:
			t.Fatal("the second pull ended early:", err)
		case <-time.After(time.Millisecond):
		}
	}
	// The one that began it leaves; the other one gets it whole.
	leave()
	if err := <-firstEnd; !errors.Is(err, context.Canceled) {
		t.Errorf("the pull whose client left: %v", err)
	}
	close(g.gate)
	if err := <-secondEnd; err != nil {
		t.Fatal(err)
	}
	if g.asked != 1 {
		t.Errorf("the layer was asked for %d times", g.asked)
	}
	if s.Count() != 1 {
		t.Errorf("%d images", s.Count())
	}
	noDownloads(t, s)
}

func TestLastClientEndsADownload(t *testing.T) {
	g := pushedGated(t)
	s := newStore(t)
	ctx, leave := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() {
		_, err := s.Pull(ctx, g, "latest", nil)
		end <- err
	}()
	<-g.halfway
	leave()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Errorf("the pull whose client left: %v", err)
	}
	noDownloads(t, s)
	if s.Count() != 0 {
		t.Errorf("%d images", s.Count())
	}
}

func TestDownloadThatFails(t *testing.T) {
	g := pushedGated(t)
	g.fail = fault.Unavailable("gone")
	close(g.gate)
	s := newStore(t)
	_, err := s.Pull(context.Background(), g, "latest", nil)
	if !errdefs.IsUnavailable(err) || g.asked != 1 {
		t.Errorf("asked %d times: %v", g.asked, err)
	}
	noDownloads(t, s)
}
