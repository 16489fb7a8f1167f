package powertest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/testbed/disk"
)

// TestStore cuts power at every request that a disk gets from the image store alone.
func TestStore(t *testing.T) {
	f := filesystems[0]
	f.megabytes = 32
	random := draws(t)
	s := disks(t)
	f.fresh(t, s, "store")
	_, data := place(t)
	if err := s.Mount("store", f.name, data, f.mount); err != nil {
		t.Fatal(err)
	}
	l := &ledger{now: func() int {
		n, err := s.Taken("store")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}}
	if err := useStore(data+"/image", l); err != nil {
		t.Fatal(err)
	}
	if err := f.unmount(data); err != nil {
		t.Fatal(err)
	}
	r := newTrial(t, s, f, "store", l)
	began := time.Now()
	stride := setting(t, "POWER_STRIDE", 1)
	for at := random.IntN(stride); at <= len(r.requests); at += stride {
		// What unsynced writes do is another matter only at flushes, just before and
		// after them; until then one prefix follows the other.
		modes := []disk.Mode{disk.Everything}
		if at < len(r.requests) && r.requests[at].Kind == disk.Flush {
			modes = []disk.Mode{disk.Everything, disk.Nothing, disk.Torn, disk.Some}
		}
		for _, mode := range modes {
			c := disk.Cut{At: at, Mode: mode, Seed: random.Uint64()}
			if wrong := r.look(c); len(wrong) > 0 {
				t.Errorf("after %d of %d requests, with %v:\n%s", at, len(r.requests), mode, lines(wrong))
			}
		}
	}
	t.Logf("%d answers, %d requests, %d cuts in %v", len(l.moments()), len(r.requests), r.tried, time.Since(began).Round(time.Millisecond))
}

// useStore does a little of everything with a new store.
func useStore(root string, l *ledger) error {
	s, err := image.Open(root, image.Options{})
	if err != nil {
		return err
	}
	ctx := context.Background()
	id := func(name string) string {
		i, err := s.Get(name)
		if err != nil {
			return err.Error()
		}
		return i.ID.String()
	}
	loaded, err := (&load{}).archive("loaded:latest")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		do     func() error
		things func() map[string]string
	}{
		{func() error { _, err := s.Load(ctx, bytes.NewReader(loaded), nil); return err },
			func() map[string]string { return map[string]string{"image loaded:latest": id("loaded")} }},
		{func() error { _, err := s.Tag(ctx, "loaded", "tag:x", ""); return err },
			func() map[string]string { return map[string]string{"image tag:x": id("tag:x")} }},
		{func() error {
			_, err := s.Import(ctx, bytes.NewReader(pack(map[string]string{"file": "imported"})), image.ImportOptions{Ref: "imported", Source: "-"})
			return err
		}, func() map[string]string { return map[string]string{"image imported:latest": id("imported")} }},
		{func() error { _, err := s.Remove(ctx, "imported", image.RemoveOptions{}, nil); return err },
			func() map[string]string { return map[string]string{"image imported:latest": ""} }},
		{func() error { _, err := s.Tag(ctx, "loaded", "moved:x", ""); return err },
			func() map[string]string { return map[string]string{"image moved:x": id("moved:x")} }},
		{func() error { _, err := s.Remove(ctx, "loaded", image.RemoveOptions{}, nil); return err },
			func() map[string]string { return map[string]string{"image loaded:latest": ""} }},
	} {
		asked := l.now()
		if err := step.do(); err != nil {
			return err
		}
		l.tell(asked, step.things())
	}
	return s.Close()
}
