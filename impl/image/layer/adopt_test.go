package layer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// whole describes a directory of a layer with everything that can be told of it, but
// for times of access and of change.
func whole(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		kind := st.Mode & unix.S_IFMT
		line := fmt.Sprintf("%o %d:%d %d %d", st.Mode, st.Uid, st.Gid, st.Rdev, st.Mtim.Nano())
		whiteout := kind == unix.S_IFCHR && st.Rdev == 0
		if whiteout { // overlayfs makes many names for one, and its time is of no use
			line = "whiteout"
		} else if kind != unix.S_IFDIR {
			line += fmt.Sprint(" ", st.Nlink)
		}
		switch kind {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %s", st.Size, digest.FromBytes(b).Encoded()[:12])
		case unix.S_IFLNK:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " -> " + to
		}
		var names [4096]byte
		n, err := unix.Llistxattr(p, names[:])
		if err != nil {
			return err
		}
		list := strings.Split(string(names[:n]), "\x00")
		slices.Sort(list)
		for _, name := range list {
			if name == "" {
				continue
			}
			var v [256]byte
			n, err := unix.Lgetxattr(p, name, v[:])
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %s=%x", name, v[:n])
		}
		out["."+strings.TrimPrefix(p, root)] = line
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func expectSame(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for p := range maps.Keys(want) {
		if got[p] != want[p] {
			t.Errorf("%s: %q is %q instead of %q", what, p, got[p], want[p])
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: %q should not be there", what, p)
		}
	}
}

// upperOf makes an upper directory by edits of a mount on lower.
func upperOf(t *testing.T, lower []string, edit func(in func(string) string) []error) string {
	t.Helper()
	place := t.TempDir()
	dir := func(name string) string {
		p := filepath.Join(place, name)
		if err := os.Mkdir(p, 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	s := overlay.Stack{Lower: lower, Upper: dir("upper"), Work: dir("work")}
	target := dir("merged")
	if err := overlay.Mount(target, s); err != nil {
		t.Fatal(err)
	}
	for _, err := range edit(func(p string) string { return filepath.Join(target, p) }) {
		if err != nil {
			t.Error(err)
		}
	}
	if err := overlay.Unmount(target); err != nil {
		t.Fatal(err)
	}
	return s.Upper
}

// lowerDir is a layer to edit.
func lowerDir(t *testing.T) string {
	t.Helper()
	b := tarOf(t,
		file{Name: "./", Mode: 0o711}, file{Name: "file", Body: []byte("lower")}, file{Name: "gone", Body: []byte("gone")}, file{Name: "grows", Body: []byte("1")},
		file{Name: "dir/", Mode: 0o700}, file{Name: "dir/a", Body: []byte("a")}, file{Name: "dir/deep/"}, file{Name: "dir/deep/b", Body: []byte("b")},
		file{Name: "emptied/"}, file{Name: "emptied/x", Body: []byte("x")}, file{Name: "becomes-file/"}, file{Name: "becomes-file/x"},
		file{Name: "becomes-dir", Body: []byte("x")}, file{Name: "link", Typeflag: '2', Linkname: "file"},
		file{Name: "hard", Typeflag: '1', Linkname: "file"}, file{Name: "mode", Body: []byte("m"), Xattrs: map[string]string{"user.kept": "yes"}},
		file{Name: "moved/"}, file{Name: "moved/y", Body: []byte("y")})
	dir, _ := mustUnpack(t, b)
	return filepath.Join(dir, layer.DiffDir)
}

func editAll(in func(string) string) []error {
	long := strings.Repeat("long-name-", 14)
	sparse := func() error {
		f, err := os.Create(in("sparse"))
		if err != nil {
			return err
		}
		_, werr := f.WriteAt([]byte("end"), 3<<20)
		return errors.Join(werr, f.Close())
	}
	at := time.Unix(1234567890, 123456789)
	return []error{
		os.WriteFile(in("file"), []byte("upper"), 0o644), // breaks the hard link
		os.Remove(in("gone")),
		os.WriteFile(in("grows"), bytes.Repeat([]byte("0123456789"), 100_000), 0o640),
		os.Chmod(in("mode"), 0o4755),
		os.RemoveAll(in("emptied")), os.Mkdir(in("emptied"), 0o1777), os.Chmod(in("emptied"), 0o777|os.ModeSticky),
		os.RemoveAll(in("becomes-file")), os.WriteFile(in("becomes-file"), nil, 0o600),
		os.Remove(in("becomes-dir")), os.MkdirAll(in("becomes-dir/in/it"), 0o755),
		os.Remove(in("link")), os.Symlink("/elsewhere", in("link")), os.Lchown(in("link"), 12, 34),
		os.Remove(in("dir/a")), os.WriteFile(in("dir/deep/c"), []byte("c"), 0o644),
		unix.Lsetxattr(in("dir"), "user.of.dir", []byte("1"), 0),
		os.WriteFile(in("new"), []byte("new"), 0o644), os.Link(in("new"), in("dir/new-too")), os.Link(in("new"), in("another")),
		unix.Lsetxattr(in("new"), "user.k", []byte("v\x00w"), 0),
		os.WriteFile(in("empty"), nil, 0o644), os.Link(in("empty"), in("empty-too")),
		os.Mkdir(in(long), 0o755), os.WriteFile(in(long+"/"+long), []byte("long"), 0o644), os.WriteFile(in("\xff ü"), []byte("name"), 0o644),
		unix.Mknod(in("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))), unix.Mknod(in("block"), unix.S_IFBLK|0o660, int(unix.Mkdev(7, 300))),
		unix.Mkfifo(in("fifo"), 0o600), os.Lchown(in("fifo"), 3_000_000, 70_000),
		sparse(),
		os.WriteFile(in("capable"), []byte("x"), 0o755),
		unix.Lsetxattr(in("capable"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0),
		os.Rename(in("moved/y"), in("moved/z")),
		os.Chtimes(in("new"), at, at), os.Chtimes(in("dir"), at, at),
		// What becomes of the root is none of the layer's business.
		os.Chmod(in("."), 0o777), os.Lchown(in("."), 5, 5), unix.Lsetxattr(in("."), "user.of.root", []byte("1"), 0),
	}
}

// A directory that is adopted makes the same layer as one that is packed and
// unpacked: digest, sizes, tar, and every file with all that belongs to it.
func TestAdopt(t *testing.T) {
	ctx := context.Background()
	for name, lower := range map[string][]string{"above a layer": {lowerDir(t)}, "above nothing": {}} {
		t.Run(name, func(t *testing.T) {
			stack := lower
			edit := editAll
			if len(stack) == 0 {
				stack = []string{t.TempDir()}
				edit = func(in func(string) string) []error {
					return []error{os.WriteFile(in("f"), []byte("f"), 0o600), os.MkdirAll(in("d/e"), 0o755), os.Chmod(in("."), 0o700)}
				}
			}
			upper := upperOf(t, stack, edit)
			var tarball bytes.Buffer
			if changed, err := layer.PackDiff(ctx, upper, &tarball); err != nil || !changed {
				t.Fatal(changed, err)
			}
			wantDir, want := mustUnpack(t, tarball.Bytes())
			gotDir := t.TempDir()
			got, err := layer.Adopt(ctx, gotDir, upper, limits)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("adopted %+v instead of %+v", got, want)
			}
			for dir, res := range map[string]*layer.Result{gotDir: got, wantDir: want} {
				if err := layer.Settle(dir, res, lower); err != nil {
					t.Fatal(err)
				}
			}
			var again bytes.Buffer
			if err := layer.Assemble(ctx, gotDir, &again); err != nil || !bytes.Equal(again.Bytes(), tarball.Bytes()) {
				t.Errorf("its tar is another one of %d bytes instead of %d, %v", again.Len(), tarball.Len(), err)
			}
			if err := layer.Verify(ctx, gotDir, got.DiffID); err != nil {
				t.Error(err)
			}
			a, b := whole(t, filepath.Join(gotDir, layer.DiffDir)), whole(t, filepath.Join(wantDir, layer.DiffDir))
			if len(lower) == 0 { // the root's time is that of its making
				for _, m := range []map[string]string{a, b} {
					m["."] = strings.Join(strings.Fields(m["."])[:3], " ")
				}
			}
			expectSame(t, "adopted", a, b)
			if left, err := os.ReadDir(gotDir); err != nil || len(left) != 2 {
				t.Errorf("beside files and recipe: %v, %v", left, err)
			}
			if _, err := os.Lstat(upper); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is still there: %v", err)
			}
		})
	}
}

// What cannot be a layer as it is stays where and as it is.
func TestAdoptUnfit(t *testing.T) {
	ctx := context.Background()
	deep := strings.Repeat("d/", 270)
	for name, c := range map[string]struct {
		edit  func(in func(string) string) []error
		upper func(string) error // after the mount is gone
		lim   layer.Limits
	}{
		"a socket": {edit: func(in func(string) string) []error {
			return []error{unix.Mknod(in("socket"), unix.S_IFSOCK|0o600, 0)}
		}},
		"a name of a whiteout": {edit: func(in func(string) string) []error {
			return []error{os.WriteFile(in(".wh.file"), nil, 0o644)}
		}},
		"a symbolic link with two names": {edit: func(in func(string) string) []error {
			return []error{os.Symlink("x", in("one")), os.Link(in("one"), in("two"))}
		}},
		"many folders in each other": {edit: func(in func(string) string) []error {
			return []error{os.MkdirAll(in(deep), 0o755)}
		}},
		"an attribute that no layer keeps": {
			edit:  func(in func(string) string) []error { return []error{os.WriteFile(in("f"), nil, 0o644)} },
			upper: func(upper string) error { return unix.Lsetxattr(upper+"/f", "trusted.other", []byte("1"), 0) },
		},
		"an attribute that a tar cannot name": {edit: func(in func(string) string) []error {
			return []error{os.WriteFile(in("f"), nil, 0o644), unix.Lsetxattr(in("f"), "user.a=b", []byte("1"), 0)}
		}},
		"too many bytes": {
			edit: func(in func(string) string) []error { return []error{os.WriteFile(in("f"), make([]byte, 5000), 0o644)} },
			lim:  layer.Limits{Bytes: 4000, Entries: 100},
		},
		"too many files": {
			edit: func(in func(string) string) []error {
				return []error{os.WriteFile(in("f"), nil, 0o644), os.WriteFile(in("g"), nil, 0o644)}
			},
			lim: layer.Limits{Bytes: 4000, Entries: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			upper := upperOf(t, []string{lowerDir(t)}, c.edit)
			if c.upper != nil {
				if err := c.upper(upper); err != nil {
					t.Fatal(err)
				}
			}
			if c.lim == (layer.Limits{}) {
				c.lim = limits
			}
			before, dir := diffOf(t, upper), filepath.Join(t.TempDir(), "layer")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if res, err := layer.Adopt(ctx, dir, upper, c.lim); !errors.Is(err, layer.ErrUnfit) {
				t.Errorf("adopted as %+v, %v", res, err)
			}
			if after := diffOf(t, upper); !bytes.Equal(before, after) {
				t.Error("it has changed")
			}
		})
	}
	upper := upperOf(t, []string{lowerDir(t)}, func(func(string) string) []error { return nil })
	if res, err := layer.Adopt(ctx, t.TempDir(), upper, limits); res != nil || err != nil {
		t.Errorf("without a change: %+v, %v", res, err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	upper = upperOf(t, []string{lowerDir(t)}, editAll)
	if res, err := layer.Adopt(cancelled, t.TempDir(), upper, limits); res != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %+v, %v", res, err)
	}
}

func diffOf(t *testing.T, upper string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := layer.PackDiff(context.Background(), upper, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
