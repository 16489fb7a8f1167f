package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"
)

// reopen closes a store and opens it again, to be read only or not.
func reopen(t *testing.T, s *Store, readOnly bool, imageOf func(string) digest.Digest) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(s.Root(), Options{ReadOnly: readOnly, ImageOf: imageOf})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// storeOfThree is a store with an image of three layers.
func storeOfThree(t *testing.T) (*Store, *Image) {
	t.Helper()
	s, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	load(t, s, archiveOf(t, three("three:latest")))
	img, err := s.Get("three")
	if err != nil {
		t.Fatal(err)
	}
	return s, img
}

// TestLostLink: what is left of a writable layer when a file in it was synced and, on
// btrfs, nothing else of it (package powertest) is a whole one again.
func TestLostLink(t *testing.T) {
	s, img := storeOfThree(t)
	w := writable(t, s, "c", "three")
	dir := filepath.Dir(w.Upper)
	err := errors.Join(os.WriteFile(filepath.Join(w.Upper, "file"), []byte("kept"), 0o600),
		os.Remove(filepath.Join(dir, rwLink)), os.Remove(w.Work), os.Remove(w.Target))
	if err != nil {
		t.Fatal(err)
	}
	known := func(id string) digest.Digest { return map[string]digest.Digest{"c": img.ID}[id] }
	unknown := func(string) digest.Digest { return "" }
	for _, c := range []struct {
		readOnly bool
		imageOf  func(string) digest.Digest
		findings int
	}{{true, nil, 1}, {false, unknown, 1}, {true, known, 0}, {false, known, 0}, {false, nil, 0}} {
		s = reopen(t, s, c.readOnly, c.imageOf)
		report, err := s.Check(context.Background(), false)
		if err != nil || len(report.Findings) != c.findings || len(report.Leftovers) > c.findings {
			t.Fatalf("read-only %v: %+v %v", c.readOnly, report, err)
		}
	}
	if w, err = s.Writable("c"); err != nil || w.Image != img.ID || !exists(w.Work) || !exists(w.Target) || content(t, filepath.Join(w.Upper, "file")) != "kept" {
		t.Errorf("%+v %v", w, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRemovedContainerIsBack: the folder of a removed container may come back, its
// layers not. That is no damage, if nobody knows the container.
func TestRemovedContainerIsBack(t *testing.T) {
	s, img := storeOfThree(t)
	dir := filepath.Dir(writable(t, s, "c", "three").Upper)
	aside := filepath.Join(t.TempDir(), "c")
	if err := os.CopyFS(aside, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveWritable("c"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(context.Background(), "three", RemoveOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(aside)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		imageOf  func(string) digest.Digest
		findings int
	}{{nil, 1}, {func(string) digest.Digest { return img.ID }, 1}, {func(string) digest.Digest { return "" }, 0}} {
		s, err := Open(s.Root(), Options{ReadOnly: true, ImageOf: c.imageOf})
		if err != nil {
			t.Fatal(err)
		}
		report, err := s.Check(context.Background(), false)
		if err != nil || len(report.Findings) != c.findings || slices.Contains(report.Leftovers, "rw/c") != (c.findings == 0) {
			t.Errorf("%+v %v", report, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
