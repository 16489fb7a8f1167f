package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzLoad: whatever an archive holds, loading it ends, and the store it was
// loaded into has no file beside its own.
func FuzzLoad(f *testing.F) {
	f.Add(archiveOf(f, three("three:latest")))
	var legacy bytes.Buffer
	if err := testimage.WriteLegacy(&legacy, three("three:latest")); err != nil {
		f.Fatal(err)
	}
	f.Add(legacy.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		defer effort.Bound()()
		outer := t.TempDir()
		s, err := Open(filepath.Join(outer, "store"), Options{MaxLayerBytes: 1 << 24, MaxLayerEntries: 1000})
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := s.Load(context.Background(), bytes.NewReader(b), nil)
		if err != nil && s.Count() > 0 {
			t.Errorf("%d images after an error: %v", s.Count(), err)
		}
		for _, l := range loaded {
			if err := s.Save(context.Background(), &bytes.Buffer{}, []string{l.ID.String()}); err != nil {
				t.Errorf("loaded, but cannot be saved: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(outer); err != nil || len(entries) != 1 {
			t.Errorf("beside the store: %v %v", entries, err)
		}
	})
}

// FuzzName: parsing a name ends, and what it accepts parses again to the same.
func FuzzName(f *testing.F) {
	for _, s := range []string{"busybox", "a/b:c", "localhost:5000/a@sha256:0", "UPPER", "a:b:c", "::", "docker.io/library/x", "docker.io/a.example/b", "docker.io/localhost/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		defer effort.Bound()()
		tagged, err := parseTagged(s, "")
		if err != nil {
			return
		}
		again, err := parseTagged(familiar(tagged.String()), "")
		if err != nil || again.String() != tagged.String() {
			t.Errorf("%q: %v then %v %v", s, tagged, again, err)
		}
		if _, err := ParseTag(s, ""); err != nil {
			t.Error(err)
		}
	})
}

// served is a repository that gives whatever it was told to.
type served struct {
	name      reference.Named
	mediaType string
	manifest  []byte
	config    []byte
	layer     []byte
}

func (r *served) Name() reference.Named { return r.name }

func (r *served) Tags(context.Context) ([]string, error) { return []string{"latest"}, nil }

func (r *served) Manifest(context.Context, string) (ocispec.Descriptor, []byte, error) {
	return ocispec.Descriptor{MediaType: r.mediaType, Digest: digest.FromBytes(r.manifest), Size: int64(len(r.manifest))}, r.manifest, nil
}

func (r *served) Document(_ context.Context, d ocispec.Descriptor) ([]byte, error) {
	if d.Digest != digest.FromBytes(r.config) {
		return nil, errors.New("no such document")
	}
	return r.config, nil
}

func (r *served) Size(context.Context, digest.Digest) (int64, error) { return int64(len(r.layer)), nil }

func (r *served) Blob(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Digest != digest.FromBytes(r.layer) || d.Size < 0 { // a Remote gives what was asked for, or nothing
		return nil, errors.New("no such blob")
	}
	return io.NopCloser(bytes.NewReader(r.layer)), nil
}

// FuzzPull: whatever a manifest (of any kind: an index is one, too) and a
// configuration hold, pulling ends (CONFIG in the manifest stands for the
// configuration's digest, so that a changed one is found), and what it took can be listed, shown and saved.
func FuzzPull(f *testing.F) {
	body := tarOf(f, testimage.File{Name: "f", Body: []byte("f")})
	diff := digest.FromBytes(body)
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Entrypoint":"x","Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":[%q]},"history":[{"created_by":"x"}]}`, diff)
	f.Add(uint8(0), fmt.Appendf(nil, `{"schemaVersion":2,"config":{"digest":"CONFIG","size":%d},"layers":[{"digest":%q,"size":%d}]}`, len(config), diff, len(body)), []byte(config))
	f.Add(uint8(1), []byte(`{"manifests":[{"digest":"sha256:x","platform":{"os":"linux","architecture":"amd64"}}]}`), []byte(config))
	f.Add(uint8(2), fmt.Appendf(nil, `{"fsLayers":[{"blobSum":%q}],"history":[{"v1Compatibility":"{\"id\":\"x\",\"created\":\"2016-04-01T12:00:00Z\",\"config\":{\"Cmd\":[\"sh\"]}}"}]}`, diff), []byte("{}"))
	types := []string{registry.TypeDockerManifest, registry.TypeDockerList, registry.TypeSchema1}
	name, err := reference.ParseNormalizedNamed("registry.test/x")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind uint8, manifest, config []byte) {
		defer effort.Bound()()
		s, err := Open(filepath.Join(t.TempDir(), "store"), Options{MaxLayerBytes: 1 << 24, MaxLayerEntries: 1000, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx := context.Background()
		manifest = bytes.ReplaceAll(manifest, []byte("CONFIG"), []byte(digest.FromBytes(config)))
		_, err = s.Pull(ctx, &served{name, types[int(kind)%len(types)], manifest, config, body}, "latest", nil)
		if err != nil {
			if s.Count() > 0 {
				t.Errorf("%d images after an error: %v", s.Count(), err)
			}
			return
		}
		images, err := s.List(Filter{All: true, Labels: []string{"a"}})
		if err != nil {
			t.Error(err)
		}
		for _, img := range images {
			if _, err := s.History(img.ID.String()); err != nil {
				t.Errorf("pulled, but without history: %v", err)
			}
		}
		if err := s.Save(ctx, io.Discard, []string{"registry.test/x"}); err != nil {
			t.Errorf("pulled, but cannot be saved: %v", err)
		}
		if r, err := s.Check(ctx, false); err != nil || len(r.Findings) > 0 {
			t.Errorf("pulled, but not whole: %v %v", r, err)
		}
	})
}
