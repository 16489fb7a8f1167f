package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/gzip"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/impl/image/testregistry"
)

func gzipped(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pullLayer pulls an image of one compressed layer.
func pullLayer(t *testing.T, s *Store, r *testregistry.Registry, plain, blob []byte) error {
	t.Helper()
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, testregistry.Digest(plain))
	type m = map[string]any
	manifest, err := json.Marshal(m{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest,
		"config": m{"mediaType": ocispec.MediaTypeImageConfig, "digest": r.PutBlob("x", config), "size": len(config)},
		"layers": []m{{"mediaType": ocispec.MediaTypeImageLayerGzip, "digest": r.PutBlob("x", blob), "size": len(blob)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.PutManifest("x", "latest", ocispec.MediaTypeImageManifest, manifest)
	_, err = s.Pull(t.Context(), repository(t, r, "x", registry.Credential{}), "latest", nil)
	return err
}

// Whether a gzip stream is whole is one question with one answer, for a layer that is
// pulled, an archive that is loaded, a layer in it and an import, whichever reader
// it goes through.
func TestGzipVerdicts(t *testing.T) {
	if _, err := exec.LookPath("igzip"); err != nil {
		t.Fatalf("igzip is missing (make setup-build installs Debian's isal): %v", err)
	}
	where := os.Getenv("PATH")
	random := make([]byte, 700<<10) // so that gzip makes it no smaller
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	damage := map[string]struct {
		do   func(z []byte) []byte
		good bool
	}{
		"whole":            {func(z []byte) []byte { return z }, true},
		"an empty member":  {func(z []byte) []byte { return slices.Concat(z, gzipped(t, nil)) }, true},
		"garbage after it": {func(z []byte) []byte { return slices.Concat(z, bytes.Repeat([]byte("x"), 600)) }, false},
		"zeros after it":   {func(z []byte) []byte { return slices.Concat(z, make([]byte, 512)) }, false},
		"cut off":          {func(z []byte) []byte { return z[:len(z)-9] }, false},
		"without trailer":  {func(z []byte) []byte { return z[:len(z)-8] }, false},
		"wrong checksum":   {func(z []byte) []byte { z = bytes.Clone(z); z[len(z)-8] ^= 1; return z }, false},
		"wrong length":     {func(z []byte) []byte { z = bytes.Clone(z); z[len(z)-4] ^= 1; return z }, false},
	}
	for _, large := range []bool{false, true} {
		file := testimage.File{Name: "f", Body: []byte("small")}
		if large {
			file.Body = random
		}
		layer := tarOf(t, file)
		archive := archiveOf(t, testimage.Image{Tags: []string{"x:1"}, Layers: [][]testimage.File{{file}}})
		split := len(layer) / 2
		for _, program := range []bool{true, false} {
			t.Setenv("PATH", "")
			if program {
				t.Setenv("PATH", where)
			}
			verdict := func(what, how string, good bool, err error) {
				t.Helper()
				if good != (err == nil) || !good && !errdefs.IsInvalidArgument(err) {
					t.Errorf("large %v, igzip %v, %s, %s: %v", large, program, what, how, err)
				}
			}
			for what, d := range damage {
				z := d.do(gzipped(t, layer))
				_, err := newStore(t).Import(context.Background(), bytes.NewReader(z), ImportOptions{})
				verdict(what, "import", d.good, err)
				verdict(what, "pull", d.good, pullLayer(t, newStore(t), newRegistry(t), layer, z))
				_, err = newStore(t).Load(context.Background(), bytes.NewReader(d.do(gzipped(t, archive))), nil)
				verdict(what, "load", d.good, err)
				_, err = newStore(t).Load(context.Background(), bytes.NewReader(ociArchive(t, layer, z)), nil)
				verdict(what, "load of a layer", d.good, err)
			}
			two := slices.Concat(gzipped(t, layer[:split]), gzipped(t, layer[split:]))
			_, err := newStore(t).Import(context.Background(), bytes.NewReader(two), ImportOptions{})
			verdict("two members", "import", true, err)
			verdict("two members", "pull", true, pullLayer(t, newStore(t), newRegistry(t), layer, two))
			// A tar of nothing makes an empty layer.
			for what, empty := range map[string][]byte{"an empty stream": gzipped(t, nil), "nothing": nil} {
				_, err := newStore(t).Import(context.Background(), bytes.NewReader(empty), ImportOptions{})
				verdict(what, "import", true, err)
				verdict(what, "pull", true, pullLayer(t, newStore(t), newRegistry(t), nil, empty))
				_, err = newStore(t).Load(context.Background(), bytes.NewReader(empty), nil)
				verdict(what, "load", false, err) // without images it is no archive of some
			}
		}
	}
}

// ociArchive is an archive of an OCI layout with one compressed layer.
func ociArchive(t *testing.T, plain, blob []byte) []byte {
	t.Helper()
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, testregistry.Digest(plain))
	marshal := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type m = map[string]any
	named := func(b []byte) string { return "blobs/sha256/" + testregistry.Digest(b)[len("sha256:"):] }
	manifest := marshal(m{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest,
		"config": m{"mediaType": ocispec.MediaTypeImageConfig, "digest": testregistry.Digest(config), "size": len(config)},
		"layers": []m{{"mediaType": ocispec.MediaTypeImageLayerGzip, "digest": testregistry.Digest(blob), "size": len(blob)}},
	})
	index := marshal(m{"schemaVersion": 2, "manifests": []m{{"mediaType": ocispec.MediaTypeImageManifest, "digest": testregistry.Digest(manifest), "size": len(manifest)}}})
	return tarOf(t,
		testimage.File{Name: named(blob), Body: blob}, testimage.File{Name: named(config), Body: config}, testimage.File{Name: named(manifest), Body: manifest},
		testimage.File{Name: "oci-layout", Body: []byte(`{"imageLayoutVersion":"1.0.0"}`)}, testimage.File{Name: "index.json", Body: index})
}
