package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/testbed/busybox"
)

// layout builds OCI layouts entry by entry.
type layout struct {
	t     testing.TB
	files []testimage.File
}

func (l *layout) add(name string, body []byte) {
	l.files = append(l.files, testimage.File{Name: name, Body: body})
}

func (l *layout) json(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *layout) blob(mediaType string, body []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
	l.add("blobs/sha256/"+d.Digest.Encoded(), body)
	return d
}

// image adds an image of plain, gzip and zstd layers and returns its manifest and id.
func (l *layout) image() (manifest ocispec.Descriptor, id digest.Digest, layers []ocispec.Descriptor) {
	plain := tarOf(l.t, testimage.File{Name: "a", Body: []byte("a")})
	zipped := tarOf(l.t, testimage.File{Name: "b", Body: []byte("b")})
	packed := tarOf(l.t, testimage.File{Name: "c", Body: []byte("c")})
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	zw.Write(zipped)
	zw.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer enc.Close()
	layers = []ocispec.Descriptor{
		l.blob(ocispec.MediaTypeImageLayer, plain),
		l.blob(ocispec.MediaTypeImageLayerGzip, z.Bytes()),
		l.blob(ocispec.MediaTypeImageLayerZstd, enc.EncodeAll(packed, nil)),
	}
	config := l.json(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{"Cmd": []string{"x"}},
		"rootfs": RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(plain), digest.FromBytes(zipped), digest.FromBytes(packed)}}})
	id = digest.FromBytes(config)
	manifest = l.blob(ocispec.MediaTypeImageManifest, l.json(map[string]any{"schemaVersion": 2, "config": l.blob(ocispec.MediaTypeImageConfig, config), "layers": layers}))
	return manifest, id, layers
}

func TestLoadLayout(t *testing.T) {
	for name, index := range map[string]func(l *layout, m ocispec.Descriptor) []ocispec.Descriptor{
		"manifest": func(l *layout, m ocispec.Descriptor) []ocispec.Descriptor {
			m.Annotations = map[string]string{ocispec.AnnotationRefName: "named:v1"}
			return []ocispec.Descriptor{m}
		},
		"full name beside a bare tag": func(l *layout, m ocispec.Descriptor) []ocispec.Descriptor {
			m.Annotations = map[string]string{ocispec.AnnotationRefName: "v1", annotationName: "docker.io/library/named:v1"}
			return []ocispec.Descriptor{m}
		},
		"index of platforms": func(l *layout, m ocispec.Descriptor) []ocispec.Descriptor {
			m.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
			other := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromString("elsewhere"), Size: 9, Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}}
			d := l.blob(ocispec.MediaTypeImageIndex, l.json(map[string]any{"schemaVersion": 2, "manifests": []ocispec.Descriptor{other, m}}))
			d.Annotations = map[string]string{annotationName: "named:v1"}
			return []ocispec.Descriptor{d}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			l := &layout{t: t}
			m, id, _ := l.image()
			l.add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
			l.add("index.json", l.json(map[string]any{"schemaVersion": 2, "manifests": index(l, m)}))
			loaded := load(t, s, tarOf(t, l.files...))
			if len(loaded) != 1 || loaded[0].ID != id || !slices.Equal(loaded[0].Refs, []string{"named:v1"}) {
				t.Fatalf("loaded %+v, want %s", loaded, id)
			}
			img, err := s.Get("named:v1")
			if err != nil || img.VirtualSize != 3 || !slices.Equal(img.Config.Cmd, []string{"x"}) {
				t.Errorf("image %+v %v", img, err)
			}
			if lines, err := s.History("named:v1"); err != nil || len(lines) != 3 {
				t.Errorf("history of an image without one: %+v %v", lines, err)
			}
			save(t, s, "named:v1")
		})
	}
}

// TestLoadManifestBesideLayout loads what Docker 25 and later save: a layout
// whose manifest.json names blobs.
func TestLoadManifestBesideLayout(t *testing.T) {
	s := newStore(t)
	l := &layout{t: t}
	m, id, layers := l.image()
	var names []string
	for _, d := range layers {
		names = append(names, "blobs/sha256/"+d.Digest.Encoded())
	}
	l.add("index.json", l.json(map[string]any{"schemaVersion": 2, "manifests": []ocispec.Descriptor{m}}))
	l.add("manifest.json", l.json([]map[string]any{{"Config": "blobs/sha256/" + id.Encoded(), "RepoTags": []string{"a/b:c"}, "Layers": names,
		"LayerSources": map[string]any{}}}))
	l.add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	l.add("repositories", []byte(`{"a/b":{"c":"`+layers[2].Digest.Encoded()+`"}}`))
	loaded := load(t, s, tarOf(t, l.files...))
	if len(loaded) != 1 || loaded[0].ID != id || !slices.Equal(loaded[0].Refs, []string{"a/b:c"}) {
		t.Errorf("loaded %+v", loaded)
	}
}

func TestLoadLayoutErrors(t *testing.T) {
	for name, change := range map[string]func(l *layout, m *ocispec.Descriptor){
		"manifest is missing":  func(l *layout, m *ocispec.Descriptor) { m.Digest = digest.FromString("x") },
		"digest is nonsense":   func(l *layout, m *ocispec.Descriptor) { m.Digest = "sha256:../../x" },
		"manifest was changed": func(l *layout, m *ocispec.Descriptor) { l.files[len(l.files)-1].Body = []byte(`{"layers":[]}`) },
		"layer is missing":     func(l *layout, m *ocispec.Descriptor) { l.files = l.files[1:] },
		"foreign platform": func(l *layout, m *ocispec.Descriptor) {
			m.Platform = &ocispec.Platform{OS: "plan9", Architecture: "mips"}
			*m = l.blob(ocispec.MediaTypeImageIndex, l.json(map[string]any{"manifests": []ocispec.Descriptor{*m}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			l := &layout{t: t}
			m, _, _ := l.image()
			change(l, &m)
			l.add("index.json", l.json(map[string]any{"manifests": []ocispec.Descriptor{m}}))
			if _, err := s.Load(context.Background(), bytes.NewReader(tarOf(t, l.files...)), nil); !errdefs.IsInvalidArgument(err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestLoadCompressed(t *testing.T) {
	plain := archiveOf(t, three("three:latest"))
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	zw.Write(plain)
	zw.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for name, b := range map[string][]byte{"gzip": z.Bytes(), "zstd": enc.EncodeAll(plain, nil), "xz": pipe(t, plain, "xz", "-0"), "bzip2": pipe(t, plain, busybox.Program, "bzip2", "-c")} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			load(t, s, b)
			for _, cut := range []int{len(b) - 5, len(b) / 2} {
				if _, err := s.Load(context.Background(), io.LimitReader(bytes.NewReader(b), int64(cut)), nil); err != nil && !errdefs.IsInvalidArgument(err) {
					t.Errorf("cut at %d of %d: %v", cut, len(b), err)
				}
			}
			broken := slices.Clone(b)
			copy(broken[len(b)/2:], strings.Repeat("x", 16))
			if _, err := s.Load(context.Background(), bytes.NewReader(broken), nil); !errdefs.IsInvalidArgument(err) {
				t.Errorf("broken: %v", err)
			}
		})
	}
}
