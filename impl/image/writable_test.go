package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/testimage"
)

// edit changes a mounted tree in every way that a layer can express.
func edit(t testing.TB, root string) {
	t.Helper()
	in := func(p string) string { return filepath.Join(root, p) }
	for _, err := range []error{
		os.WriteFile(in("a/two"), []byte("changed"), 0o644),
		os.WriteFile(in("new"), []byte("new"), 0o600),
		os.Mkdir(in("dir"), 0o750),
		os.WriteFile(in("dir/file"), bytes.Repeat([]byte("x"), 5000), 0o4711),
		os.Chmod(in("dir/file"), 0o711|os.ModeSetuid),
		os.Link(in("dir/file"), in("dir/same")),
		os.Symlink("/etc/passwd", in("dir/link")),
		unix.Mknod(in("dir/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Mkfifo(in("dir/fifo"), 0o600),
		unix.Lsetxattr(in("dir/file"), "user.k", []byte("v"), 0),
		os.Remove(in("l")),
		os.RemoveAll(in("d")),
		os.Mkdir(in("d"), 0o700),
		os.WriteFile(in("d/z"), []byte("z"), 0o644),
		os.WriteFile(in("made"), nil, 0o644),
		os.Remove(in("made")),
		os.Lchown(in("dir/link"), 12, 34),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestChanges(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	w := writable(t, s, "c1", "three")
	root := mounted(t, w)
	ctx := context.Background()
	if got, err := s.Changes(ctx, "c1"); err != nil || len(got) != 0 {
		t.Errorf("before any: %v %v", got, err)
	}
	edit(t, root)
	got, err := s.Changes(ctx, "c1")
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{Path: "/a", Kind: layer.Modified},
		{Path: "/a/two", Kind: layer.Modified},
		{Path: "/d", Kind: layer.Modified},
		{Path: "/d/y", Kind: layer.Deleted},
		{Path: "/d/z", Kind: layer.Added},
		{Path: "/dir", Kind: layer.Added},
		{Path: "/dir/fifo", Kind: layer.Added},
		{Path: "/dir/file", Kind: layer.Added},
		{Path: "/dir/link", Kind: layer.Added},
		{Path: "/dir/null", Kind: layer.Added},
		{Path: "/dir/same", Kind: layer.Added},
		{Path: "/l", Kind: layer.Deleted},
		{Path: "/new", Kind: layer.Added},
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes\n%v, want\n%v", got, want)
	}
	if n, err := s.WritableSize(ctx, "c1"); err != nil || n != 7+3+5000+1 {
		t.Errorf("size %d %v", n, err)
	}
}

// describeTree lists a tree with all that a layer carries.
func describeTree(t testing.TB, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o %d:%d %d", strings.TrimPrefix(p, root), st.Mode, st.Uid, st.Gid, st.Rdev)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d links %s", st.Nlink, digest.FromBytes(b).Encoded()[:8])
			if st.Size > 0 { // the init layer's empty files are as old as the store
				line += fmt.Sprint(" ", st.Mtim.Nano())
			}
		case unix.S_IFLNK:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " " + to
		}
		var v [64]byte
		if n, err := unix.Lgetxattr(p, "user.k", v[:]); err == nil {
			line += " user.k=" + string(v[:n])
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCommitKeepsTheTree(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	root := mounted(t, writable(t, s, "c1", "three"))
	edit(t, root)
	ctx := context.Background()
	img, err := s.Commit(ctx, "c1", CommitOptions{
		Ref: "done:v1", Author: "me", Comment: "message", Container: "c1",
		ContainerConfig: &Config{Hostname: "h", Cmd: Words{"sh", "-c", "edit"}}, Changes: []string{"ENV K=v"}, DockerVersion: "1.11.2",
	})
	if err != nil {
		t.Fatal(err)
	}
	last := img.History[len(img.History)-1]
	if img.Author != "me" || img.Comment != "message" || !slices.Equal(img.Config.Env, []string{"K=v"}) || img.Config.Labels["tier"] != "test" ||
		last.CreatedBy != "sh -c edit" || last.EmptyLayer || len(img.RootFS.DiffIDs) != 4 || !slices.Equal(img.Tags, []string{"done:v1"}) {
		t.Errorf("image %+v", img)
	}
	if base, _ := s.Get("three"); img.Parent != base.ID || len(base.Config.Env) != 0 {
		t.Errorf("parent %s, %v", img.Parent, base.Config.Env)
	}
	again := mounted(t, writable(t, s, "c2", "done:v1"))
	if a, b := describeTree(t, root), describeTree(t, again); !slices.Equal(a, b) {
		t.Errorf("trees differ:\n%s\n\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	// A container without changes adds no layer.
	same, err := s.Commit(ctx, "c2", CommitOptions{Ref: "same"})
	if err != nil {
		t.Fatal(err)
	}
	if last := same.History[len(same.History)-1]; !last.EmptyLayer || same.Top != img.Top || same.Size != 0 {
		t.Errorf("commit of nothing: %+v", same)
	}
	// What was committed survives save and load.
	other := newStore(t)
	load(t, other, save(t, s, "done:v1"))
	third := mounted(t, writable(t, other, "c3", "done:v1"))
	if a, b := describeTree(t, root), describeTree(t, third); !slices.Equal(a, b) {
		t.Errorf("trees differ after save and load:\n%s\n\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

func TestExport(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	root := mounted(t, writable(t, s, "c1", "three"))
	edit(t, root)
	mounts := content(t, "/proc/self/mountinfo")
	var b bytes.Buffer
	if err := s.Export(context.Background(), "c1", &b); err != nil {
		t.Fatal(err)
	}
	if content(t, "/proc/self/mountinfo") != mounts {
		t.Error("a mount is left")
	}
	var got, want []string
	tr := tar.NewReader(&b)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, tr); err != nil || n != hdr.Size {
			t.Errorf("%s: %d bytes of %d, %v", hdr.Name, n, hdr.Size, err)
		}
		got = append(got, "/"+strings.TrimSuffix(hdr.Name, "/"))
	}
	for _, line := range describeTree(t, root)[1:] {
		p, _, _ := strings.Cut(line, " ")
		want = append(want, p)
	}
	sort.Strings(got)
	sort.Strings(want)
	if !slices.Equal(got, want) {
		t.Errorf("names\n%v, want\n%v", got, want)
	}
	// GNU tar agrees with the form.
	if tarProgram, err := exec.LookPath("tar"); err == nil {
		var again bytes.Buffer
		if err := s.Export(context.Background(), "c1", &again); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		cmd := exec.Command(tarProgram, "-x", "--xattrs", "-C", dir)
		cmd.Stdin = &again
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("tar: %v %s", err, out)
		}
	}
}

func content(t testing.TB, p string) string {
	t.Helper()
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWritableRules(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	img, err := s.Get("three")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, id := range []string{"", "../x", ".x", "a/b", "a b"} {
		if _, err := s.NewWritable(ctx, id, img.ID); !errdefs.IsInvalidArgument(err) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if _, err := s.NewWritable(ctx, "c", "sha256:"+"00"); !errdefs.IsNotFound(err) {
		t.Errorf("unknown image: %v", err)
	}
	writable(t, s, "c1", "three")
	if _, err := s.NewWritable(ctx, "c1", img.ID); !errdefs.IsConflict(err) {
		t.Errorf("twice: %v", err)
	}
	if _, err := s.Writable("c2"); !errdefs.IsNotFound(err) {
		t.Errorf("unknown: %v", err)
	}
	if err := s.RemoveWritable("c2"); err != nil {
		t.Errorf("remove unknown: %v", err)
	}
	empty, err := s.NewWritable(ctx, "scratch", "")
	if err != nil {
		t.Fatal(err)
	}
	if root := mounted(t, empty); !exists(filepath.Join(root, ".dockerenv")) {
		t.Error("a container made from nothing has no init layer")
	}
}

// TestInitLayerKeepsAttributes: the shared init layer must not change the
// folders of an image that gives them other owners and modes.
func TestInitLayerKeepsAttributes(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t,
		testimage.Image{Tags: []string{"odd:latest"}, Layers: [][]testimage.File{{{Name: "./", Mode: 0o555, UID: 3}, {Name: "etc/", Mode: 0o700, UID: 9}, {Name: "proc/", Mode: 0o555}}}},
		testimage.Image{Tags: []string{"link:latest"}, Layers: [][]testimage.File{{{Name: "etc", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}}}},
		three("three:latest"), testimage.Image{Tags: []string{"plain:latest"}, Layers: [][]testimage.File{{{Name: "x"}}}}))
	root := mounted(t, writable(t, s, "c1", "odd"))
	for p, want := range map[string]uint32{"": 0o555, "etc": 0o700, "proc": 0o555, "dev": 0o755} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(root, p), &st); err != nil || st.Mode&0o7777 != want {
			t.Errorf("%q: %o %v", p, st.Mode, err)
		}
	}
	root = mounted(t, writable(t, s, "c2", "link"))
	if st, err := os.Lstat(filepath.Join(root, "etc")); err != nil || !st.IsDir() {
		t.Errorf("a link in the place of /etc: %v %v", st, err)
	}
	one, two := writable(t, s, "c3", "three"), writable(t, s, "c4", "plain")
	if one.Lower[0] != two.Lower[0] {
		t.Error("images with the same attributes have two init layers")
	}
}

func TestEqualLayersInOneChain(t *testing.T) {
	same := []testimage.File{{Name: "./"}, {Name: "d/"}, {Name: "d/f", Body: []byte("f")}}
	between := []testimage.File{{Name: "./"}, {Name: "d/"}, {Name: "d/f", Body: []byte("other")}, {Name: "d/g", Body: []byte("g")}}
	s := newStore(t)
	img := testimage.Image{Tags: []string{"x:latest"}, Layers: [][]testimage.File{same, between, same, {}, {}}}
	load(t, s, archiveOf(t, img))
	w := writable(t, s, "c", "x")
	root := mounted(t, w)
	if got := content(t, filepath.Join(root, "d/f")); got != "f" {
		t.Errorf("d/f is %q", got)
	}
	if !exists(filepath.Join(root, "d/g")) {
		t.Error("d/g is gone")
	}
	other := newStore(t)
	load(t, other, save(t, s, "x"))
	a, _ := s.Get("x")
	if b, err := other.Get("x"); err != nil || a.ID != b.ID {
		t.Errorf("after save and load: %v", err)
	}
}

// TestTogether runs many operations at once; -race watches.
func TestTogether(t *testing.T) {
	s := newStore(t)
	archive := archiveOf(t, three("three:latest"))
	load(t, s, archive)
	img, err := s.Get("three")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 8 {
				id := fmt.Sprintf("c%d-%d", g, i)
				_, err1 := s.NewWritable(ctx, id, img.ID)
				_, err2 := s.Tag(ctx, "three", "t", id)
				_, err3 := s.Load(ctx, bytes.NewReader(archive), nil)
				err4 := s.Save(ctx, io.Discard, []string{"t:" + id})
				_, err5 := s.Remove(ctx, "t:"+id, RemoveOptions{}, nil)
				_, err6 := s.List(Filter{All: true})
				err7 := s.RemoveWritable(id)
				if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s.Count() != 1 || len(s.layers) != 3 || len(s.Writables()) != 0 {
		t.Errorf("%d images, %d layers, %d writable layers", s.Count(), len(s.layers), len(s.Writables()))
	}
	for _, l := range s.layers {
		if l.refs != 1 {
			t.Errorf("layer %s has %d references", l.chain, l.refs)
		}
	}
}

// pipe sends b through a program.
func pipe(t testing.TB, b []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}
