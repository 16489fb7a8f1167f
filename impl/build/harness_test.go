package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/overlay"
	"github.com/seed-50ced230/berth/testbed/busybox"
)

// entry is one entry of a tar; the zero type is a file, or a directory if the
// name ends in a slash.
type entry struct {
	name, body, link string
	kind             byte
	mode             int64
	uid              int
	major, minor     int64
	at               time.Time
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Uid: e.uid, Gid: e.uid, Size: int64(len(e.body)),
			Devmajor: e.major, Devminor: e.minor, ModTime: e.at,
		}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(e.name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// contextOf is a context with a Dockerfile.
func contextOf(t testing.TB, dockerfile string, entries ...entry) []byte {
	return archive(t, append([]entry{{name: "Dockerfile", body: dockerfile}}, entries...)...)
}

// place is a builder on a real store with an image called busybox.
type place struct {
	t testing.TB
	*Builder
	processes *processes
	said      strings.Builder
}

func newPlace(t testing.TB) *place {
	t.Helper()
	root := t.TempDir()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	store, err := image.Open(filepath.Join(root, "image"), image.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var mu sync.Mutex
	newID := func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("%012x%052x", n, 0)
	}
	run := &processes{store: store, newID: newID, made: map[string]*image.Config{}}
	p := &place{t: t, processes: run, Builder: &Builder{
		Images: store, Containers: run, Root: filepath.Join(root, "build"), NewID: newID, Version: "1.2.3", Logger: log,
	}}
	t.Cleanup(func() {
		for id := range run.made {
			if err := run.Remove(context.Background(), id); err != nil {
				t.Error(err)
			}
		}
		if left := store.Writables(); len(left) > 0 {
			t.Errorf("layers are left: %v", left)
		}
		if left, err := os.ReadDir(p.Root); err != nil && !errors.Is(err, os.ErrNotExist) || len(left) > 0 {
			t.Errorf("contexts are left: %v, %v", left, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	var base bytes.Buffer
	err = busybox.Layer(&base,
		busybox.File{Path: "etc/passwd", Content: "root:x:0:0::/:/bin/sh\nbob:x:1000:1001::/:/bin/sh\n"},
		busybox.File{Path: "etc/group", Content: "root:x:0:\nbob:x:1001:\nstaff:x:50:\n"},
		busybox.File{Path: "run/"}, busybox.File{Path: "var/run", Link: "/run"}, busybox.File{Path: "file", Content: "a file"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Import(t.Context(), &base, image.ImportOptions{Ref: "busybox"}); err != nil {
		t.Fatal(err)
	}
	return p
}

// build builds and keeps what was said.
func (p *place) build(req *Request) (digest.Digest, error) {
	return p.buildUntil(p.t.Context(), req)
}

func (p *place) buildUntil(ctx context.Context, req *Request) (digest.Digest, error) {
	p.said.Reset()
	return p.Build(ctx, req, Output{Text: func(s string) error { p.said.WriteString(s); return nil }})
}

// must builds a context without options.
func (p *place) must(context []byte) *image.Image {
	p.t.Helper()
	id, err := p.build(&Request{Context: bytes.NewReader(context), Remove: true})
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.said.String())
	}
	img, err := p.Images.Get(id.String())
	if err != nil {
		p.t.Fatal(err)
	}
	return img
}

var hexID = regexp.MustCompile(`\b[0-9a-f]{12}\b`)

// transcript is what was said, with ID for every id.
func (p *place) transcript() string { return hexID.ReplaceAllString(p.said.String(), "ID") }

// hits counts the steps that were found in the cache.
func (p *place) hits() int { return strings.Count(p.said.String(), "Using cache") }

// files opens the files of an image, to be closed with the test.
func (p *place) files(img *image.Image) (t *tree, done func()) {
	p.t.Helper()
	id := p.NewID()
	if _, err := p.Images.NewWritable(p.t.Context(), id, img.ID); err != nil {
		p.t.Fatal(err)
	}
	s := &session{Builder: p.Builder, dir: p.t.TempDir()}
	t, err := s.layerTree(id, false)
	if err != nil {
		p.t.Fatal(err)
	}
	return t, func() {
		if err := errors.Join(t.Close(), p.Images.RemoveWritable(id)); err != nil {
			p.t.Error(err)
		}
	}
}

// listing describes the files of an image below the given directory: kind,
// permissions, owner, content or target, and the number of names if there are
// several.
func (p *place) listing(img *image.Image, below string) map[string]string {
	p.t.Helper()
	root, done := p.files(img)
	defer done()
	found := map[string]string{}
	err := fs.WalkDir(root.FS(), ".", func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix("/"+at, below)
		if !ok || name == "" || name == "." || below != "/" && name[0] != '/' {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		kind, body := "file", ""
		switch info.Mode().Type() {
		case 0:
			data, err := root.ReadFile(at)
			if err != nil {
				return err
			}
			if body = string(data); st.Nlink > 1 {
				body += fmt.Sprintf(" (%d names)", st.Nlink)
			}
		case fs.ModeDir:
			kind = "dir"
		case fs.ModeSymlink:
			kind = "link"
			if body, err = root.Readlink(at); err != nil {
				return err
			}
		default:
			kind = fmt.Sprintf("device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		found[name] = fmt.Sprintf("%s %o %d:%d %s", kind, st.Mode&0o7777, st.Uid, st.Gid, body)
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// content is what is in a file of an image.
func (p *place) content(img *image.Image, name string) string {
	p.t.Helper()
	root, done := p.files(img)
	defer done()
	data, err := root.ReadFile(name)
	if err != nil {
		p.t.Error(err)
	}
	return string(data)
}

func (p *place) expect(img *image.Image, below string, want map[string]string) {
	p.t.Helper()
	if got := p.listing(img, below); !maps.Equal(got, want) {
		p.t.Errorf("files below %s:\n%s\nwant:\n%s", below, lines(got), lines(want))
	}
}

func lines(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s: %s\n", k, m[k])
	}
	return b.String()
}

// processes runs the commands of RUN steps as processes whose root is the tree.
type processes struct {
	store *image.Store
	newID func() string
	mu    sync.Mutex
	made  map[string]*image.Config
}

func (r *processes) Create(ctx context.Context, config *image.Config, _ Resources) (string, error) {
	id := r.newID()
	if _, err := r.store.NewWritable(ctx, id, digest.Digest(config.Image)); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[id] = config
	return id, nil
}

func (r *processes) Run(ctx context.Context, id string, output io.Writer) (int, error) {
	w, err := r.store.Writable(id)
	if err != nil {
		return 0, err
	}
	if err := overlay.Mount(w.Target, w.Stack()); err != nil {
		return 0, err
	}
	r.mu.Lock()
	config := r.made[id]
	r.mu.Unlock()
	cmd := exec.CommandContext(ctx, config.Cmd[0], config.Cmd[1:]...)
	cmd.Path, cmd.Err = config.Cmd[0], nil
	cmd.Dir = filepath.Join("/", config.WorkingDir)
	cmd.Env = config.Env
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: w.Target, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if uerr := overlay.Unmount(w.Target); uerr != nil {
		return 0, uerr
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, &exit):
		return exit.ExitCode(), nil
	}
	return 0, err
}

func (r *processes) Remove(_ context.Context, id string) error {
	r.mu.Lock()
	delete(r.made, id)
	r.mu.Unlock()
	return r.store.RemoveWritable(id)
}
