package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/testimage"
)

var limits = layer.Limits{Bytes: 1 << 30, Entries: 100_000}

type file = testimage.File

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	b, err := testimage.Layer(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpack unpacks into a fresh folder below another one, in which nothing else may appear.
func unpack(t testing.TB, b []byte, lim layer.Limits) (dir string, res *layer.Result, err error) {
	t.Helper()
	outer := t.TempDir()
	dir = filepath.Join(outer, "layer")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	res, err = layer.Unpack(context.Background(), dir, bytes.NewReader(b), lim)
	entries, rerr := os.ReadDir(outer)
	if rerr != nil || len(entries) != 1 {
		t.Errorf("beside the layer: %v %v", entries, rerr)
	}
	return dir, res, err
}

func mustUnpack(t testing.TB, b []byte) (string, *layer.Result) {
	t.Helper()
	dir, res, err := unpack(t, b, limits)
	if err != nil {
		t.Fatal(err)
	}
	return dir, res
}

func assemble(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := layer.Assemble(context.Background(), dir, &b); err != nil {
		t.Fatal(err)
	}
	if err := layer.Verify(context.Background(), dir, digest.FromBytes(b.Bytes())); err != nil {
		t.Errorf("verify: %v", err)
	}
	return b.Bytes()
}

func content(t testing.TB, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func lstat(t testing.TB, elem ...string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(elem...), &st); err != nil {
		t.Fatalf("%s: %v", filepath.Join(elem...), err)
	}
	return st
}

func opaque(elem ...string) bool {
	var v [1]byte
	n, err := unix.Lgetxattr(filepath.Join(elem...), "trusted.overlay.opaque", v[:])
	return err == nil && n == 1
}

// TestExact: whatever a tar looks like, Assemble gives it back.
func TestExact(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	bomb := make([]byte, 3<<20)
	for name, b := range map[string][]byte{
		"empty":                {},
		"two zero blocks":      make([]byte, 1024),
		"padded":               append(tarOf(t, file{Name: "a", Body: []byte("a")}), make([]byte, 20_000)...),
		"trailing rubbish":     append(tarOf(t, file{Name: "a", Body: []byte("a")}), big[:4096]...),
		"without end":          tarOf(t, file{Name: "a", Body: []byte("a")})[:1024],
		"plain":                tarOf(t, file{Name: "d/"}, file{Name: "d/a", Body: []byte("a")}, file{Name: "big", Body: big}, file{Name: "zero", Body: bomb}),
		"dots":                 tarOf(t, file{Name: "./"}, file{Name: "./d/./a", Body: []byte("a")}, file{Name: "/abs", Body: []byte("b")}),
		"twice":                tarOf(t, file{Name: "a", Body: []byte("first")}, file{Name: "a", Body: []byte("second")}, file{Name: "a", Body: []byte("third")}),
		"folder becomes file":  tarOf(t, file{Name: "a/b/c", Body: []byte("first")}, file{Name: "a", Body: []byte("second")}, file{Name: "z", Body: []byte("z")}),
		"file becomes folder":  tarOf(t, file{Name: "a", Body: []byte("first")}, file{Name: "a/"}, file{Name: "a/b", Body: []byte("second")}),
		"through a link":       tarOf(t, file{Name: "real/"}, file{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "real"}, file{Name: "link/a", Body: []byte("a")}),
		"link becomes folder":  tarOf(t, file{Name: "real/"}, file{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "real"}, file{Name: "l/a", Body: []byte("a")}, file{Name: "l", Body: []byte("now a file")}),
		"whiteouts":            tarOf(t, file{Name: "d/.wh.x"}, file{Name: "d/.wh..wh..opq"}, file{Name: ".wh.y"}),
		"AUFS":                 tarOf(t, file{Name: ".wh..wh.aufs", Body: []byte("aufs")}, file{Name: ".wh..wh.plnk/"}, file{Name: ".wh..wh.plnk/1.2", Body: []byte("linked")}, file{Name: "l", Typeflag: tar.TypeLink, Linkname: ".wh..wh.plnk/1.2"}),
		"AUFS, then twice":     tarOf(t, file{Name: ".wh..wh.plnk/1.2", Body: []byte("linked")}, file{Name: "a", Body: []byte("first")}, file{Name: "a", Body: []byte("second")}),
		"long names":           tarOf(t, file{Name: strings.Repeat("long/", 60) + strings.Repeat("n", 200), Body: []byte("a")}),
		"not UTF-8":            tarOf(t, file{Name: "caf\xe9", Body: []byte("a")}),
		"GNU sparse":           gnuSparse(t),
		"implied, then listed": tarOf(t, file{Name: "a/b", Body: []byte("b")}, file{Name: "a/", Mode: 0o700}),
		"hard links":           tarOf(t, file{Name: "a", Body: []byte("a")}, file{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}, file{Name: "c", Typeflag: tar.TypeLink, Linkname: "./b"}),
	} {
		t.Run(name, func(t *testing.T) {
			dir, res := mustUnpack(t, b)
			got := assemble(t, dir)
			if !bytes.Equal(got, b) {
				t.Errorf("%d bytes instead of %d", len(got), len(b))
			}
			if res.DiffID != digest.FromBytes(b) || res.TarSize != int64(len(b)) {
				t.Errorf("result %+v", res)
			}
		})
	}
}

// gnuSparse is a file of 1 MiB with one block of data, in the old GNU format.
func gnuSparse(t testing.TB) []byte {
	t.Helper()
	return sparse(1<<20, []byte("data"))
}

// sparse builds what archive/tar cannot write: an old GNU sparse entry whose
// real size is size and that holds data at its beginning.
func sparse(size int64, data []byte) []byte {
	h := make([]byte, 512)
	put := func(at, n int, v int64) { copy(h[at:], fmt.Sprintf("%0*o", n-1, v)) }
	big := func(at int, v int64) { // base 256, for sizes that octal cannot hold
		h[at] = 0x80
		for i := range 8 {
			h[at+11-i] = byte(v >> (8 * i))
		}
	}
	copy(h, "sparse")
	put(100, 8, 0o644)
	put(108, 8, 0)
	put(116, 8, 0)
	put(124, 12, int64(len(data)))
	put(136, 12, 1459512000)
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	put(386, 12, 0)
	put(398, 12, int64(len(data)))
	big(410, size)
	put(422, 12, 0)
	big(483, size)
	copy(h[148:156], "        ")
	sum := int64(0)
	for _, b := range h {
		sum += int64(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	body := make([]byte, (len(data)+511)/512*512)
	copy(body, data)
	return append(append(h, body...), make([]byte, 1024)...)
}

func TestSparseStaysSparse(t *testing.T) {
	dir, res := mustUnpack(t, gnuSparse(t))
	st := lstat(t, dir, "diff/sparse")
	if st.Size != 1<<20 || st.Blocks*512 > 512<<10 || res.Size != 1<<20 {
		t.Errorf("size %d in %d blocks, %d counted", st.Size, st.Blocks, res.Size)
	}
	if got := content(t, dir, "diff/sparse"); got[:4] != "data" || strings.Trim(got[4:], "\x00") != "" {
		t.Error("contents differ")
	}
}

// TestHostile: every entry that reaches out of the layer is refused, or lands inside.
func TestHostile(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files []file
		ok    bool
	}{
		"name climbs":                {files: []file{{Name: "../x", Body: []byte("x")}}},
		"name climbs later":          {files: []file{{Name: "a/../../x", Body: []byte("x")}}},
		"name climbs far":            {files: []file{{Name: strings.Repeat("../", 30) + victim[1:], Body: []byte("x")}}},
		"absolute name":              {files: []file{{Name: victim, Body: []byte("x")}}, ok: true},
		"through absolute link":      {files: []file{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/victim", Body: []byte("x")}}, ok: true},
		"through climbing link":      {files: []file{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: strings.Repeat("../", 30) + outside[1:]}, {Name: "l/victim", Body: []byte("x")}}, ok: true},
		"through a chain of links":   {files: []file{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, {Name: "b", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "a/victim", Body: []byte("x")}}, ok: true},
		"over an absolute link":      {files: []file{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: victim}, {Name: "l", Body: []byte("x")}}, ok: true},
		"folder over a link":         {files: []file{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/", Mode: 0o777, UID: 99}}, ok: true},
		"links in a circle":          {files: []file{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, {Name: "b", Typeflag: tar.TypeSymlink, Linkname: "a"}, {Name: "a/x", Body: []byte("x")}}},
		"hard link climbs":           {files: []file{{Name: "l", Typeflag: tar.TypeLink, Linkname: "../../victim"}}},
		"hard link through link":     {files: []file{{Name: "d", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l", Typeflag: tar.TypeLink, Linkname: "d/victim"}}, ok: true},
		"hard link to a folder":      {files: []file{{Name: "d/"}, {Name: "l", Typeflag: tar.TypeLink, Linkname: "d"}}},
		"hard link to the root":      {files: []file{{Name: "l", Typeflag: tar.TypeLink, Linkname: "/"}}},
		"hard link to a whiteout":    {files: []file{{Name: "l", Typeflag: tar.TypeLink, Linkname: ".wh.x"}}},
		"whiteout of ..":             {files: []file{{Name: ".wh..."}}},
		"whiteout of .":              {files: []file{{Name: ".wh.."}}},
		"whiteout of nothing":        {files: []file{{Name: ".wh."}}},
		"whiteout through link":      {files: []file{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/.wh.victim"}}, ok: true},
		"opaque through link":        {files: []file{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/.wh..wh..opq"}}, ok: true},
		"whiteout as a folder":       {files: []file{{Name: ".wh.x/y", Body: []byte("x")}}},
		"file below a file":          {files: []file{{Name: "f", Body: []byte("x")}, {Name: "f/x", Body: []byte("x")}}},
		"root as a file":             {files: []file{{Name: ".", Body: []byte("x")}}},
		"name too long":              {files: []file{{Name: strings.Repeat("n", 256), Body: []byte("x")}}},
		"too deep":                   {files: []file{{Name: strings.Repeat("d/", 300) + "x", Body: []byte("x")}}},
		"device number out of range": {files: []file{{Name: "dev", Typeflag: tar.TypeChar, Devmajor: 1 << 20}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := unpack(t, tarOf(t, c.files...), limits)
			if c.ok && err != nil {
				t.Errorf("refused: %v", err)
			}
			if !c.ok && err == nil {
				t.Error("accepted")
			}
			if got := content(t, victim); got != "safe" {
				t.Fatalf("the file outside has %q", got)
			}
			st, err := os.Stat(outside)
			if err != nil || st.Mode().Perm()&0o022 != 0 || opaque(outside) {
				t.Fatalf("the folder outside: %v %v", st, err)
			}
			if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
				t.Fatalf("the folder outside: %v %v", entries, err)
			}
		})
	}
}

func TestOrdersToOverlayfsAreDropped(t *testing.T) {
	dir, _ := mustUnpack(t, tarOf(t,
		file{Name: "d/", Xattrs: map[string]string{"trusted.overlay.opaque": "y", "trusted.overlay.redirect": "/etc", "user.overlay.opaque": "y", "user.kept": "v"}},
		file{Name: "f", Body: []byte("f"), Xattrs: map[string]string{"trusted.overlay.metacopy": "", "security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
	))
	b := make([]byte, 1024)
	n, err := unix.Llistxattr(filepath.Join(dir, "diff/d"), b)
	if err != nil || string(b[:n]) != "user.kept\x00" {
		t.Errorf("attributes %q %v", b[:n], err)
	}
	if n, err = unix.Llistxattr(filepath.Join(dir, "diff/f"), b); err != nil || string(b[:n]) != "security.capability\x00" {
		t.Errorf("attributes %q %v", b[:n], err)
	}
}

func TestDevicesAndMarkers(t *testing.T) {
	dir, _ := mustUnpack(t, tarOf(t,
		file{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
		file{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8, Devminor: 1, Mode: 0o660, GID: 6},
		file{Name: "fifo", Typeflag: tar.TypeFifo, Mode: 0o600},
		file{Name: "d/"}, file{Name: "d/.wh.gone"}, file{Name: "d/.wh..wh..opq"},
		file{Name: ".wh..wh.aufs", Body: []byte("x")}, file{Name: ".wh..wh.orph/"}, file{Name: ".wh..wh.plnk/"}, file{Name: ".wh..wh.plnk/7", Body: []byte("seven"), Mode: 0o640},
		file{Name: "seven", Typeflag: tar.TypeLink, Linkname: ".wh..wh.plnk/7"},
		file{Name: ".wh.again"}, file{Name: "again/"}, file{Name: "again/x", Body: []byte("x")},
		file{Name: "first/"}, file{Name: ".wh.first"},
	))
	if st := lstat(t, dir, "diff/null"); st.Mode != unix.S_IFCHR|0o666 || st.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("null: %o %d", st.Mode, st.Rdev)
	}
	if st := lstat(t, dir, "diff/disk"); st.Mode != unix.S_IFBLK|0o660 || st.Gid != 6 {
		t.Errorf("disk: %o %d", st.Mode, st.Gid)
	}
	if st := lstat(t, dir, "diff/d/gone"); st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		t.Errorf("whiteout: %o %d", st.Mode, st.Rdev)
	}
	for p, want := range map[string]bool{"d": true, "again": true, "first": true, "null": false} {
		if opaque(dir, "diff", p) != want {
			t.Errorf("%s: opaque is %v", p, !want)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "diff/.wh.*"))
	if err != nil || len(names) != 0 {
		t.Errorf("markers became files: %v", names)
	}
	if got := content(t, dir, "diff/seven"); got != "seven" {
		t.Errorf("AUFS link has %q", got)
	}
}

func TestBudgets(t *testing.T) {
	many := make([]file, 200)
	for i := range many {
		many[i] = file{Name: fmt.Sprint(i)}
	}
	for name, c := range map[string]struct {
		tar []byte
		lim layer.Limits
	}{
		"sparse bomb":  {sparse(20<<30, []byte("x")), layer.Limits{Bytes: 1 << 30, Entries: 10}},
		"zeros":        {tarOf(t, file{Name: "z", Body: make([]byte, 2<<20)}), layer.Limits{Bytes: 1 << 20, Entries: 10}},
		"padding":      {make([]byte, 2<<20), layer.Limits{Bytes: 1 << 20, Entries: 10}},
		"many entries": {tarOf(t, many...), layer.Limits{Bytes: 1 << 30, Entries: 100}},
		"AUFS contents": {tarOf(t, file{Name: ".wh..wh.plnk/1", Body: make([]byte, 700<<10)}, file{Name: ".wh..wh.plnk/2", Body: make([]byte, 700<<10)}),
			layer.Limits{Bytes: 1 << 20, Entries: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := unpack(t, c.tar, c.lim); !errdefs.IsInvalidArgument(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDamageIsFound(t *testing.T) {
	b := tarOf(t, file{Name: "a/"}, file{Name: "a/f", Body: []byte("contents")})
	for name, harm := range map[string]func(dir string) error{
		"file gone":    func(dir string) error { return os.Remove(filepath.Join(dir, "diff/a/f")) },
		"file differs": func(dir string) error { return os.WriteFile(filepath.Join(dir, "diff/a/f"), []byte("contentz"), 0o644) },
		"file shorter": func(dir string) error { return os.Truncate(filepath.Join(dir, "diff/a/f"), 3) },
		"file is a link": func(dir string) error {
			p := filepath.Join(dir, "diff/a/f")
			return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p))
		},
		"recipe gone":  func(dir string) error { return os.Remove(filepath.Join(dir, "recipe")) },
		"recipe cut":   func(dir string) error { return os.Truncate(filepath.Join(dir, "recipe"), 20) },
		"recipe empty": func(dir string) error { return os.Truncate(filepath.Join(dir, "recipe"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := mustUnpack(t, b)
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			if err := layer.Assemble(context.Background(), dir, io.Discard); !errors.Is(err, layer.ErrDamaged) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	base, _ := mustUnpack(t, tarOf(t,
		file{Name: "./", Mode: 0o555}, file{Name: "d/", Mode: 0o711, UID: 5, GID: 6}, file{Name: "d/f", Body: []byte("from below"), Mode: 0o640, UID: 3},
		file{Name: "o/", Mode: 0o700}, file{Name: "gone/", Mode: 0o700}, file{Name: "d/s", Typeflag: tar.TypeSymlink, Linkname: "f"}))
	mid, midRes := mustUnpack(t, tarOf(t, file{Name: ".wh.gone"}))
	if err := layer.Settle(mid, midRes, []string{filepath.Join(base, "diff")}); err != nil {
		t.Fatal(err)
	}
	top, res := mustUnpack(t, tarOf(t,
		file{Name: "d/new", Body: []byte("new")}, file{Name: "gone/new", Body: []byte("new")},
		file{Name: "l1", Typeflag: tar.TypeLink, Linkname: "d/f"}, file{Name: "l2", Typeflag: tar.TypeLink, Linkname: "d/f"}, file{Name: "l3", Typeflag: tar.TypeLink, Linkname: "d/s"}))
	lower := []string{filepath.Join(mid, "diff"), filepath.Join(base, "diff")}
	if err := layer.Settle(top, res, lower); err != nil {
		t.Fatal(err)
	}
	if st := lstat(t, top, "diff/d"); st.Mode&0o7777 != 0o711 || st.Uid != 5 || st.Gid != 6 || st.Mtim.Sec != testimage.Epoch.Unix() {
		t.Errorf("implied folder: %o %d %d %d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec)
	}
	if st := lstat(t, top, "diff/gone"); st.Mode&0o7777 != 0o755 {
		t.Errorf("folder deleted below: %o", st.Mode)
	}
	if st := lstat(t, top, "diff"); st.Mode&0o7777 != 0o555 {
		t.Errorf("root: %o", st.Mode)
	}
	if st := lstat(t, top, "diff/l1"); content(t, top, "diff/l1") != "from below" || st.Nlink != 2 || st.Uid != 3 || st.Mode&0o7777 != 0o640 || st.Ino != lstat(t, top, "diff/l2").Ino {
		t.Errorf("hard link into the layer below: %+v", st)
	}
	if to, err := os.Readlink(filepath.Join(top, "diff/l3")); err != nil || to != "f" {
		t.Errorf("hard link to a link: %s %v", to, err)
	}
	lost, res := mustUnpack(t, tarOf(t, file{Name: "l", Typeflag: tar.TypeLink, Linkname: "nowhere"}))
	if err := layer.Settle(lost, res, lower); !errdefs.IsInvalidArgument(err) {
		t.Errorf("hard link to nothing: %v", err)
	}
}

func TestCancelAndBrokenSource(t *testing.T) {
	dir := t.TempDir()
	pr, pw := io.Pipe()
	want := errors.New("the line went dead")
	go func() {
		pw.Write(tarOf(t, file{Name: "a", Body: []byte("a")})[:700])
		pw.CloseWithError(want)
	}()
	if _, err := layer.Unpack(context.Background(), dir, pr, limits); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw = io.Pipe()
	go func() {
		pw.Write(make([]byte, 100))
		cancel()
		pw.Close()
	}()
	if _, err := layer.Unpack(ctx, t.TempDir(), pr, limits); err == nil {
		t.Error("no error after cancel")
	}
}
