package image

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
)

func TestCheck(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	one, s := newStore(t), newStore(t)
	load(t, one, archiveOf(t, three("three:latest")))
	tag(t, one, "three", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	mustPush(t, one, repo, "latest")
	// One image from a registry, whose blobs are kept, and one from an archive.
	if _, err := s.Pull(ctx, repo, "latest", nil); err != nil {
		t.Fatal(err)
	}
	load(t, s, archiveOf(t, testimage.Image{Tags: []string{"local:latest"}, Layers: [][]testimage.File{{{Name: "f", Body: []byte("local")}}}}))
	if found, err := s.Check(ctx, true); err != nil || len(found) != 0 {
		t.Fatalf("whole store: %+v %v", found, err)
	}
	pulled, err := s.Get(r.Host + "/x")
	if err != nil {
		t.Fatal(err)
	}
	local, err := s.Get("local")
	if err != nil {
		t.Fatal(err)
	}
	harm := func(img *Image, file string) {
		p := s.layerPath(s.layers[img.Top].Dir, layer.DiffDir, file)
		st, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, make([]byte, st.Size()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	harm(pulled, "a/three")
	harm(local, "f")
	found, err := s.Check(ctx, true)
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v %v", found, err)
	}
	for _, f := range found {
		if !errors.Is(f.Err, layer.ErrDamaged) || len(f.Images) != 1 || f.Repaired != (f.Images[0] == pulled.ID) {
			t.Errorf("finding %+v", f)
		}
	}
	if err := s.Save(ctx, io.Discard, []string{r.Host + "/x"}); err != nil {
		t.Errorf("after repair: %v", err)
	}
	if img, err := s.Get("local"); err != nil || img.Damaged == nil {
		t.Errorf("image that cannot be repaired: %+v %v", img, err)
	}
	for _, l := range s.layers {
		if l.refs != 1 {
			t.Errorf("layer %s has %d references", l.chain, l.refs)
		}
	}
	load(t, s, archiveOf(t, testimage.Image{Tags: []string{"local:latest"}, Layers: [][]testimage.File{{{Name: "f", Body: []byte("local")}}}}))
	if found, err := s.Check(ctx, false); err != nil || len(found) != 0 {
		t.Errorf("after loading again: %+v %v", found, err)
	}
}
