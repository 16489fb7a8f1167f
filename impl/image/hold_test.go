package image

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/testimage"
)

func TestHold(t *testing.T) {
	for name, c := range map[string]struct {
		ref  string // "" means the id
		o    RemoveOptions
		err  string // %ID is the short id
		want string
	}{
		"by id":               {err: "conflict: unable to delete %ID (cannot be forced) - image is being used by a build"},
		"by id, with force":   {o: RemoveOptions{Force: true}, err: "conflict: unable to delete %ID (cannot be forced) - image is being used by a build"},
		"by name":             {ref: "x:1", err: `conflict: unable to remove repository reference "x:1" (must force) - a build is using its referenced image %ID`},
		"by name, with force": {ref: "x:1", o: RemoveOptions{Force: true}, want: "x:1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			id := load(t, s, archiveOf(t, testimage.Image{Tags: []string{"x:1"}, Layers: [][]testimage.File{{{Name: "x", Body: []byte("x")}}}}))[0].ID
			img, release, err := s.Hold("x:1")
			if err != nil || img.ID != id {
				t.Fatal(img, err)
			}
			_, again, err := s.Hold(id.String())
			if err != nil {
				t.Fatal(err)
			}
			release()
			release() // once is enough: the other one still holds it
			ref := c.ref
			if ref == "" {
				ref = id.String()
			}
			records, err := s.Remove(context.Background(), ref, c.o, nil)
			if want := strings.ReplaceAll(c.err, "%ID", id.Encoded()[:12]); c.err != "" && (!errdefs.IsConflict(err) || err.Error() != want || len(records) > 0) {
				t.Errorf("%v, %v instead of %s", records, err, want)
			}
			if c.want != "" && (err != nil || len(records) != 1 || records[0].Untagged != c.want) {
				t.Errorf("%v, %v", records, err)
			}
			if _, err := s.Get(id.String()); err != nil {
				t.Errorf("an image that is held went: %v", err)
			}
			again()
			if _, err := s.Remove(context.Background(), id.String(), RemoveOptions{}, nil); err != nil {
				t.Errorf("an image that was held: %v", err)
			}
			if _, _, err := s.Hold(id.String()); !errdefs.IsNotFound(err) {
				t.Errorf("hold an image that is gone: %v", err)
			}
		})
	}
}

// Who wants to hold an image that is being removed hears how that went.
func TestHoldWhileRemoved(t *testing.T) {
	s := newStore(t)
	id := load(t, s, archiveOf(t, testimage.Image{Tags: []string{"x:1"}, Layers: [][]testimage.File{{{Name: "x", Body: []byte("x")}}}}))[0].ID
	for _, refused := range []bool{true, false} {
		held := make(chan error, 1)
		var users func(digest.Digest) []User
		if refused {
			// A stopped container forbids it after the image was claimed.
			users = func(digest.Digest) []User { return []User{{ID: strings.Repeat("ab", 32)}} }
		}
		r := &removal{s: s, users: users, over: make(chan struct{})}
		s.writing.Lock()
		if !r.claim(id) {
			t.Fatal("nobody holds it")
		}
		go func() {
			_, release, err := s.Hold("x:1")
			if err == nil {
				release()
			}
			held <- err
		}()
		err := r.run(id, id.String(), RemoveOptions{})
		r.end()
		s.writing.Unlock()
		if got := <-held; refused != errdefs.IsConflict(err) || refused != (got == nil) || !refused && !errdefs.IsNotFound(got) {
			t.Errorf("removal: %v; hold: %v", err, got)
		}
	}
}

const holdRoot = "BERTH_TEST_HOLD_ROOT"

// TestHoldChild is not a test: it is the process that TestHoldEndsWithProcess kills.
func TestHoldChild(t *testing.T) {
	root := os.Getenv(holdRoot)
	if root == "" {
		return // run as a test of its own it has nothing to do
	}
	s, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	base := load(t, s, archiveOf(t, testimage.Image{Tags: []string{"x:1"}, Layers: [][]testimage.File{{{Name: "x", Body: []byte("x")}}}}))[0].ID
	if _, _, err := s.Hold("x:1"); err != nil {
		t.Fatal(err)
	}
	w, err := s.NewWritable(context.Background(), "step", base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.Upper+"/made", []byte("made"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.CommitHeld(context.Background(), "step", CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("held\n")
	select {}
}

// What a process held that was killed is not held by the next one.
func TestHoldEndsWithProcess(t *testing.T) {
	root := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldChild$")
	cmd.Env = append(os.Environ(), holdRoot+"="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 5)
	_, err = out.Read(said)
	if kerr := cmd.Process.Kill(); kerr != nil {
		t.Error(kerr)
	}
	_ = cmd.Wait() // it was killed
	if err != nil || string(said) != "held\n" {
		t.Fatalf("the child said %q, %v", said, err)
	}
	s := open(t, root)
	defer s.Close()
	images, err := s.List(Filter{All: true})
	if err != nil || len(images) != 2 {
		t.Fatal(images, err)
	}
	for _, id := range s.Writables() {
		if err := s.RemoveWritable(id); err != nil {
			t.Error(err)
		}
	}
	for _, img := range images {
		if _, err := s.Remove(context.Background(), img.ID.String(), RemoveOptions{Force: true}, nil); err != nil && img.Parent != "" {
			t.Error(err)
		}
	}
	if _, err := s.Remove(context.Background(), "x:1", RemoveOptions{}, nil); err != nil && !errdefs.IsNotFound(err) {
		t.Error(err)
	}
	if images, err := s.List(Filter{All: true}); err != nil || len(images) > 0 || len(s.layers) > 0 {
		t.Errorf("left are images %v and %d layers, %v", images, len(s.layers), err)
	}
}
