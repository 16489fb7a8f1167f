package image

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand"
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
)

// What is told of a layer's bytes is true: they grow up to the layer's size, and no
// layer is complete before.
func TestTransfersTellHonestBytes(t *testing.T) {
	r := newRegistry(t)
	one, two := newStore(t), newStore(t)
	random := rand.New(rand.NewSource(2))
	img := testimage.Image{Tags: []string{"x:latest"}}
	for range 2 {
		body := make([]byte, 5<<20)
		random.Read(body)
		img.Layers = append(img.Layers, []testimage.File{{Name: "bulk", Body: body}})
	}
	load(t, one, archiveOf(t, img))
	tag(t, one, "x", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	said := map[string][]Progress{}
	if _, err := one.Push(context.Background(), repo, "latest", func(p Progress) { said[p.ID] = append(said[p.ID], p) }); err != nil {
		t.Fatal(err)
	}
	var m imageManifest
	if err := json.Unmarshal(r.Manifest("x", "latest"), &m); err != nil {
		t.Fatal(err)
	}
	pushed, err := one.Get("x")
	if err != nil {
		t.Fatal(err)
	}
	size := map[string]int64{}
	for i, d := range m.Layers {
		size[short(d.Digest.Encoded())] = d.Size
		at, steps := int64(0), []string{}
		for _, p := range said[short(pushed.RootFS.DiffIDs[i].Encoded())] {
			if len(steps) == 0 || steps[len(steps)-1] != p.Status {
				steps = append(steps, p.Status)
			}
			if p.Status == "Pushing" {
				if p.Total != d.Size || p.Current < at || p.Current > d.Size {
					t.Errorf("push of %d bytes: %+v after %d", d.Size, p, at)
				}
				at = p.Current
			}
		}
		if want := []string{"Preparing", "Pushing", "Pushed"}; at != d.Size || !slices.Equal(steps, want) {
			t.Errorf("push of %d bytes ended at %d: %q", d.Size, at, steps)
		}
	}
	clear(said)
	if _, err := two.Pull(context.Background(), repo, "latest", func(p Progress) { said[p.ID] = append(said[p.ID], p) }); err != nil {
		t.Fatal(err)
	}
	for id, total := range size {
		at, steps := map[string]int64{}, []string{}
		for _, p := range said[id] {
			if len(steps) == 0 || steps[len(steps)-1] != p.Status {
				steps = append(steps, p.Status)
			}
			if p.Status != "Downloading" && p.Status != "Extracting" {
				continue
			}
			if p.Total != total || p.Current < at[p.Status] || p.Current > total {
				t.Errorf("%s of %d bytes: %+v after %d", id, total, p, at[p.Status])
			}
			at[p.Status] = p.Current
		}
		if at["Downloading"] != total || at["Extracting"] != total {
			t.Errorf("%s of %d bytes ended at %v", id, total, at)
		}
		want := []string{"Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"}
		if !slices.Equal(steps, want) {
			t.Errorf("%s: %q", id, steps)
		}
	}
}

// A layer that a pull found here stays until the pull has ended, whatever becomes of
// the image that brought it.
func TestPullKeepsWhatItFound(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	one, two := newStore(t), newStore(t)
	img := bulky()
	base := testimage.Image{Tags: []string{"base:latest"}, Layers: img.Layers[:1]}
	load(t, one, archiveOf(t, img, base))
	tag(t, one, "x", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	mustPush(t, one, repo, "latest")
	load(t, two, archiveOf(t, base))
	g := &gated{Repository: repo, gate: make(chan struct{}), halfway: make(chan struct{}, 1)}
	end := make(chan error, 1)
	go func() {
		_, err := two.Pull(ctx, g, "latest", nil)
		end <- err
	}()
	<-g.halfway
	if _, err := two.Remove(ctx, "base", RemoveOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	close(g.gate)
	if err := <-end; err != nil {
		t.Fatal(err)
	}
	if g.asked != 1 {
		t.Errorf("%d layers were downloaded", g.asked)
	}
	if a, b := save(t, one, r.Host+"/x"), save(t, two, r.Host+"/x"); !bytes.Equal(a, b) {
		t.Error("the pulled image is another one")
	}
}
