package containerfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"

	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// stopped makes the tree of a container that does not run, with a volume.
func stopped(t *testing.T) (v View, lower, volume string) {
	t.Helper()
	base := t.TempDir()
	dir := func(name string) string {
		p := filepath.Join(base, name)
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	lower, volume = dir("lower"), dir("volume")
	write(t, filepath.Join(lower, "dir/file"), "content")
	write(t, filepath.Join(lower, "secret"), "of the container")
	link(t, "/secret", filepath.Join(lower, "absolute"))
	link(t, "../../../../../../secret", filepath.Join(lower, "dir/climbing"))
	link(t, "/dir", filepath.Join(lower, "to-dir"))
	write(t, filepath.Join(volume, "kept"), "in the volume")
	// A file of the host at the path that the links name.
	if _, err := os.Lstat("/secret"); err == nil {
		t.Fatal("the host has /secret")
	}
	v = View{
		Stack:  overlay.Stack{Lower: []string{lower}, Upper: dir("upper"), Work: dir("work")},
		Target: dir("target"),
		Binds:  []Bind{{Source: volume, Destination: "/data"}},
	}
	return v, lower, volume
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func packed(t *testing.T, v View, path string) map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := v.Pack(t.Context(), path, func(Stat) error { return nil }, &b); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	got := map[string]string{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(data) + h.Linkname
	}
}

func TestPackStaysInside(t *testing.T) {
	v, _, _ := stopped(t)
	for path, want := range map[string]map[string]string{
		"/dir/file":     {"file": "content"},
		"dir/file":      {"file": "content"},
		"/to-dir/file":  {"file": "content"},
		"/absolute":     {"absolute": "of the container"},
		"/dir/climbing": {"climbing": "of the container"},
		"/data/kept":    {"kept": "in the volume"},
		"/../../secret": {"secret": "of the container"},
		"/to-dir":       {"to-dir/": "", "to-dir/file": "content", "to-dir/climbing": "../../../../../../secret"},
		"/dir/.":        {"./": "", "./file": "content", "./climbing": "../../../../../../secret"},
	} {
		got := packed(t, v, path)
		for name, text := range want {
			if have, ok := got[name]; !ok || have != text {
				t.Errorf("%s: entry %q is %q, want %q (all: %v)", path, name, have, text, got)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestLook(t *testing.T) {
	v, _, _ := stopped(t)
	s, err := v.Look("/absolute")
	if err != nil || s.Name != "absolute" || s.LinkTarget != "/secret" || s.Mode&os.ModeSymlink == 0 {
		t.Errorf("link: %+v, %v", s, err)
	}
	if s, err := v.Look("/dir/"); err != nil || !s.Mode.IsDir() || s.Name != "dir" {
		t.Errorf("directory: %+v, %v", s, err)
	}
	if _, err := v.Look("/dir/file/"); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a file as directory: %v", err)
	}
	if _, err := v.Look("/none"); !errdefs.IsNotFound(err) {
		t.Errorf("missing: %v", err)
	}
}

func archiveOf(t *testing.T, headers ...*tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, 1
		}
		h.Mode = 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func allow(string) error { return nil }

func TestUnpack(t *testing.T) {
	v, _, volume := stopped(t)
	if err := v.Unpack(t.Context(), "/data", archiveOf(t, &tar.Header{Name: "new"}), false, allow); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(volume, "new")); err != nil {
		t.Error("the volume did not get the file:", err)
	}
	if err := v.Unpack(t.Context(), "/to-dir", archiveOf(t, &tar.Header{Name: "new"}), false, allow); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(v.Stack.Upper, "dir/new")); err != nil {
		t.Error("the container did not get the file:", err)
	}
	for name, c := range map[string]struct {
		path  string
		r     io.Reader
		keep  bool
		class func(error) bool
	}{
		"missing directory":  {"/none", archiveOf(t), false, errdefs.IsNotFound},
		"a file":             {"/dir/file", archiveOf(t), false, errdefs.IsInvalidArgument},
		"directory by file":  {"/", archiveOf(t, &tar.Header{Name: "dir"}), true, errdefs.IsInvalidArgument},
		"climbing entry":     {"/dir", archiveOf(t, &tar.Header{Name: "../../../escaped"}), false, errdefs.IsInvalidArgument},
		"climbing hard link": {"/dir", archiveOf(t, &tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "../../../etc/passwd"}), false, errdefs.IsInvalidArgument},
		"nonsense":           {"/dir", strings.NewReader(strings.Repeat("nonsense", 200)), false, errdefs.IsInvalidArgument},
	} {
		if err := v.Unpack(t.Context(), c.path, c.r, c.keep, allow); !c.class(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(v.Target), "escaped")); err == nil {
		t.Error("an entry climbed out")
	}
}

func TestNothingIsLeft(t *testing.T) {
	v, _, _ := stopped(t)
	for range 20 {
		if _, err := v.Look("/dir"); err != nil {
			t.Fatal(err)
		}
	}
	if mounted, err := mountinfo.Mounted(v.Target); err != nil || mounted {
		t.Errorf("mounted: %v, %v", mounted, err)
	}
	if wd, err := os.Getwd(); err != nil || !filepath.IsAbs(wd) || strings.HasPrefix(wd, v.Target) {
		t.Errorf("the process moved to %s, %v", wd, err)
	}
	if _, err := os.Stat("/proc/self/mounts"); err != nil {
		t.Error("the host's root is gone:", err)
	}
}

// A panic in the work is an error of the request, not the end of the process.
func TestPanicIsAnError(t *testing.T) {
	v, _, _ := stopped(t)
	if err := v.Run(func() error { panic("provoked") }); err == nil || !strings.Contains(err.Error(), "provoked") {
		t.Fatal(err)
	}
	if _, err := v.Look("/dir"); err != nil {
		t.Fatal(err)
	}
}
