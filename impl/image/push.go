package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// Target is a repository to push to; *registry.Repository is one.
type Target interface {
	// Name is the repository's name.
	Name() reference.Named
	// Has says whether the repository has the blob.
	Has(ctx context.Context, desc ocispec.Descriptor) (bool, error)
	// Mount takes the blob over from another repository of the registry; false
	// when the registry does not do it.
	Mount(ctx context.Context, desc ocispec.Descriptor, from string) (bool, error)
	// PushBlob uploads a blob of exactly desc.Size bytes.
	PushBlob(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error
	// PushManifest uploads a manifest and gives it the tag.
	PushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, tag string) error
}

// Pushed is one tag of a push, as the last message of its progress stream has it.
type Pushed struct {
	Tag    string
	Digest digest.Digest
	// Size is the manifest's length in bytes.
	Size int64
}

// Push uploads the image that is called tag in the target's repository, or all
// tags of that repository when tag is empty. An image that was pulled, or
// pushed before, keeps its manifest and so its digest. progress gets Docker's
// messages, with the first and the "digest:" lines.
func (s *Store) Push(ctx context.Context, to Target, tag string, progress ProgressFunc) ([]Pushed, error) {
	name := reference.TrimNamed(to.Name())
	progress = oneAtATime(progress)
	progress(Progress{Status: fmt.Sprintf("The push refers to a repository [%s]", name.Name())})
	tags, err := s.pushTags(name, tag)
	if err != nil {
		return nil, err
	}
	var done []Pushed
	for _, t := range tags {
		_, tag := splitName(t)
		p := &push{s: s, to: to, progress: progress}
		got, err := p.run(ctx, t, tag)
		if err != nil {
			return done, err
		}
		done = append(done, *got)
		progress(Progress{Status: fmt.Sprintf("%s: digest: %s size: %d", got.Tag, got.Digest, got.Size)})
	}
	return done, nil
}

type push struct {
	s        *Store
	to       Target
	progress ProgressFunc
	news     []layerBlob

	mu   sync.Mutex
	made []layerBlob // compressed here, not known to the target yet
}

func (p *push) run(ctx context.Context, ref, tag string) (_ *Pushed, err error) {
	img, err := p.s.usable(ref)
	if err != nil {
		return nil, err
	}
	defer p.s.hold(img.Top)()
	defer func() {
		if err != nil {
			err = errors.Join(err, p.keep())
		}
	}()
	chains := chainIDs(img.RootFS.DiffIDs)
	for i := len(chains) - 1; i >= 0; i-- {
		p.progress(Progress{ID: short(img.RootFS.DiffIDs[i].Encoded()), Status: "Preparing"})
	}
	desc, raw, err := p.exact(ctx, img, chains)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		if desc, raw, err = p.build(ctx, img, chains); err != nil {
			return nil, err
		}
	}
	if err := p.to.PushManifest(ctx, desc, raw, tag); err != nil {
		return nil, err
	}
	byDigest, err := reference.WithDigest(reference.TrimNamed(p.to.Name()), desc.Digest)
	if err != nil {
		return nil, err
	}
	if err := p.record(img, canonicalKey(byDigest), manifest{MediaType: desc.MediaType, Raw: raw}); err != nil {
		return nil, err
	}
	return &Pushed{Tag: tag, Digest: desc.Digest, Size: int64(len(raw))}, nil
}

// keep records what was compressed for a push that failed: the next one finds
// it, and it goes with its layer.
func (p *push) keep() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.made) == 0 {
		return nil
	}
	in := p.s.newIngest()
	defer in.abort()
	in.blobs = p.made
	return in.commit()
}

// record remembers under which digests the image is known there.
func (p *push) record(img *Image, key string, m manifest) error {
	in := p.s.newIngest()
	defer in.abort()
	in.digests[key] = img.ID
	in.blobs = p.news
	in.docs[img.ID] = m
	return in.commit()
}

// exact pushes the blobs of the manifest that the image came with; nil when it
// has none, or a blob of it is neither there nor here.
func (p *push) exact(ctx context.Context, img *Image, chains []digest.Digest) (ocispec.Descriptor, []byte, error) {
	none := ocispec.Descriptor{}
	doc, ok, err := p.s.doc(img.ID)
	if err != nil || !ok {
		return none, nil, err
	}
	var m imageManifest
	if err := json.Unmarshal(doc.Raw, &m); err != nil || len(m.Layers) != len(chains) || m.Config.Digest != img.ID {
		return none, nil, nil
	}
	for i, d := range m.Layers {
		ok, err := p.reachable(ctx, img.RootFS.DiffIDs[i], d)
		if err != nil || !ok {
			return none, nil, err
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelLayers)
	seen := map[digest.Digest]bool{}
	for i, d := range m.Layers {
		p.learn(img.RootFS.DiffIDs[i], d)
		if !seen[d.Digest] {
			seen[d.Digest] = true
			group.Go(func() error { return p.blob(gctx, img.RootFS.DiffIDs[i], d) })
		}
	}
	if err := group.Wait(); err != nil {
		return none, nil, err
	}
	if err := p.config(ctx, m.Config, img); err != nil {
		return none, nil, err
	}
	return ocispec.Descriptor{MediaType: doc.MediaType, Digest: digest.FromBytes(doc.Raw), Size: int64(len(doc.Raw))}, doc.Raw, nil
}

// learn notes that the target's repository has the layer in this form.
func (p *push) learn(diff digest.Digest, d ocispec.Descriptor) {
	p.news = append(p.news, layerBlob{diff, blobRecord{Digest: d.Digest, Size: d.Size, MediaType: d.MediaType, From: []string{p.to.Name().Name()}}})
}

// reachable says whether the blob is cached or the registry has it in reach.
func (p *push) reachable(ctx context.Context, diff digest.Digest, d ocispec.Descriptor) (bool, error) {
	rec := blobRecord{Digest: d.Digest, Size: d.Size}
	f, err := p.s.openBlob(rec)
	if err != nil {
		return false, err
	}
	if f != nil {
		f.Close()
		return true, nil
	}
	if len(p.mountable(diff, d)) > 0 {
		return true, nil
	}
	return p.to.Has(ctx, d)
}

// mountable lists other repositories of the same registry that have the blob.
func (p *push) mountable(diff digest.Digest, d ocispec.Descriptor) []string {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	var from []string
	for _, b := range p.s.blobs[diff] {
		if b.Digest != d.Digest {
			continue
		}
		for _, name := range b.From {
			path, ok := strings.CutPrefix(name, reference.Domain(p.to.Name())+"/")
			if ok && path != reference.Path(p.to.Name()) {
				from = append(from, path)
			}
		}
	}
	return from
}

// blob makes the target have a layer: it has it, takes it over from a
// repository beside, or gets it from the cache.
func (p *push) blob(ctx context.Context, diff digest.Digest, d ocispec.Descriptor) error {
	id := short(diff.Encoded())
	has, err := p.to.Has(ctx, d)
	if err != nil {
		return err
	}
	if has {
		p.progress(Progress{ID: id, Status: "Layer already exists"})
		return nil
	}
	for _, from := range p.mountable(diff, d) {
		ok, err := p.to.Mount(ctx, d, from)
		if err != nil {
			return err
		}
		if ok {
			p.progress(Progress{ID: id, Status: "Mounted from " + from})
			return nil
		}
	}
	f, err := p.s.openBlob(blobRecord{Digest: d.Digest, Size: d.Size})
	if err != nil {
		return err
	}
	if f == nil {
		return fault.Internal("the compressed layer %s is not here any more", d.Digest)
	}
	defer f.Close()
	return p.upload(ctx, id, d, f)
}

func (p *push) upload(ctx context.Context, id string, d ocispec.Descriptor, body io.Reader) error {
	counted := &countingReader{r: body, id: id, total: d.Size, status: "Pushing", report: p.progress}
	if err := p.to.PushBlob(ctx, d, counted); err != nil {
		return err
	}
	counted.done()
	p.progress(Progress{ID: id, Status: "Pushed"})
	return nil
}

func (p *push) config(ctx context.Context, d ocispec.Descriptor, img *Image) error {
	has, err := p.to.Has(ctx, d)
	if err != nil || has {
		return err
	}
	return p.to.PushBlob(ctx, d, strings.NewReader(string(img.Raw)))
}

// build pushes the image under a new manifest (schema 2).
func (p *push) build(ctx context.Context, img *Image, chains []digest.Digest) (ocispec.Descriptor, []byte, error) {
	none := ocispec.Descriptor{}
	layers := make([]ocispec.Descriptor, len(chains))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(2) // compressing takes a processor each
	first := map[digest.Digest]int{}
	for i, diff := range img.RootFS.DiffIDs {
		if _, ok := first[diff]; ok {
			continue
		}
		first[diff] = i
		group.Go(func() (err error) {
			if layers[i], err = p.form(gctx, chains[i], diff); err != nil {
				return err
			}
			return p.blob(gctx, diff, layers[i])
		})
	}
	if err := group.Wait(); err != nil {
		return none, nil, err
	}
	for i, diff := range img.RootFS.DiffIDs {
		layers[i] = layers[first[diff]]
		p.learn(diff, layers[i])
	}
	config := ocispec.Descriptor{MediaType: registry.TypeDockerConfig, Digest: img.ID, Size: int64(len(img.Raw))}
	if err := p.config(ctx, config, img); err != nil {
		return none, nil, err
	}
	// The order and the indentation are Docker's.
	raw, err := json.MarshalIndent(struct {
		SchemaVersion int                  `json:"schemaVersion"`
		MediaType     string               `json:"mediaType"`
		Config        ocispec.Descriptor   `json:"config"`
		Layers        []ocispec.Descriptor `json:"layers"`
	}{2, registry.TypeDockerManifest, config, layers}, "", "   ")
	if err != nil {
		return none, nil, err
	}
	return ocispec.Descriptor{MediaType: registry.TypeDockerManifest, Digest: digest.FromBytes(raw), Size: int64(len(raw))}, raw, nil
}

// form finds a compressed form of a layer that can be pushed, or compresses it.
func (p *push) form(ctx context.Context, chain, diff digest.Digest) (ocispec.Descriptor, error) {
	p.s.mu.RLock()
	known := p.s.blobs[diff]
	l := p.s.layers[chain]
	p.s.mu.RUnlock()
	for _, b := range known {
		if b.MediaType != registry.TypeDockerLayer {
			continue
		}
		ok, err := p.reachable(ctx, diff, b.descriptor())
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		if ok {
			return b.descriptor(), nil
		}
	}
	if l == nil {
		return ocispec.Descriptor{}, fault.Internal("layer %s is missing", chain)
	}
	return p.compress(ctx, l, diff)
}

// compress writes the layer into the blob cache. The same layer gives the
// same bytes, so that a second push finds it at the registry.
func (p *push) compress(ctx context.Context, l *layerEntry, diff digest.Digest) (d ocispec.Descriptor, err error) {
	f, err := os.CreateTemp(filepath.Join(p.s.root, blobsDir), ".")
	if err != nil {
		return d, err
	}
	file := &blobFile{s: p.s, f: f}
	defer file.drop()
	sum := digest.SHA256.Digester()
	count := &countingWriter{w: io.MultiWriter(f, sum.Hash())}
	// Level 3 of this compressor is five times as fast as the standard library's
	// default for a few per cent more bytes.
	z, err := gzip.NewWriterLevel(count, 3)
	if err != nil {
		return d, err
	}
	if err := layer.Assemble(ctx, p.s.layerPath(l.Dir), z); err != nil {
		return d, err
	}
	if err := z.Close(); err != nil {
		return d, err
	}
	d = ocispec.Descriptor{MediaType: registry.TypeDockerLayer, Digest: sum.Digest(), Size: count.n}
	if err := file.keep(d.Digest); err != nil {
		return d, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = append(p.made, layerBlob{diff, blobRecord{Digest: d.Digest, Size: d.Size, MediaType: d.MediaType}})
	return d, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
