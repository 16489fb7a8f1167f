package image

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// An image whose layer was adopted is the one that a copy makes, with and without
// something that keeps the directory from being a layer as it is.
func TestCommitAdopts(t *testing.T) {
	ctx := context.Background()
	for name, more := range map[string]func(root string) error{
		"as it is":    func(string) error { return nil },
		"with socket": func(root string) error { return unix.Mknod(filepath.Join(root, "socket"), unix.S_IFSOCK|0o600, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			load(t, s, archiveOf(t, three("three:latest")))
			w := writable(t, s, "c1", "three")
			if err := overlay.Mount(w.Target, w.Stack()); err != nil {
				t.Fatal(err)
			}
			edit(t, w.Target)
			before := describeTree(t, w.Target)
			if err := more(w.Target); err != nil {
				t.Fatal(err)
			}
			if err := overlay.Unmount(w.Target); err != nil {
				t.Fatal(err)
			}
			copied, err := s.Commit(ctx, "c1", CommitOptions{})
			if err != nil {
				t.Fatal(err)
			}
			// With the copy in the store its layer would be taken instead.
			if _, err := s.Remove(ctx, copied.ID.String(), RemoveOptions{}, nil); err != nil {
				t.Fatal(err)
			}
			file, err := os.Stat(filepath.Join(w.Upper, "dir/file"))
			if err != nil {
				t.Fatal(err)
			}
			img, err := s.Commit(ctx, "c1", CommitOptions{Adopt: true, Ref: "adopted"})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(img.RootFS.DiffIDs, copied.RootFS.DiffIDs) || img.Top != copied.Top || img.Size != copied.Size || img.VirtualSize != copied.VirtualSize {
				t.Errorf("adopted %+v, copied %+v", img, copied)
			}
			dirs, err := s.chainDirs(img.Top)
			if err != nil {
				t.Fatal(err)
			}
			now, err := os.Stat(filepath.Join(dirs[0], "dir/file"))
			if err != nil {
				t.Fatal(err)
			}
			if adopted := os.SameFile(file, now); adopted != (name == "as it is") {
				t.Errorf("the file is the same one: %v", adopted)
			}
			if err := s.RemoveWritable("c1"); err != nil {
				t.Error(err)
			}
			if after := describeTree(t, mounted(t, writable(t, s, "c2", "adopted"))); !slices.Equal(before, after) {
				t.Errorf("trees differ:\n%s\n\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
			other := newStore(t)
			load(t, other, save(t, s, "adopted"))
			if after := describeTree(t, mounted(t, writable(t, other, "c3", "adopted"))); !slices.Equal(before, after) {
				t.Errorf("trees differ after save and load:\n%s\n\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
			}
		})
	}
}

// The same change made again takes the layer that is there, and leaves nothing.
func TestCommitAdoptsOnce(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	var tops []string
	for _, id := range []string{"c1", "c2"} {
		w := writable(t, s, id, "three")
		file := filepath.Join(w.Upper, "same")
		if err := os.WriteFile(file, []byte("same"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, file, []unix.Timespec{{Sec: 1}, {Sec: 1}}, 0); err != nil {
			t.Fatal(err)
		}
		img, err := s.Commit(context.Background(), id, CommitOptions{Adopt: true})
		if err != nil {
			t.Fatal(err)
		}
		tops = append(tops, img.Top.String())
	}
	if tops[0] != tops[1] {
		t.Errorf("layers %v", tops)
	}
	s.mu.RLock()
	dirs := map[string]bool{}
	for _, l := range s.layers {
		dirs[l.Dir] = true
	}
	s.mu.RUnlock()
	if entries, err := os.ReadDir(filepath.Join(s.root, layersDir)); err != nil || len(entries) != len(dirs) {
		t.Errorf("%d folders for %d layers, %v", len(entries), len(dirs), err)
	}
}
