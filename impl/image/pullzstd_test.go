package image

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/impl/image/testregistry"
)

// TestPullOCIZstd pulls an OCI index with a layer in zstd, and pushes it elsewhere.
func TestPullOCIZstd(t *testing.T) {
	r := newRegistry(t)
	plain := tarOf(t, testimage.File{Name: "x", Body: []byte("hello")})
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	blob := z.EncodeAll(plain, nil)
	config := fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, testregistry.Digest(plain))
	put := func(v any, mediaType, tag string) string {
		t.Helper()
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return r.PutManifest("x", tag, mediaType, b)
	}
	type m = map[string]any
	manifest := put(m{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest,
		"config": m{"mediaType": ocispec.MediaTypeImageConfig, "digest": r.PutBlob("x", config), "size": len(config)},
		"layers": []m{{"mediaType": ocispec.MediaTypeImageLayerZstd, "digest": r.PutBlob("x", blob), "size": len(blob)}},
	}, ocispec.MediaTypeImageManifest, "")
	index := put(m{
		"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex,
		"manifests": []m{{"mediaType": ocispec.MediaTypeImageManifest, "digest": manifest, "size": 1, "platform": m{"os": "linux", "architecture": "amd64"}}},
	}, ocispec.MediaTypeImageIndex, "latest")

	s := newStore(t)
	pulled, err := s.Pull(t.Context(), repository(t, r, "x", registry.Credential{}), "latest", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := pulled[0]; got.ID.String() != testregistry.Digest(config) || got.Digest.String() != index {
		t.Errorf("pulled %+v", got)
	}
	tag(t, s, pulled[0].ID.String(), r.Host+"/y:v1")
	pushed := mustPush(t, s, repository(t, r, "y", registry.Credential{}), "v1")
	if pushed.Digest.String() != manifest || string(r.Manifest("y", "v1")) != string(r.Manifest("x", manifest)) {
		t.Errorf("pushed as %s instead of %s", pushed.Digest, manifest)
	}
}
