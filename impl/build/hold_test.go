package build

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/image"
)

// remover is a client that removes every image, again and again.
type remover struct {
	*place
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	refused int
}

// removeAll tries each image, by its id and with force.
func (r *remover) removeAll() {
	images, err := r.Images.List(image.Filter{All: true})
	if err != nil {
		r.t.Error(err)
		return
	}
	for _, img := range images {
		_, err := r.Images.Remove(context.Background(), img.ID.String(), image.RemoveOptions{Force: true}, nil)
		switch {
		case errdefs.IsConflict(err):
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
		case err != nil && !errdefs.IsNotFound(err):
			r.t.Errorf("remove an image: %v", err)
		}
	}
}

// expectGone removes all images: after the builds nothing holds one.
func (r *remover) expectGone() {
	r.t.Helper()
	for range 3 { // children first, and their parents in turn
		r.removeAll()
	}
	if left, err := r.Images.List(image.Filter{All: true}); err != nil || len(left) > 0 {
		r.t.Errorf("images that cannot be removed: %v, %v", left, err)
	}
}

// start removes images in the background until stop.
func (r *remover) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = sync.OnceFunc(func() {
		cancel()
		r.running.Wait()
	})
	r.running.Go(func() {
		for ctx.Err() == nil {
			r.removeAll()
		}
	})
}

const removedUnderneath = `FROM busybox AS one
RUN echo 1 > /one
LABEL a=1
WORKDIR /work
RUN echo 2 > two
FROM busybox AS two
ENV a=b
COPY --from=busybox /file /copy
COPY --from=one /one /work/two /from/
RUN cat /one /two > /none; true
FROM two
COPY file /last
RUN true
`

// A client that removes whatever can be removed while a build goes on is refused
// what the build stands on, and the image is whole.
func TestRemovedUnderneath(t *testing.T) {
	for name, again := range map[string]bool{"cold": false, "cached": true} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			files := contextOf(t, removedUnderneath, entry{name: "file", body: "from the context"})
			if again {
				p.must(files)
			}
			r := &remover{place: p}
			// The context is read and nothing is said before the first image is held.
			var said strings.Builder
			var once sync.Once
			id, err := p.Build(t.Context(), &Request{Context: bytes.NewReader(files), Remove: true}, Output{Text: func(s string) error {
				said.WriteString(s)
				switch {
				case strings.HasPrefix(s, "Successfully built"):
					r.stop()
					return nil
				case strings.HasPrefix(s, " ---> "):
					once.Do(r.start)
				}
				if strings.Contains(said.String(), " ---> ") {
					r.removeAll()
				}
				return nil
			}})
			if r.stop != nil {
				r.stop()
			}
			if err != nil {
				t.Fatalf("%v, after\n%s", err, said.String())
			}
			img, err := p.Images.Get(id.String())
			if err != nil {
				t.Fatal(err)
			}
			p.expect(img, "/from", map[string]string{"/one": "file 644 0:0 1\n", "/two": "file 644 0:0 2\n"})
			if got := p.content(img, "last") + ", " + p.content(img, "copy"); got != "from the context, a file" {
				t.Errorf("the image's files have %q", got)
			}
			if r.refused == 0 {
				t.Error("no removal was refused")
			}
			r.expectGone()
		})
	}
}

// Two builds at once that have steps in common are whole, although each one's
// images are removed as soon as they can be.
func TestBuildsShareRemovedSteps(t *testing.T) {
	p := newPlace(t)
	r := &remover{place: p}
	var builds sync.WaitGroup
	var begun sync.WaitGroup
	begun.Add(2)
	for _, last := range []string{"one", "two"} {
		builds.Go(func() {
			var once sync.Once
			files := contextOf(t, "FROM busybox\nLABEL a=1\nRUN echo shared > /shared\nENV b=2\nRUN echo "+last+" > /last\nRUN cat /shared /last > /both\n")
			_, err := p.Build(t.Context(), &Request{Context: bytes.NewReader(files), Remove: true}, Output{Text: func(s string) error {
				if strings.HasPrefix(s, " ---> ") {
					once.Do(func() {
						begun.Done()
						begun.Wait() // both hold their base
					})
					r.removeAll()
				}
				if strings.HasPrefix(s, "Successfully built") {
					img, err := p.Images.Get(strings.Fields(s)[2])
					if err != nil {
						t.Error(err)
						return nil
					}
					if got := p.content(img, "both"); got != "shared\n"+last+"\n" {
						t.Errorf("build %s made %q", last, got)
					}
				}
				return nil
			}})
			once.Do(begun.Done)
			if err != nil {
				t.Errorf("build %s: %v", last, err)
			}
		})
	}
	builds.Wait()
	r.expectGone()
}
