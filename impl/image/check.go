package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// IsEmpty says that there are no images in root: a store was never made there, or its
// daemon ended while it made the first one. One whose database is gone while layers are
// there is not empty but damaged, as Open says.
func IsEmpty(root string) (bool, error) {
	file := filepath.Join(root, dbFile)
	switch st, err := os.Stat(file); {
	case err == nil && st.Size() > 0:
		return false, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	err := database.Check(file, namedDirs(root)...)
	if errors.Is(err, database.ErrDamaged) {
		return false, nil
	}
	return err == nil, err
}

// RepairDatabase makes the database of the store in root readable, if it is not:
// see database.Salvage. It comes before Open, whose error says that the database is
// damaged. done is nil if the database is whole.
func RepairDatabase(root string) (done *database.Salvaged, err error) {
	file := filepath.Join(root, dbFile)
	err = database.Check(file, namedDirs(root)...)
	if !errors.Is(err, database.ErrDamaged) {
		return nil, err
	}
	return database.Salvage(file)
}

// Check reads everything in the store and compares it with what it should be:
// records, layers, compressed layers, manifests. Images with a damaged layer
// become unusable (Image.Damaged); all others go on.
//
// With repair, a damaged layer whose compressed form is still in the cache is
// unpacked anew. What cannot be repaired is removed: records that make no sense,
// compressed layers and manifests (a push makes new ones), and images with a
// damaged layer, with their names; they can be pulled or loaded again. The files
// that containers wrote are never touched; a container whose image was removed
// can be started again when the image is back.
//
// What the disk fails to read is reported and left: it may be whole, and reading
// it again may work. Any other error of the system ends the check.
//
// Check may run beside other operations. Not so with repair: it replaces and removes
// layers, on which no container may run, since an overlay whose lower folders change
// has no defined behaviour.
func (s *Store) Check(ctx context.Context, repair bool) (*Report, error) {
	c := &checker{s: s, repair: repair && !s.readOnly}
	for _, step := range []func(context.Context) error{c.records, c.blobs, c.lostLayers, c.layers, c.manifests, c.images, c.containers} {
		if err := step(ctx); err != nil {
			return &c.Report, fmt.Errorf("check image store: %w", err)
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if c.repair {
		return &c.Report, s.sweep()
	}
	left, err := s.leftovers()
	c.Leftovers = append(c.Leftovers, left...)
	return &c.Report, err
}

type checker struct {
	s      *Store
	repair bool
	Report
}

func (c *checker) found(f Finding) { c.Findings = append(c.Findings, f) }

// records tells what Open could not read, and removes it.
func (c *checker) records(context.Context) error {
	s := c.s
	s.writing.Lock()
	defer s.writing.Unlock()
	if !c.repair {
		c.Findings = append(c.Findings, s.unread...)
		return nil
	}
	var left []Finding
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, f := range s.unread {
			if f.Kind != Record {
				left = append(left, f)
				c.found(f)
				continue
			}
			buckets := [][]byte{f.bucket}
			if string(f.bucket) == string(bucketImages) {
				buckets = append(buckets, bucketConfigs, bucketDocs)
			}
			for _, b := range buckets {
				if err := tx.Bucket(b).Delete(f.key); err != nil {
					return err
				}
			}
			f.Outcome = Discarded
			c.found(f)
		}
		return nil
	})
	if err == nil {
		s.unread = left
	}
	return err
}

// blobs reads the compressed layers first: layers may be repaired from them.
func (c *checker) blobs(ctx context.Context) error {
	s := c.s
	s.mu.RLock()
	known := map[digest.Digest]blobRecord{}
	for _, list := range s.blobs {
		for _, b := range list {
			known[b.Digest] = b
		}
	}
	s.mu.RUnlock()
	for _, b := range known {
		f, err := os.Open(s.blobPath(b.Digest))
		if errors.Is(err, os.ErrNotExist) {
			continue // it is a cache
		}
		if err != nil {
			return err
		}
		c.Blobs++
		err = sumOf(ctx, f, b.Digest)
		f.Close()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		finding := Finding{Kind: Blob, Name: b.Digest.String(), Err: err}
		if c.repair {
			if err := s.trash.add(s.blobPath(b.Digest)); err != nil {
				return err
			}
			finding.Outcome = Discarded
		}
		c.found(finding)
	}
	return nil
}

// sumOf says whether what r gives has the digest.
func sumOf(ctx context.Context, r io.Reader, want digest.Digest) error {
	sum := want.Algorithm().Digester()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		sum.Hash().Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if got := sum.Digest(); got != want {
		return fmt.Errorf("its digest is %s", got)
	}
	return nil
}

func (c *checker) layers(ctx context.Context) error {
	s := c.s
	type task struct {
		layerEntry
		depth int
	}
	var tasks []task
	s.mu.Lock()
	for _, l := range s.layers {
		s.holdLocked(l.chain)
		depth := 0
		for p := s.layers[l.Parent]; p != nil; p = s.layers[p.Parent] {
			depth++
		}
		tasks = append(tasks, task{*l, depth})
	}
	s.mu.Unlock()
	defer func() {
		for _, t := range tasks {
			s.dropHold(t.chain)
		}
	}()
	// Lower layers first: a repaired layer settles on what lies below it.
	slices.SortFunc(tasks, func(a, b task) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.chain, b.chain))
	})
	for _, t := range tasks {
		c.Layers++
		c.LayerBytes += t.Size
		err := layer.Verify(ctx, s.layerPath(t.Dir), t.DiffID)
		if err == nil {
			continue
		}
		if isDiskError(err) && ctx.Err() == nil {
			c.found(Finding{Kind: Layer, Name: t.chain.String(), Err: fmt.Errorf("%w; it is left as it is", err), Images: s.imagesOn(t.chain)})
			continue
		}
		if ctx.Err() != nil || !errors.Is(err, layer.ErrDamaged) {
			return cmp.Or(ctx.Err(), fmt.Errorf("layer %s: %w", t.chain, err))
		}
		f := Finding{Kind: Layer, Name: t.chain.String(), Err: err, Images: s.markDamaged(t.chain, err)}
		if c.repair {
			if rerr := s.repairLayer(ctx, &t.layerEntry); ctx.Err() != nil {
				return ctx.Err()
			} else if rerr != nil {
				// It goes with its last image.
				f.Err, f.Outcome = fmt.Errorf("%w; %w", err, rerr), Discarded
			} else {
				f.Outcome = Repaired
			}
		}
		c.found(f)
	}
	return nil
}

// isDiskError says that a disk or its file system failed to read something.
func isDiskError(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EUCLEAN) || errors.Is(err, unix.EBADMSG)
}

// lostLayers makes the layers of images again whose records are lost, from their
// compressed forms and in the order of their chains. It comes before layers, which
// lets go of those that nothing stands on.
func (c *checker) lostLayers(ctx context.Context) error {
	s := c.s
	s.mu.RLock()
	var lost []*layerEntry
	seen := map[digest.Digest]bool{}
	for _, img := range s.images {
		var parent digest.Digest
		for i, chain := range chainIDs(img.RootFS.DiffIDs) {
			if s.layers[chain] == nil && !seen[chain] {
				seen[chain] = true
				lost = append(lost, &layerEntry{chain: chain, layerRecord: layerRecord{DiffID: img.RootFS.DiffIDs[i], Parent: parent}})
			}
			parent = chain
		}
	}
	s.mu.RUnlock()
	for _, l := range lost {
		f := Finding{Kind: Layer, Name: l.chain.String(), Err: errors.New("its record is lost"), Images: s.imagesOn(l.chain)}
		if c.repair {
			if err := s.repairLayer(ctx, l); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				f.Err, f.Outcome = fmt.Errorf("%w; %w", f.Err, err), Discarded
			} else {
				f.Outcome = Repaired
			}
		}
		c.found(f)
	}
	return nil
}

// dropHold ends a hold on a chain. In a store that is only read nothing can be removed by it.
func (s *Store) dropHold(chain digest.Digest) {
	if s.readOnly {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l := s.layers[chain]; l != nil {
			l.refs--
		}
		return
	}
	if _, err := s.releaseLayers(chain); err != nil {
		s.log.Error("image store: release layer", "chain", chain, "error", err)
	}
}

// markDamaged makes the images of a layer unusable and returns them.
func (s *Store) markDamaged(chain digest.Digest, err error) []digest.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.layers[chain]; l != nil {
		marked := *l
		marked.damaged = err
		s.layers[chain] = &marked
	}
	images := s.imagesOnLocked(chain)
	s.publishLocked(images...)
	return images
}

// imagesOn gives the images of a layer.
func (s *Store) imagesOn(chain digest.Digest) []digest.Digest {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.imagesOnLocked(chain)
}

func (s *Store) imagesOnLocked(chain digest.Digest) (images []digest.Digest) {
	for id, img := range s.images {
		if slices.Contains(chainIDs(img.RootFS.DiffIDs), chain) {
			images = append(images, id)
		}
	}
	slices.Sort(images)
	return images
}

// repairLayer unpacks a layer again from a compressed form of it.
func (s *Store) repairLayer(ctx context.Context, l *layerEntry) error {
	s.mu.RLock()
	blobs := s.blobs[l.DiffID]
	s.mu.RUnlock()
	for _, b := range blobs {
		if err := s.repairLayerFrom(ctx, l, b); !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("no compressed form of it is kept")
}

func (s *Store) repairLayerFrom(ctx context.Context, l *layerEntry, b blobRecord) error {
	f, err := s.openBlob(b)
	if err != nil {
		return err
	}
	if f == nil {
		return os.ErrNotExist
	}
	defer f.Close()
	plain, err := layer.Decompress(ctx, f)
	if err != nil {
		return err
	}
	defer plain.Close()
	in := s.newIngest()
	defer in.abort()
	u, err := in.unpack(ctx, plain)
	if err != nil {
		return err
	}
	if u.res.DiffID != l.DiffID {
		return fmt.Errorf("the kept blob %s unpacks to %s", b.Digest, u.res.DiffID)
	}
	if _, err := in.stack(ctx, l.Parent, u); err != nil {
		return err
	}
	return in.commit()
}

// manifests compares those of images with the images' ids and layers.
func (c *checker) manifests(context.Context) error {
	s := c.s
	bad := map[digest.Digest]error{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		return forEach(tx, bucketDocs, func(k, v []byte) error {
			id := digest.Digest(k)
			s.mu.RLock()
			img := s.images[id]
			s.mu.RUnlock()
			if err := checkManifest(v, img); err != nil {
				bad[id] = err
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	for id, err := range bad {
		f := Finding{Kind: Manifest, Name: id.String(), Err: err}
		if c.repair {
			s.writing.Lock()
			err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketDocs).Delete([]byte(id)) })
			s.writing.Unlock()
			if err != nil {
				return err
			}
			f.Outcome = Discarded
		}
		c.found(f)
	}
	return nil
}

func checkManifest(record []byte, img *Image) error {
	if img == nil {
		return errors.New("its image is not there")
	}
	var m manifest
	if err := json.Unmarshal(record, &m); err != nil {
		return err
	}
	var doc ocispec.Manifest
	if err := json.Unmarshal(m.Raw, &doc); err != nil {
		return err
	}
	if doc.Config.Digest != "" && doc.Config.Digest != img.ID { // schema 1 has none
		return fmt.Errorf("it is that of image %s", doc.Config.Digest)
	}
	if doc.Config.Digest != "" && len(doc.Layers) != len(img.RootFS.DiffIDs) {
		return fmt.Errorf("it has %d layers instead of %d", len(doc.Layers), len(img.RootFS.DiffIDs))
	}
	return nil
}

// images tells and removes those that lack a layer.
func (c *checker) images(context.Context) error {
	s := c.s
	s.writing.Lock()
	defer s.writing.Unlock()
	all, err := s.List(Filter{All: true})
	if err != nil {
		return err
	}
	c.Images = len(all)
	for _, img := range all {
		if img.Damaged == nil {
			continue
		}
		f := Finding{Kind: Broken, Name: img.ID.String(), Images: []digest.Digest{img.ID}, Tags: append(slices.Clone(img.Tags), img.RepoDigests...), Err: img.Damaged}
		if c.repair {
			r := removal{s: s}
			if err := r.untag(img.ID, s.namesOf(img.ID)...); err != nil {
				return err
			}
			if _, err := s.dropImage(img); err != nil {
				return err
			}
			f.Outcome = Discarded
		}
		c.found(f)
	}
	return nil
}

// containers tells whose image is damaged or gone. Nothing is done about them: what
// they wrote is whole, and the image may come back.
func (c *checker) containers(context.Context) error {
	s := c.s
	s.mu.RLock()
	for i, f := range c.Findings {
		if f.Kind == Layer && f.Outcome == Discarded && s.layers[digest.Digest(f.Name)] != nil {
			c.Findings[i].Outcome = Reported // a container still stands on it
		}
	}
	chains := map[string]digest.Digest{}
	for id, w := range s.rw {
		chains[id] = w.chain
	}
	s.mu.RUnlock()
	c.Containers = len(chains)
	for id, chain := range chains {
		if _, err := s.chainDirs(chain); err != nil {
			if s.imageOf != nil && s.imageOf(id) == "" {
				// It was removed, and a loss of power has brought its folder back.
				c.Leftovers = append(c.Leftovers, filepath.Join(rwDir, id))
				continue
			}
			c.found(Finding{Kind: Container, Name: id, Err: fmt.Errorf("its image cannot be used: %w; what it wrote is kept, and it can be started when the image is pulled or loaded again", err)})
		}
	}
	return nil
}
