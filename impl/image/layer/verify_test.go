package layer_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

// What a damaged file system does to a layer's files is found, also where
// the tar's digest cannot tell.
func TestVerify(t *testing.T) {
	b := tarOf(t,
		file{Name: "d/", Mode: 0o750, UID: 3}, file{Name: "d/empty/"}, file{Name: "d/f", Body: []byte("content")}, file{Name: "d/nothing"},
		file{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "d/f"}, file{Name: "hard", Typeflag: tar.TypeLink, Linkname: "d/f"},
		file{Name: "gone/.wh.away"}, file{Name: "d/.wh..wh..opq"}, file{Name: "fifo", Typeflag: tar.TypeFifo},
	)
	ctx := context.Background()
	at := func(dir string, elem ...string) string {
		return filepath.Join(append([]string{dir, layer.DiffDir}, elem...)...)
	}
	for name, harm := range map[string]func(dir string) error{
		"other contents":    func(dir string) error { return os.WriteFile(at(dir, "d/f"), []byte("CONTENT"), 0o644) },
		"shorter":           func(dir string) error { return os.Truncate(at(dir, "d/f"), 3) },
		"file gone":         func(dir string) error { return os.Remove(at(dir, "d/f")) },
		"empty file gone":   func(dir string) error { return os.Remove(at(dir, "d/nothing")) },
		"empty file filled": func(dir string) error { return os.WriteFile(at(dir, "d/nothing"), []byte("x"), 0o644) },
		"folder gone":       func(dir string) error { return os.Remove(at(dir, "d/empty")) },
		"hard link gone":    func(dir string) error { return os.Remove(at(dir, "hard")) },
		"link elsewhere": func(dir string) error {
			return errors.Join(os.Remove(at(dir, "link")), os.Symlink("/etc/passwd", at(dir, "link")))
		},
		"mode":  func(dir string) error { return os.Chmod(at(dir, "d"), 0o777) },
		"owner": func(dir string) error { return os.Chown(at(dir, "d"), 0, 0) },
		"kind": func(dir string) error {
			return errors.Join(os.Remove(at(dir, "fifo")), os.Mkdir(at(dir, "fifo"), 0o644))
		},
		"one more":        func(dir string) error { return os.WriteFile(at(dir, "d/more"), nil, 0o644) },
		"whiteout gone":   func(dir string) error { return os.Remove(at(dir, "gone/away")) },
		"not opaque":      func(dir string) error { return unix.Removexattr(at(dir, "d"), "trusted.overlay.opaque") },
		"diff gone":       func(dir string) error { return os.RemoveAll(at(dir)) },
		"recipe cut off":  func(dir string) error { return os.Truncate(filepath.Join(dir, "recipe"), 40) },
		"recipe gone":     func(dir string) error { return os.Remove(filepath.Join(dir, "recipe")) },
		"recipe nonsense": func(dir string) error { return os.WriteFile(filepath.Join(dir, "recipe"), []byte("nonsense"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, res := mustUnpack(t, b)
			if err := layer.Verify(ctx, dir, res.DiffID); err != nil {
				t.Fatalf("whole: %v", err)
			}
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			err := layer.Verify(ctx, dir, res.DiffID)
			if !errors.Is(err, layer.ErrDamaged) {
				t.Errorf("damaged: %v", err)
			}
			t.Log(err)
		})
	}
}

// What lies behind links of the same layer, or in a folder that a later entry
// replaced, is elsewhere or gone: that is no damage, however often and in
// whatever order it is looked at.
func TestVerifyBehindLinks(t *testing.T) {
	link := func(name, target string) file { return file{Name: name, Typeflag: tar.TypeSymlink, Linkname: target} }
	real := []file{{Name: "real/"}, {Name: "real/f", Body: []byte("first")}}
	for name, files := range map[string][]file{
		"file replaced":           append(real, link("lnk", "real"), file{Name: "lnk/f", Body: []byte("replacement")}),
		"mode replaced":           append(real, link("lnk", "real"), file{Name: "lnk/f", Body: []byte("first"), Mode: 0o600}),
		"absolute link":           append(real, link("lnk", "/real"), file{Name: "lnk/f", Body: []byte("replacement")}),
		"whiteout":                append(real, link("lnk", "real"), file{Name: "lnk/.wh.x"}),
		"whiteout, absolute":      append(real, link("lnk", "/real"), file{Name: "lnk/.wh.x"}),
		"whiteout of a host path": {{Name: "etc/"}, link("lnk", "/etc"), {Name: "lnk/.wh.passwd"}},
		"opaque":                  append(real, link("lnk", "real"), file{Name: "lnk/.wh..wh..opq"}),
		"opaque, absolute":        append(real, link("lnk", "/real"), file{Name: "lnk/.wh..wh..opq"}),
		"through a hard link":     append(real, link("lnk", "real"), file{Name: "hard", Typeflag: tar.TypeLink, Linkname: "lnk"}, file{Name: "hard/f", Body: []byte("replacement")}),
		"implied folder replaced": {{Name: "d/f", Body: []byte("first")}, {Name: "d", Body: []byte("file")}},
		"implied folder, a link":  append(real, file{Name: "d/f", Body: []byte("first")}, link("d", "real")),
	} {
		t.Run(name, func(t *testing.T) {
			dir, res := mustUnpack(t, tarOf(t, files...))
			for range 40 { // maps are read in another order each time
				if err := layer.Verify(context.Background(), dir, res.DiffID); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// That a layer cannot be read says nothing about it.
func TestVerifyUnreadable(t *testing.T) {
	dir, res := mustUnpack(t, tarOf(t, file{Name: "d/f", Body: []byte("content")}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := layer.Verify(ctx, dir, res.DiffID); !errors.Is(err, context.Canceled) || errors.Is(err, layer.ErrDamaged) {
		t.Errorf("cancelled: %v", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// The recipe, the folder of files, and one file are open at once.
	for more := range uint64(4) {
		few := limit
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		few.Cur = uint64(len(entries)) - 1 + more // the listing itself was one
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
			t.Fatal(err)
		}
		err = layer.Verify(context.Background(), dir, res.DiffID)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if more == 0 && !errors.Is(err, unix.EMFILE) || errors.Is(err, layer.ErrDamaged) {
			t.Errorf("%d descriptors: %v", more, err)
		}
	}
}
