package image

import (
	"context"
	"encoding/json"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/fault"
)

// annotationName is where containerd keeps an image's full name; the OCI's
// own annotation holds only the tag.
const annotationName = "io.containerd.image.name"

// loadLayout loads an OCI image layout (image-spec, image-layout.md).
func (a *archive) loadLayout(ctx context.Context) ([]Loaded, error) {
	var index ocispec.Index
	if err := json.Unmarshal(a.document("index.json"), &index); err != nil {
		return nil, fault.Invalid("invalid index.json: %w", err)
	}
	var loaded []Loaded
	for _, desc := range index.Manifests {
		img, err := a.loadDescriptor(ctx, desc, 0)
		if err != nil {
			return nil, err
		}
		l := Loaded{ID: img.ID}
		name := desc.Annotations[annotationName]
		if name == "" {
			name = desc.Annotations[ocispec.AnnotationRefName]
		}
		if name != "" {
			familiarName, err := a.tag(name, "", img.ID)
			if err != nil {
				return nil, err
			}
			l.Refs = append(l.Refs, familiarName)
		}
		loaded = append(loaded, l)
	}
	return loaded, nil
}

func blobPath(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

// blob reads a document of the layout and checks its digest.
func (a *archive) blob(desc ocispec.Descriptor) ([]byte, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, fault.Invalid("invalid digest %q: %w", desc.Digest, err)
	}
	b := a.document(blobPath(desc.Digest))
	if b == nil {
		return nil, fault.Invalid("%s is not in the archive", desc.Digest)
	}
	if desc.Digest.Algorithm().FromBytes(b) != desc.Digest {
		return nil, fault.Invalid("%s has other contents", desc.Digest)
	}
	return b, nil
}

func (a *archive) loadDescriptor(ctx context.Context, desc ocispec.Descriptor, depth int) (*Image, error) {
	b, err := a.blob(desc)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Manifests []ocispec.Descriptor `json:"manifests"`
		Config    ocispec.Descriptor   `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fault.Invalid("invalid manifest %s: %w", desc.Digest, err)
	}
	if len(doc.Manifests) > 0 {
		if depth > 3 {
			return nil, fault.Invalid("indexes are nested too deep")
		}
		for _, m := range doc.Manifests {
			if isOurPlatform(m.Platform) && m.Digest.Validate() == nil && a.documents[blobPath(m.Digest)] != nil {
				return a.loadDescriptor(ctx, m, depth+1)
			}
		}
		return nil, fault.Invalid("index %s has no image for this platform", desc.Digest)
	}
	raw, err := a.blob(doc.Config)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range doc.Layers {
		if err := l.Digest.Validate(); err != nil {
			return nil, fault.Invalid("invalid digest %q: %w", l.Digest, err)
		}
		names = append(names, blobPath(l.Digest))
	}
	return a.stackImage(ctx, raw, names)
}
