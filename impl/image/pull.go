package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// Remote is a repository to pull from; *registry.Repository is one. What it
// returns is verified: bodies have the digest that was asked for.
type Remote interface {
	// Name is the repository's name.
	Name() reference.Named
	// Tags lists the repository's tags.
	Tags(ctx context.Context) ([]string, error)
	// Manifest fetches a manifest by tag or digest.
	Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error)
	// Size is a layer's size in bytes, for manifests that do not tell it.
	Size(ctx context.Context, d digest.Digest) (int64, error)
	// Document fetches a small blob.
	Document(ctx context.Context, desc ocispec.Descriptor) ([]byte, error)
	// Blob downloads a layer; io.EOF means that it is whole and right.
	Blob(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
}

// Pulled is one image of a pull.
type Pulled struct {
	ID digest.Digest
	// Ref is the familiar name, with tag or digest.
	Ref string
	// Digest is the manifest's (of a list, the list's).
	Digest digest.Digest
	// New says that the name stood for another image, or none, before.
	New bool
}

// parallelLayers is how many layers are downloaded and unpacked side by side,
// Docker's default.
const parallelLayers = 3

// Pull fetches the image that ref, a tag or a digest, names in the
// repository, or all its tags when ref is empty. progress gets Docker's
// messages, the headers and the last Status line included. Every image becomes
// visible for itself; on error those that were finished come with it.
func (s *Store) Pull(ctx context.Context, from Remote, ref string, progress ProgressFunc) ([]Pulled, error) {
	refs := []string{ref}
	if ref == "" {
		var err error
		if refs, err = from.Tags(ctx); err != nil {
			return nil, err
		}
	}
	var done []Pulled
	fresh := false
	for _, ref := range refs {
		p := &pull{s: s, from: from, progress: oneAtATime(progress)}
		got, err := p.run(ctx, ref)
		if err != nil {
			return done, err
		}
		done = append(done, *got)
		fresh = fresh || got.New
	}
	if progress != nil {
		name := reference.FamiliarName(from.Name())
		if ref != "" && len(done) == 1 {
			name = done[0].Ref
		}
		text := "Status: Image is up to date for " + name
		if fresh {
			text = "Status: Downloaded newer image for " + name
		}
		progress(Progress{Status: text})
	}
	return done, nil
}

// oneAtATime makes progress callable from several goroutines.
func oneAtATime(progress ProgressFunc) ProgressFunc {
	if progress == nil {
		return func(Progress) {}
	}
	var mu sync.Mutex
	return func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		progress(p)
	}
}

type pull struct {
	s        *Store
	in       *ingest
	from     Remote
	progress ProgressFunc
}

// imageManifest is what manifests of schema 2 and of the OCI have in common.
type imageManifest struct {
	Manifests []ocispec.Descriptor `json:"manifests"`
	Config    ocispec.Descriptor   `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
}

func (p *pull) run(ctx context.Context, ref string) (*Pulled, error) {
	p.in = p.s.newIngest()
	defer p.in.abort()
	name := reference.TrimNamed(p.from.Name())
	p.progress(Progress{ID: ref, Status: "Pulling from " + reference.Path(name)})
	desc, raw, err := p.from.Manifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	got := &Pulled{Digest: desc.Digest}
	img, err := p.manifest(ctx, desc, raw, 0)
	if err != nil {
		return nil, err
	}
	got.ID = img.ID
	byDigest, err := reference.WithDigest(name, desc.Digest)
	if err != nil {
		return nil, fault.Invalid("invalid digest %q: %w", desc.Digest, err)
	}
	p.in.digests[canonicalKey(byDigest)] = img.ID
	key, names := canonicalKey(byDigest), p.s.digests
	if _, err := digest.Parse(ref); err != nil {
		tagged, err := reference.WithTag(name, ref)
		if err != nil {
			return nil, fault.Invalid("invalid tag format")
		}
		key, names = tagged.String(), p.s.tags
		p.in.tags[key] = img.ID
	}
	got.Ref = familiar(key)
	p.s.mu.RLock()
	got.New = names[key] != img.ID
	p.s.mu.RUnlock()
	if err := p.in.commit(); err != nil {
		return nil, err
	}
	if err := p.s.evictBlobs(); err != nil {
		p.s.log.Error("image store: evict blobs", "error", err)
	}
	p.progress(Progress{Status: "Digest: " + desc.Digest.String()})
	return got, nil
}

// manifest brings in the image of a manifest, or of the entry of a list that
// is for this platform.
func (p *pull) manifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, depth int) (*Image, error) {
	switch desc.MediaType {
	case registry.TypeSchema1, registry.TypeSchema1Signed:
		return p.schema1(ctx, raw)
	}
	var m imageManifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fault.Invalid("invalid manifest %s: %w", desc.Digest, err)
	}
	if len(m.Manifests) > 0 {
		if depth > 3 {
			return nil, fault.Invalid("manifest lists are nested too deep")
		}
		for _, d := range m.Manifests {
			if !isOurPlatform(d.Platform) {
				continue
			}
			sub, raw, err := p.from.Manifest(ctx, d.Digest.String())
			if err != nil {
				return nil, err
			}
			return p.manifest(ctx, sub, raw, depth+1)
		}
		return nil, fault.NotFound("no matching manifest for this platform in the manifest list entries")
	}
	if m.Config.Digest == "" {
		return nil, fault.Invalid("unsupported manifest %s of type %q", desc.Digest, desc.MediaType)
	}
	config, err := p.from.Document(ctx, m.Config)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(config)
	if err != nil {
		return nil, err
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fault.Invalid("manifest %s has %d layers, its configuration %d", desc.Digest, len(m.Layers), len(c.RootFS.DiffIDs))
	}
	if err := p.layers(ctx, m.Layers, c.RootFS.DiffIDs); err != nil {
		return nil, err
	}
	img, err := p.in.image(config, "")
	if err != nil {
		return nil, err
	}
	p.in.docs[img.ID] = manifest{MediaType: desc.MediaType, Raw: raw}
	return img, nil
}

// layers downloads what the store lacks and stacks it.
func (p *pull) layers(ctx context.Context, descs []ocispec.Descriptor, diffs []digest.Digest) error {
	for _, d := range descs {
		if err := d.Digest.Validate(); err != nil {
			return fault.Invalid("invalid manifest: layer with digest %q: %w", d.Digest, err)
		}
		if d.Size < 0 {
			return fault.Invalid("invalid manifest: layer %s with size %d", d.Digest, d.Size)
		}
	}
	chains := chainIDs(diffs)
	got := make([]*unpacked, len(descs))
	first := map[digest.Digest]int{} // equal layers are downloaded once
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelLayers)
	for i, d := range descs {
		p.in.blobs = append(p.in.blobs, layerBlob{diffs[i], blobRecord{Digest: d.Digest, Size: d.Size, MediaType: d.MediaType, From: []string{p.from.Name().Name()}}})
		id := short(d.Digest.Encoded())
		if _, ok := first[d.Digest]; ok {
			continue
		}
		first[d.Digest] = i
		if p.in.has(chains[i]) {
			p.progress(Progress{ID: id, Status: "Already exists"})
			continue
		}
		p.progress(Progress{ID: id, Status: "Pulling fs layer"})
	}
	for i, d := range descs {
		if first[d.Digest] != i || p.in.has(chains[i]) {
			continue
		}
		group.Go(func() (err error) {
			got[i], err = p.layer(gctx, d)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	chain := digest.Digest("")
	for i, d := range descs {
		if p.in.has(chains[i]) {
			chain = chains[i]
			continue
		}
		u := got[first[d.Digest]]
		if u == nil {
			// Its first use was there already, on another chain.
			var err error
			if u, err = p.layer(ctx, d); err != nil {
				return err
			}
			got[first[d.Digest]] = u
		}
		if u.res.DiffID != diffs[i] {
			return fault.Invalid("layer %s unpacks to %s instead of %s", d.Digest, u.res.DiffID, diffs[i])
		}
		var err error
		if chain, err = p.in.stack(ctx, chain, u); err != nil {
			return err
		}
		p.progress(Progress{ID: short(d.Digest.Encoded()), Status: "Pull complete"})
	}
	return nil
}

// layer downloads and unpacks one layer, and keeps its bytes. A download that
// was begun by another pull may fail for reasons of that one, so a failure is
// tried once more.
func (p *pull) layer(ctx context.Context, d ocispec.Descriptor) (*unpacked, error) {
	u, shared, err := p.layerOnce(ctx, d)
	if err != nil && shared && ctx.Err() == nil {
		u, _, err = p.layerOnce(ctx, d)
	}
	return u, err
}

func (p *pull) layerOnce(ctx context.Context, d ocispec.Descriptor) (u *unpacked, shared bool, err error) {
	body, shared, err := p.s.join(ctx, p.from, d, p.progress)
	if err != nil {
		return nil, shared, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	plain, err := layer.Decompress(ctx, body)
	if err != nil {
		return nil, shared, err
	}
	defer plain.Close()
	if u, err = p.in.unpack(ctx, plain); err != nil {
		return nil, shared, fmt.Errorf("layer %s: %w", body.id, err)
	}
	// What follows the compressed stream belongs to the blob and its digest.
	if _, err = io.Copy(io.Discard, body); err == nil {
		err = body.keep(p.in)
	}
	if err != nil {
		return nil, shared, errors.Join(err, p.in.discard(u.dir))
	}
	p.progress(Progress{ID: body.id, Status: "Extracting", Current: d.Size, Total: d.Size})
	return u, shared, nil
}
