package image

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
)

func TestRemoveRules(t *testing.T) {
	ctx := context.Background()
	stopped := func(digest.Digest) []User { return []User{{ID: strings.Repeat("ab", 32)}} }
	running := func(digest.Digest) []User { return []User{{ID: strings.Repeat("ab", 32), Running: true}} }
	for name, c := range map[string]struct {
		tags  []string
		ref   string // "" means the id
		o     RemoveOptions
		users func(digest.Digest) []User
		err   string // %ID is the short id
		want  []string
	}{
		"one of two names":            {tags: []string{"x:1", "x:2"}, ref: "x:1", want: []string{"-x:1"}},
		"last name":                   {tags: []string{"x:1"}, ref: "x:1", want: []string{"-x:1", "image", "layer"}},
		"id with one name":            {tags: []string{"x:1"}, want: []string{"-x:1", "image", "layer"}},
		"id with two names":           {tags: []string{"x:1", "y:1"}, err: "conflict: unable to delete %ID (must be forced) - image is referenced in one or more repositories"},
		"id with two names, force":    {tags: []string{"x:1", "y:1"}, o: RemoveOptions{Force: true}, want: []string{"-x:1", "-y:1", "image", "layer"}},
		"name, stopped container":     {tags: []string{"x:1"}, ref: "x:1", users: stopped, err: `conflict: unable to remove repository reference "x:1" (must force) - container abababababab is using its referenced image %ID`},
		"name, stopped, two names":    {tags: []string{"x:1", "y:1"}, ref: "x:1", users: stopped, want: []string{"-x:1"}},
		"name, stopped, force":        {tags: []string{"x:1"}, ref: "x:1", o: RemoveOptions{Force: true}, users: stopped, want: []string{"-x:1", "image", "layer"}},
		"name, running, force":        {tags: []string{"x:1"}, ref: "x:1", o: RemoveOptions{Force: true}, users: running, want: []string{"-x:1"}},
		"id, stopped container":       {tags: []string{"x:1"}, users: stopped, err: "conflict: unable to delete %ID (must be forced) - image is being used by stopped container abababababab"},
		"id, running container":       {tags: []string{"x:1"}, users: running, err: "conflict: unable to delete %ID (cannot be forced) - image is being used by running container abababababab"},
		"id, running container force": {tags: []string{"x:1"}, o: RemoveOptions{Force: true}, users: running, err: "conflict: unable to delete %ID (cannot be forced) - image is being used by running container abababababab"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			loaded := load(t, s, archiveOf(t, testimage.Image{Tags: c.tags, Layers: [][]testimage.File{{{Name: "x", Body: []byte("x")}}}}))
			ref := c.ref
			if ref == "" {
				ref = loaded[0].ID.Encoded()[:12]
			}
			records, err := s.Remove(ctx, ref, c.o, c.users)
			if c.err != "" {
				want := strings.ReplaceAll(c.err, "%ID", loaded[0].ID.Encoded()[:12])
				if !errdefs.IsConflict(err) || err.Error() != want || len(records) != 0 {
					t.Errorf("got %v %v, want %s", records, err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range records {
				switch {
				case r.Untagged != "":
					got = append(got, "-"+r.Untagged)
				case r.Deleted == loaded[0].ID.String():
					got = append(got, "image")
				default:
					got = append(got, "layer")
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("records %v, want %v", got, c.want)
			}
		})
	}
}

func TestRemoveParentInUse(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("base:latest")))
	w := writable(t, s, "c1", "base")
	if err := os.WriteFile(filepath.Join(w.Upper, "new"), []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	child, err := s.Commit(context.Background(), "c1", CommitOptions{Ref: "child", ContainerConfig: &Config{Cmd: Words{"sh", "-c", "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	base, _ := s.Get("base")
	if child.Parent != base.ID || child.Size != 3 {
		t.Errorf("child %+v", child)
	}
	_, err = s.Remove(context.Background(), base.ID.String(), RemoveOptions{Force: true}, nil)
	if want := "conflict: unable to delete " + base.ID.Encoded()[:12] + " (cannot be forced) - image has dependent child images"; !errdefs.IsConflict(err) || err.Error() != want {
		t.Errorf("remove parent: %v", err)
	}
	// Untagged, the parent stays for its child, and goes with it, in this order, unless
	// the client wants to keep it.
	if _, err := s.Remove(context.Background(), "base", RemoveOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(base.ID.String()); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveWritable("c1"); err != nil {
		t.Fatal(err)
	}
	tops := chainIDs(child.RootFS.DiffIDs)
	records, err := s.Remove(context.Background(), "child", RemoveOptions{}, nil)
	want := []Removed{{Untagged: "child:latest", Image: child.ID}, {Deleted: child.ID.String(), Image: child.ID}, {Deleted: tops[3].String()},
		{Deleted: base.ID.String(), Image: base.ID}, {Deleted: tops[2].String()}, {Deleted: tops[1].String()}, {Deleted: tops[0].String()}}
	if err != nil || s.Count() != 0 || !slices.Equal(records, want) {
		t.Errorf("remove child: %v, %d images left, records\n%v, want\n%v", err, s.Count(), records, want)
	}

	load(t, s, archiveOf(t, three("base:latest")))
	writable(t, s, "c2", "base")
	second, err := s.Commit(context.Background(), "c2", CommitOptions{Ref: "second", ContainerConfig: &Config{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveWritable("c2"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(context.Background(), "base", RemoveOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	records, err = s.Remove(context.Background(), "second", RemoveOptions{NoPrune: true}, nil)
	if err != nil || len(records) < 2 || records[1].Deleted != second.ID.String() {
		t.Errorf("remove without pruning: %v %v", records, err)
	}
	if _, err := s.Get(base.ID.String()); err != nil {
		t.Errorf("noprune took the parent: %v", err)
	}
}

// blocked is a writer that stops after its first bytes until the gate opens.
type blocked struct {
	bytes.Buffer
	begun, gate chan struct{}
	once        sync.Once
}

func (b *blocked) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun); <-b.gate })
	return b.Buffer.Write(p)
}

// An image that is removed while it is saved is saved whole, and then its layers go.
func TestSaveOfWhatIsRemoved(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("x:latest")))
	want := save(t, s, "x")
	out := &blocked{begun: make(chan struct{}), gate: make(chan struct{})}
	end := make(chan error, 1)
	go func() { end <- s.Save(context.Background(), out, []string{"x"}) }()
	<-out.begun
	if _, err := s.Remove(context.Background(), "x", RemoveOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if len(s.layers) != 3 {
		t.Errorf("%d layers while they are saved", len(s.layers))
	}
	close(out.gate)
	if err := <-end; err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("saved %d bytes of %d: %v", out.Len(), len(want), err)
	}
	if len(s.layers) != 0 || s.Count() != 0 {
		t.Errorf("%d layers and %d images are left", len(s.layers), s.Count())
	}
}

// A digest is a name: taking it away leaves the image while it has another one.
func TestRemoveByDigest(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	tag(t, s, "three", r.Host+"/x:v1")
	pushed := mustPush(t, s, repository(t, r, "x", registry.Credential{}), "v1")
	byDigest := r.Host + "/x@" + pushed.Digest.String()
	img, err := s.Get(byDigest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(ctx, r.Host+"/x@sha256:"+strings.Repeat("0", 64), RemoveOptions{}, nil); !errdefs.IsNotFound(err) {
		t.Errorf("a digest of nothing: %v", err)
	}
	records, err := s.Remove(ctx, byDigest, RemoveOptions{}, nil)
	if want := []Removed{{Untagged: byDigest, Image: img.ID}}; err != nil || !slices.Equal(records, want) {
		t.Errorf("records %v %v", records, err)
	}
	if got, err := s.Get(r.Host + "/x:v1"); err != nil || len(got.RepoDigests) != 0 {
		t.Errorf("the tag: %+v %v", got, err)
	}
	// An image that has nothing but a digest goes with it.
	other := newStore(t)
	if _, err := other.Pull(ctx, repository(t, r, "x", registry.Credential{}), pushed.Digest.String(), nil); err != nil {
		t.Fatal(err)
	}
	if records, err = other.Remove(ctx, byDigest, RemoveOptions{}, nil); err != nil || len(records) != 5 || other.Count() != 0 {
		t.Errorf("the last name: %v %v", records, err)
	}
}

// Images that are saved with their parents have them again after a load; what the
// archive does not have is nobody's parent.
func TestLoadKeepsParents(t *testing.T) {
	ctx := context.Background()
	one, both, alone := newStore(t), newStore(t), newStore(t)
	load(t, one, archiveOf(t, three("base:latest")))
	writable(t, one, "c", "base")
	child, err := one.Commit(ctx, "c", CommitOptions{Ref: "child", ContainerConfig: &Config{}})
	if err != nil {
		t.Fatal(err)
	}
	load(t, both, save(t, one, "child", "base"))
	load(t, alone, save(t, one, "child"))
	if got, err := both.Get("child"); err != nil || got.ID != child.ID || got.Parent != child.Parent || got.Parent == "" {
		t.Errorf("with its parent: %+v %v", got, err)
	}
	if got, err := alone.Get("child"); err != nil || got.ID != child.ID || got.Parent != "" {
		t.Errorf("alone: %+v %v", got, err)
	}
}
