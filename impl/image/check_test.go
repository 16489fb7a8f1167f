package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"

	"github.com/seed-50ced230/berth/impl/database"
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
	check := func(repair bool) *Report {
		t.Helper()
		r, err := s.Check(ctx, repair)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			t.Log(f)
		}
		return r
	}
	if r := check(true); len(r.Findings) != 0 || r.Images != 2 || r.Layers != 4 || r.Blobs != 3 {
		t.Fatalf("whole store: %+v", r)
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
	// Told, but left alone.
	if r := check(false); len(r.Findings) != 4 || r.Whole() {
		t.Errorf("found %+v", r)
	}
	for _, ref := range []string{r.Host + "/x", "local"} {
		img, err := s.Get(ref)
		if err != nil || !errors.Is(img.Damaged, layer.ErrDamaged) {
			t.Errorf("%s: %+v %v", ref, img, err)
		}
		if err := s.Save(ctx, io.Discard, []string{ref}); !errors.Is(err, layer.ErrDamaged) {
			t.Errorf("saving %s: %v", ref, err)
		}
	}
	var outcomes []string
	for _, f := range check(true).Findings {
		outcomes = append(outcomes, string(f.Kind)+" "+string(f.Outcome))
		if f.Kind == Layer && (len(f.Images) != 1 || f.Outcome == Repaired != (f.Images[0] == pulled.ID)) {
			t.Errorf("finding %v", f)
		}
	}
	slices.Sort(outcomes)
	if want := []string{"image removed", "layer removed", "layer repaired"}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %v instead of %v", outcomes, want)
	}
	if err := s.Save(ctx, io.Discard, []string{r.Host + "/x"}); err != nil {
		t.Errorf("after repair: %v", err)
	}
	if _, err := s.Get("local"); !errdefs.IsNotFound(err) {
		t.Errorf("image that cannot be repaired: %v", err)
	}
	for _, l := range s.layers {
		if l.refs != 1 {
			t.Errorf("layer %s has %d references", l.chain, l.refs)
		}
	}
	load(t, s, archiveOf(t, testimage.Image{Tags: []string{"local:latest"}, Layers: [][]testimage.File{{{Name: "f", Body: []byte("local")}}}}))
	if r := check(false); len(r.Findings) != 0 {
		t.Errorf("after loading again: %+v", r)
	}
}

// tamper changes the database behind the store's back.
func tamper(t *testing.T, root string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(root, dbFile), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Whatever part of an image is damaged, the store opens, other images go
// on, a check tells it without changing anything, a repair removes no more than
// what is beyond saving, and loading the image again makes everything whole:
// a container of it, too.
func TestCheckDamages(t *testing.T) {
	ctx := context.Background()
	archive := archiveOf(t, three("three:latest"))
	other := archiveOf(t, testimage.Image{Tags: []string{"good:latest"}, Layers: [][]testimage.File{{{Name: "x", Body: []byte("x")}}}})
	var id digest.Digest
	var chains []digest.Digest
	key := func(bucket []byte, key, value string) func(t *testing.T, root string, s *Store) {
		return func(t *testing.T, root string, _ *Store) {
			tamper(t, root, func(tx *bbolt.Tx) error {
				if value == "" {
					return tx.Bucket(bucket).Delete([]byte(key))
				}
				return tx.Bucket(bucket).Put([]byte(key), []byte(value))
			})
		}
	}
	func() {
		s := newStore(t)
		load(t, s, archive)
		img, err := s.Get("three")
		if err != nil {
			t.Fatal(err)
		}
		id, chains = img.ID, chainIDs(img.RootFS.DiffIDs)
	}()
	file := func(chain digest.Digest, op func(path string) error, elem ...string) func(t *testing.T, root string, s *Store) {
		return func(t *testing.T, root string, s *Store) {
			if err := op(s.layerPath(s.layers[chain].Dir, elem...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	scribble := func(path string) error { return os.WriteFile(path, []byte("scribble"), 0o600) }
	for name, harm := range map[string]func(t *testing.T, root string, s *Store){
		"layer file":         file(chains[0], scribble, "diff/a/one"),
		"layer folder":       file(chains[0], os.RemoveAll),
		"top layer's files":  file(chains[2], os.RemoveAll, "diff"),
		"recipe":             file(chains[1], scribble, "recipe"),
		"layer record":       key(bucketLayers, chains[1].String(), "{"),
		"layer record gone":  key(bucketLayers, chains[1].String(), ""),
		"layer record lies":  key(bucketLayers, chains[1].String(), `{"dir":"../../x","diff_id":"`+chains[0].String()+`"}`),
		"configuration":      key(bucketConfigs, id.String(), `{"rootfs":{}}`),
		"configuration gone": key(bucketConfigs, id.String(), ""),
		"image record":       key(bucketImages, id.String(), "{"),
		"name":               key(bucketTags, "docker.io/library/three:latest", "sha256:nothing"),
		"manifest":           key(bucketDocs, id.String(), "{"),
		"blob record":        key(bucketBlobs, chains[0].String(), "[{}]"),
		"blob without record": func(t *testing.T, root string, s *Store) {
			if err := scribble(filepath.Join(root, blobsDir, "sha256-00")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			s := open(t, root)
			load(t, s, archive)
			load(t, s, other)
			w := writable(t, s, "c1", "three")
			if err := os.WriteFile(filepath.Join(w.Upper, "precious"), []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			harm(t, root, s)
			before := diskOf(t, root)

			only, err := Open(root, Options{ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			r, err := only.Check(ctx, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := only.Close(); err != nil {
				t.Fatal(err)
			}
			if leftover := name == "blob without record"; r.Whole() != leftover || leftover && len(r.Leftovers) != 1 {
				t.Errorf("the check says %+v", r)
			}
			if after := diskOf(t, root); !slices.Equal(after, before) {
				t.Errorf("the check changed the store:\n%v\n%v", before, after)
			}

			s = open(t, root) // as the daemon does
			if img, err := s.Get("good"); err != nil || img.Damaged != nil {
				t.Errorf("another image: %+v %v", img, err)
			}
			if img, err := s.Get("three"); err == nil && img.Damaged == nil && len(r.Findings) > 0 {
				if _, err := s.Check(ctx, false); err != nil { // what Open does not read
					t.Fatal(err)
				}
			}
			r, err = s.Check(ctx, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Findings {
				t.Log(f)
				if f.Outcome == Reported && f.Kind != Container && f.Kind != Layer {
					t.Errorf("nothing done about %v", f)
				}
			}
			// Whether the image was removed or kept: what is listed is whole.
			images, err := s.List(Filter{All: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range images {
				if err := s.Save(ctx, io.Discard, []string{img.ID.String()}); err != nil {
					t.Errorf("%v: %v", img.Tags, err)
				}
			}
			load(t, s, archive)
			r, err = s.Check(ctx, false)
			if err != nil || len(r.Findings) > 0 || len(r.Leftovers) > 0 {
				t.Errorf("after repairing and loading again: %+v %v", r, err)
			}
			w, err = s.Writable("c1")
			if err != nil {
				t.Fatal(err)
			}
			if tree := mounted(t, w); !exists(filepath.Join(tree, "precious")) || !exists(filepath.Join(tree, "a/three")) {
				t.Error("the container lacks its own file or its image's")
			}
			for _, l := range s.layers {
				if want := s.usersLocked(l.chain); l.refs != want {
					t.Errorf("layer %s has %d references instead of %d", l.chain, l.refs, want)
				}
			}
			t.Cleanup(func() { // after the unmount
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// diskOf lists all files below root with their sizes and times.
func diskOf(t *testing.T, root string) (list []string) {
	t.Helper()
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			list = append(list, fmt.Sprint(path, info.Mode(), info.Size(), info.ModTime()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A damaged database keeps the store from opening for a check, in words, and is
// repaired with what can be read, by a repair or by opening the store for work.
func TestDamagedDatabase(t *testing.T) {
	ctx := context.Background()
	root := t.TempDir()
	s := open(t, root)
	load(t, s, archiveOf(t, three("three:latest")))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if done, err := RepairDatabase(root); err != nil || done != nil {
		t.Fatalf("whole database: %v %v", done, err)
	}
	file := filepath.Join(root, dbFile)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(content); at += 4096 {
		harmed := slices.Clone(content)
		for i := range 256 {
			harmed[at+i] ^= 0xff
		}
		if err := os.WriteFile(file, harmed, 0o600); err != nil {
			t.Fatal(err)
		}
		if database.Check(file) == nil {
			if at < 2*4096 {
				t.Errorf("head %d is not noticed", at/4096)
			}
			continue // a free page
		}
		if s, err := Open(root, Options{ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "berthd check --repair") {
			s.Close()
			t.Fatalf("page %d: opened: %v", at/4096, err)
		}
		if at/4096%2 == 0 {
			if done, err := RepairDatabase(root); err != nil || done == nil {
				t.Fatalf("page %d: %v %v", at/4096, done, err)
			}
		}
		s := open(t, root)
		if _, err := s.Check(ctx, true); err != nil {
			t.Errorf("page %d: %v", at/4096, err)
		}
		if r, err := s.Check(ctx, true); err != nil || len(r.Findings) > 0 {
			t.Errorf("page %d, second repair: %+v %v", at/4096, r, err)
		}
		load(t, s, archiveOf(t, three("three:latest")))
		save(t, s, "three")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A database that is gone or empty takes nothing with it: the layers and what
// containers wrote stay, at later starts, too.
func TestDatabaseGone(t *testing.T) {
	for how, harm := range map[string]func(file string) error{"gone": os.Remove, "empty": func(file string) error { return os.Truncate(file, 0) }} {
		root := t.TempDir()
		s := open(t, root)
		load(t, s, archiveOf(t, three("three:latest")))
		w := writable(t, s, "c1", "three")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		layers, err := os.ReadDir(filepath.Join(root, layersDir))
		if err != nil || len(layers) != 3 {
			t.Fatal(layers, err)
		}
		if err := harm(filepath.Join(root, dbFile)); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(root, Options{ReadOnly: true}); !errors.Is(err, database.ErrDamaged) {
			s.Close()
			t.Fatalf("%s: %v", how, err)
		}
		for range 2 {
			if err := open(t, root).Close(); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadDir(filepath.Join(root, layersDir))
			if err != nil || len(after) != len(layers) || !exists(w.Upper) {
				t.Fatalf("%s: of %d layers %d are left, %v; %v", how, len(layers), len(after), exists(w.Upper), err)
			}
		}
	}
}

// Power may go while the first daemon makes its store.
func TestStoreJustMade(t *testing.T) {
	root := filepath.Join(t.TempDir(), "image")
	is := func(want bool, when string) {
		t.Helper()
		if empty, err := IsEmpty(root); err != nil || empty != want {
			t.Errorf("%s: %v, %v", when, empty, err)
		}
	}
	is(true, "before all")
	if err := os.MkdirAll(filepath.Join(root, layersDir), 0o700); err != nil {
		t.Fatal(err)
	}
	is(true, "with folders")
	file := filepath.Join(root, dbFile)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	is(true, "with an empty database")
	s := open(t, root)
	load(t, s, archiveOf(t, three("three:latest")))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	is(false, "with an image")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	is(false, "with layers and no database")
}

// A layer whose record is lost is made again from its compressed form, and its
// image stays, whether the database is damaged or only lacks the record.
func TestLayerRecordLost(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	one := newStore(t)
	load(t, one, archiveOf(t, three("three:latest")))
	tag(t, one, "three", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	mustPush(t, one, repo, "latest")
	for n := range 3 {
		root := t.TempDir()
		s := open(t, root)
		if _, err := s.Pull(ctx, repo, "latest", nil); err != nil {
			t.Fatal(err)
		}
		img, err := s.Get(r.Host + "/x")
		if err != nil {
			t.Fatal(err)
		}
		chain := chainIDs(img.RootFS.DiffIDs)[n]
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		tamper(t, root, func(tx *bbolt.Tx) error { return tx.Bucket(bucketLayers).Delete([]byte(chain)) })
		s = open(t, root)
		report, err := s.Check(ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Findings) != 1 || report.Findings[0].Kind != Layer || report.Findings[0].Outcome != Repaired {
			t.Errorf("layer %d: %v", n, report.Findings)
		}
		if err := s.Save(ctx, io.Discard, []string{r.Host + "/x"}); err != nil {
			t.Errorf("layer %d: %v", n, err)
		}
		if again, err := s.Check(ctx, false); err != nil || len(again.Findings) > 0 || again.Layers != 3 {
			t.Errorf("layer %d, again: %+v %v", n, again, err)
		}
		for _, l := range s.layers {
			if want := s.usersLocked(l.chain); l.refs != want {
				t.Errorf("layer %s has %d references instead of %d", l.chain, l.refs, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
