package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzUnpack: whatever a layer's tar holds, unpacking ends, nothing appears
// beside the layer's folder, and what was taken is given back byte for byte.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, file{Name: "d/"}, file{Name: "d/f", Body: []byte("content")}, file{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../../d"},
		file{Name: "h", Typeflag: tar.TypeLink, Linkname: "d/f"}, file{Name: "d/.wh.f"}, file{Name: "d/.wh..wh..opq"}))
	f.Add(tarOf(f, file{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/"}, file{Name: "l/x", Body: []byte("x")}, file{Name: "l/"}))
	f.Add(tarOf(f, file{Name: ".wh..wh.plnk/1", Body: []byte("1")}, file{Name: "one", Typeflag: tar.TypeLink, Linkname: ".wh..wh.plnk/1"}, file{Name: "one", Body: []byte("2")}))
	f.Add(sparse(1<<20, []byte("data")))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer effort.Bound()()
		ctx := context.Background()
		outer := t.TempDir()
		dir := filepath.Join(outer, "layer")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		res, err := layer.Unpack(ctx, dir, bytes.NewReader(b), layer.Limits{Bytes: 1 << 24, Entries: 1000})
		if entries, rerr := os.ReadDir(outer); rerr != nil || len(entries) != 1 {
			t.Fatalf("beside the layer: %v %v", entries, rerr)
		}
		if err != nil {
			return
		}
		if res.DiffID != digest.FromBytes(b) || res.TarSize != int64(len(b)) {
			t.Errorf("result %+v", res)
		}
		var again bytes.Buffer
		if err := layer.Assemble(ctx, dir, &again); err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("given back: %v, %d bytes of %d", err, again.Len(), len(b))
		}
		// A layer that needs others is whole once it has them, and there are none here.
		if !res.SelfContained() && layer.Settle(dir, res, nil) != nil {
			return
		}
		if err := layer.Verify(ctx, dir, res.DiffID); err != nil {
			t.Errorf("verify: %v", err)
		}
	})
}

// FuzzAssemble: a damaged recipe is an error, never more.
func FuzzAssemble(f *testing.F) {
	dir, _ := mustUnpack(f, tarOf(f, file{Name: "d/"}, file{Name: "d/f", Body: []byte("content")}, file{Name: "d/f", Body: []byte("again")}))
	recipe, err := os.ReadFile(filepath.Join(dir, "recipe"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(recipe)
	f.Add(recipe[:len(recipe)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		defer effort.Bound()()
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, layer.DiffDir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "recipe"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := layer.Verify(context.Background(), dir, digest.FromString("something else")); err == nil {
			t.Error("a layer of another digest is whole")
		}
	})
}
