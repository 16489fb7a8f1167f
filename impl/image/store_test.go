package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/overlay"
	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/testbed/busybox"
)

func open(t testing.TB, root string) *Store {
	t.Helper()
	s, err := Open(root, Options{Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func newStore(t testing.TB) *Store {
	t.Helper()
	s := open(t, t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func archiveOf(t testing.TB, images ...testimage.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := testimage.Write(&b, images...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func load(t testing.TB, s *Store, archive []byte) []Loaded {
	t.Helper()
	l, err := s.Load(context.Background(), bytes.NewReader(archive), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func loadBusybox(t testing.TB, s *Store, names ...string) {
	t.Helper()
	var archive bytes.Buffer
	if err := busybox.Archive(&archive, names...); err != nil {
		t.Fatal(err)
	}
	load(t, s, archive.Bytes())
}

func save(t testing.TB, s *Store, refs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Save(context.Background(), &b, refs); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// three is an image of three layers with changes of every kind.
func three(tags ...string) testimage.Image {
	return testimage.Image{
		Tags: tags,
		Layers: [][]testimage.File{
			{{Name: "a/"}, {Name: "a/one", Body: []byte("1")}, {Name: "a/two", Body: []byte("22")}, {Name: "d/", Mode: 0o750, UID: 7}, {Name: "d/x", Body: []byte("x")}, {Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a/one"}},
			{{Name: "a/"}, {Name: "a/.wh.one"}, {Name: "d/"}, {Name: "d/.wh..wh..opq"}, {Name: "d/y", Body: []byte("y")}},
			{{Name: "a/three", Body: []byte("333"), Mode: 0o4755, Xattrs: map[string]string{"user.k": "v"}}, {Name: "a/link", Typeflag: tar.TypeLink, Linkname: "a/three"}},
		},
		Config: map[string]any{"Cmd": []string{"sh"}, "Labels": map[string]string{"tier": "test"}},
	}
}

// mounted mounts a writable layer for the test.
func mounted(t testing.TB, w *Writable) string {
	t.Helper()
	if err := overlay.Mount(w.Target, w.Stack()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := overlay.Unmount(w.Target); err != nil {
			t.Error(err)
		}
	})
	return w.Target
}

func writable(t testing.TB, s *Store, id, ref string) *Writable {
	t.Helper()
	img, err := s.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.NewWritable(context.Background(), id, img.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.RemoveWritable(id); err != nil {
			t.Error(err)
		}
	})
	return w
}

func exists(p string) bool {
	_, err := os.Lstat(p)
	return err == nil
}

func TestLoadAndMount(t *testing.T) {
	s := newStore(t)
	img := three("three:latest")
	loaded := load(t, s, archiveOf(t, img))
	want, err := img.ID()
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) != 1 || loaded[0].ID.String() != want || !slices.Equal(loaded[0].Refs, []string{"three:latest"}) {
		t.Fatalf("loaded %+v, want %s", loaded, want)
	}
	got, err := s.Get("three")
	if err != nil {
		t.Fatal(err)
	}
	if got.VirtualSize != 1+2+1+1+3 || got.Size != got.VirtualSize {
		t.Errorf("sizes %d and %d", got.Size, got.VirtualSize)
	}
	root := mounted(t, writable(t, s, "c1", "three"))
	for p, want := range map[string]bool{
		"a/one": false, "a/two": true, "d/x": false, "d/y": true, "a/three": true, "a/link": true, "l": true,
		".dockerenv": true, "etc/hosts": true, "dev/console": true, "proc": true, "sys": true,
	} {
		if exists(filepath.Join(root, p)) != want {
			t.Errorf("%s: there is %v, want %v", p, !want, want)
		}
	}
	st, err := os.Stat(filepath.Join(root, "a/three"))
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != 0o755|os.ModeSetuid {
		t.Errorf("mode %v", st.Mode())
	}
	if other, err := os.Stat(filepath.Join(root, "a/link")); err != nil || !os.SameFile(st, other) {
		t.Errorf("hard link: %v", err)
	}
	// "a" has no entry in the third layer and must look as in the second.
	if st, err := os.Stat(filepath.Join(root, "a")); err != nil || !st.ModTime().Equal(testimage.Epoch) {
		t.Errorf("implied folder: %v %v", st.ModTime(), err)
	}
}

func TestSaveLoadSaveIsIdentical(t *testing.T) {
	one, two := newStore(t), newStore(t)
	load(t, one, archiveOf(t, three("three:latest", "other/name:v1")))
	loadBusybox(t, one, "busybox:latest", "busybox:1")
	first := save(t, one, "three", "other/name:v1", "busybox")
	load(t, two, first)
	second := save(t, two, "three", "other/name:v1", "busybox")
	if !bytes.Equal(first, second) {
		t.Error("the second archive differs from the first")
	}
	for _, ref := range []string{"three", "other/name:v1", "busybox:1"} {
		a, err1 := one.Get(ref)
		b, err2 := two.Get(ref)
		if err1 != nil || err2 != nil || a.ID != b.ID || !bytes.Equal(a.Raw, b.Raw) {
			t.Errorf("%s: %v %v", ref, err1, err2)
		}
	}
	names := map[string]bool{}
	tr := tar.NewReader(bytes.NewReader(first))
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if names[hdr.Name] {
			t.Errorf("%s twice in the archive", hdr.Name)
		}
		names[hdr.Name] = true
	}
	if !names["manifest.json"] || !names["repositories"] {
		t.Errorf("names: %v", names)
	}
}

func TestLegacyArchive(t *testing.T) {
	s := newStore(t)
	var b bytes.Buffer
	if err := testimage.WriteLegacy(&b, three("old/three:1.0")); err != nil {
		t.Fatal(err)
	}
	loaded := load(t, s, b.Bytes())
	if len(loaded) != 1 || !slices.Equal(loaded[0].Refs, []string{"old/three:1.0"}) {
		t.Fatalf("loaded %+v", loaded)
	}
	img, err := s.Get("old/three:1.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(img.RootFS.DiffIDs) != 3 || len(img.History) != 3 || img.Parent == "" || s.Count() != 3 {
		t.Errorf("image %+v, %d images", img.ConfigFile, s.Count())
	}
	if img.Size != 3 || img.VirtualSize != 8 {
		t.Errorf("sizes %d and %d", img.Size, img.VirtualSize)
	}
	lines, err := s.History("old/three:1.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 3 || lines[0].ID != img.ID.String() || lines[1].ID != img.Parent.String() || lines[0].CreatedBy != "/bin/sh -c #(nop) ADD layer 3" {
		t.Errorf("history %+v", lines)
	}
	if list, _ := s.List(Filter{}); len(list) != 1 {
		t.Errorf("%d images listed", len(list))
	}
	if list, _ := s.List(Filter{All: true}); len(list) != 3 {
		t.Errorf("%d images listed with all", len(list))
	}
	// Removing the name takes the chain of parents along.
	records, err := s.Remove(context.Background(), "old/three:1.0", RemoveOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, r := range records {
		if r.Untagged != "" {
			kinds = append(kinds, "untagged "+r.Untagged)
		} else if r.Image != "" {
			kinds = append(kinds, "image")
		} else {
			kinds = append(kinds, "layer")
		}
	}
	if want := []string{"untagged old/three:1.0", "image", "layer", "image", "layer", "image", "layer"}; !slices.Equal(kinds, want) {
		t.Errorf("records %v", kinds)
	}
	if s.Count() != 0 || len(s.layers) != 0 {
		t.Errorf("%d images and %d layers left", s.Count(), len(s.layers))
	}
}

func TestReopen(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	load(t, s, archiveOf(t, three("three:latest")))
	img, err := s.Get("three")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.NewWritable(context.Background(), "c1", img.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(root, Options{}); !errdefs.IsUnavailable(err) {
		t.Errorf("second open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves: a layer without a record, half a writable layer.
	for _, p := range []string{"layers/123/diff/file", "rw/.c2/upper", "init/.tmp"} {
		if err := os.MkdirAll(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "rw/c1/work")); err != nil {
		t.Fatal(err)
	}
	s = open(t, root)
	again, err := s.Get("three")
	if err != nil || again.ID != img.ID || again.VirtualSize != img.VirtualSize {
		t.Fatalf("after reopening: %+v %v", again, err)
	}
	if got := s.Writables(); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("writable layers %v", got)
	}
	w, err := s.Writable("c1")
	if err != nil || !exists(w.Work) || w.Image != img.ID {
		t.Errorf("writable layer %+v: %v", w, err)
	}
	// The image goes, its layers stay for the container.
	if _, err := s.Remove(context.Background(), "three", RemoveOptions{Force: true}, nil); err != nil {
		t.Fatal(err)
	}
	if len(s.layers) != 3 {
		t.Errorf("%d layers left", len(s.layers))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, root)
	if w, err := s.Writable("c1"); err != nil || len(w.Lower) != 4 {
		t.Errorf("writable layer without image: %+v %v", w, err)
	}
	if err := s.RemoveWritable("c1"); err != nil {
		t.Fatal(err)
	}
	if len(s.layers) != 0 {
		t.Errorf("%d layers left", len(s.layers))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"layers", "rw", "trash"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil || len(entries) != 0 {
			t.Errorf("%s: %v %v", dir, entries, err)
		}
	}
}

func TestDamagedLayer(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	load(t, s, archiveOf(t, three("three:latest"), testimage.Image{Tags: []string{"good:latest"}, Layers: [][]testimage.File{{{Name: "x", Body: []byte("x")}}}}))
	img, err := s.Get("three")
	if err != nil {
		t.Fatal(err)
	}
	dir := s.layerPath(s.layers[img.Top].Dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "diff")); err != nil {
		t.Fatal(err)
	}
	s = open(t, root)
	defer s.Close()
	img, err = s.Get("three")
	if err != nil || img.Damaged == nil {
		t.Fatalf("damaged image: %+v %v", img, err)
	}
	if _, err := s.NewWritable(context.Background(), "c", img.ID); err == nil {
		t.Error("a container can be made from a damaged image")
	}
	if err := s.Save(context.Background(), io.Discard, []string{"three"}); err == nil {
		t.Error("a damaged image can be saved")
	}
	if good, err := s.Get("good"); err != nil || good.Damaged != nil {
		t.Errorf("the other image: %v %v", good, err)
	}
	// Loading the image again repairs it.
	load(t, s, archiveOf(t, three("three:latest")))
	if img, err = s.Get("three"); err != nil || img.Damaged != nil {
		t.Fatalf("after loading again: %+v %v", img.Damaged, err)
	}
	save(t, s, "three")
	if _, err := s.Remove(context.Background(), "three", RemoveOptions{}, nil); err != nil {
		t.Error(err)
	}
}

func TestImport(t *testing.T) {
	s := newStore(t)
	layerTar, err := testimage.Layer([]testimage.File{{Name: "./"}, {Name: "./bin/"}, {Name: "./bin/x", Body: []byte("xx")}})
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.Import(context.Background(), bytes.NewReader(layerTar), ImportOptions{
		Ref: "imported", Source: "-", DockerVersion: "1.11.2",
		Changes: []string{"CMD [\"/bin/x\"]", "ENV A=b C=\"d e\"", "EXPOSE 80 53/udp", "WORKDIR /srv", "WORKDIR sub", "LABEL k=v", "VOLUME /data", "USER nobody", "STOPSIGNAL SIGINT", "ENTRYPOINT run it", "ONBUILD RUN x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := img.Config
	if img.Comment != "Imported from -" || !slices.Equal(img.Tags, []string{"imported:latest"}) || img.RootFS.DiffIDs[0] != digest.FromBytes(layerTar) {
		t.Errorf("image %+v", img)
	}
	if !slices.Equal(c.Cmd, []string{"/bin/x"}) || !slices.Equal(c.Env, []string{"A=b", "C=d e"}) || len(c.ExposedPorts) != 2 || c.WorkingDir != "/srv/sub" ||
		c.Labels["k"] != "v" || c.User != "nobody" || c.StopSignal != "SIGINT" || !slices.Equal(c.Entrypoint, []string{"/bin/sh", "-c", "run it"}) || !slices.Equal(c.OnBuild, []string{"RUN x"}) {
		t.Errorf("config %+v", c)
	}
	if _, err := s.Import(context.Background(), bytes.NewReader(layerTar), ImportOptions{Changes: []string{"RUN x"}}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("RUN as a change: %v", err)
	}
	if _, err := s.Import(context.Background(), bytes.NewReader(layerTar[:len(layerTar)-1536]), ImportOptions{}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("cut tar: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	s := newStore(t)
	good := archiveOf(t, three("three:latest"))
	for name, c := range map[string]struct{ archive []byte }{
		"empty":           {nil},
		"text":            {[]byte(strings.Repeat("hello ", 1000))},
		"cut off":         {good[:len(good)/2]},
		"no manifest":     {tarOf(t, testimage.File{Name: "x", Body: []byte("{}")})},
		"no config":       {tarOf(t, testimage.File{Name: "manifest.json", Body: []byte(`[{"Config":"x.json"}]`)})},
		"climbing config": {tarOf(t, testimage.File{Name: "manifest.json", Body: []byte(`[{"Config":"../../../etc/passwd"}]`)})},
		"no rootfs":       {tarOf(t, testimage.File{Name: "x.json", Body: []byte(`{"os":"linux"}`)}, testimage.File{Name: "manifest.json", Body: []byte(`[{"Config":"x.json"}]`)})},
		"wrong diff id": {tarOf(t,
			testimage.File{Name: "l/layer.tar", Body: make([]byte, 1024)},
			testimage.File{Name: "x.json", Body: []byte(`{"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:` + strings.Repeat("0", 64) + `"]}}`)},
			testimage.File{Name: "manifest.json", Body: []byte(`[{"Config":"x.json","Layers":["l/layer.tar"]}]`)})},
		"bad name": {archiveOf(t, three("UPPER:x"))},
		"own ancestor": {tarOf(t,
			testimage.File{Name: strings.Repeat("a", 64) + "/json", Body: []byte(`{"parent":"` + strings.Repeat("a", 64) + `"}`)},
			testimage.File{Name: "repositories", Body: []byte(`{"x":{"y":"` + strings.Repeat("a", 64) + `"}}`)})},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Load(context.Background(), bytes.NewReader(c.archive), nil)
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("error %v", err)
			}
		})
	}
	if s.Count() != 0 || len(s.layers) != 0 {
		t.Errorf("%d images and %d layers after failed loads", s.Count(), len(s.layers))
	}
	s.trash.empty()
	if entries, err := os.ReadDir(filepath.Join(s.root, layersDir)); err != nil || len(entries) != 0 {
		t.Errorf("folders left: %v %v", entries, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Load(ctx, bytes.NewReader(good), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled load: %v", err)
	}
}

func tarOf(t testing.TB, files ...testimage.File) []byte {
	t.Helper()
	b, err := testimage.Layer(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
