package image

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Finding is one thing that Check found.
type Finding struct {
	// Layer is the chain id of a damaged layer.
	Layer digest.Digest
	// Images are those that have the layer.
	Images []digest.Digest
	// Err says what is wrong.
	Err error
	// Repaired says that the layer is whole again.
	Repaired bool
}

// Check reads every layer completely and compares it with its digest. Images
// with a damaged layer become unusable (Image.Damaged). With repair, a damaged
// layer whose compressed form is still in the cache is unpacked anew; without
// one, pulling or loading its image again repairs it. Check may run beside
// other operations; containers that have a repaired layer mounted keep the old one
// until they are started again.
func (s *Store) Check(ctx context.Context, repair bool) ([]Finding, error) {
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
			if _, err := s.releaseLayers(t.chain); err != nil {
				s.log.Error("image store: release layer", "chain", t.chain, "error", err)
			}
		}
	}()
	// Lower layers first: a repaired layer settles on what lies below it.
	slices.SortFunc(tasks, func(a, b task) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.chain, b.chain))
	})
	var found []Finding
	for _, t := range tasks {
		err := s.checkLayer(ctx, &t.layerEntry)
		if ctx.Err() != nil {
			return found, ctx.Err()
		}
		if err == nil {
			continue
		}
		f := Finding{Layer: t.chain, Err: err, Images: s.markDamaged(t.chain, err)}
		if repair {
			if rerr := s.repairLayer(ctx, &t.layerEntry); rerr != nil {
				s.log.Error("image store: repair layer", "chain", t.chain, "error", rerr)
			} else {
				f.Repaired = true
			}
		}
		found = append(found, f)
	}
	return found, nil
}

func (s *Store) checkLayer(ctx context.Context, l *layerEntry) error {
	sum := digest.SHA256.Digester()
	if err := layer.Assemble(ctx, s.layerPath(l.Dir), sum.Hash()); err != nil {
		return err
	}
	if sum.Digest() != l.DiffID {
		return fmt.Errorf("%w: it gives %s instead of %s", layer.ErrDamaged, sum.Digest(), l.DiffID)
	}
	return nil
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
	var images []digest.Digest
	for id, img := range s.images {
		if slices.Contains(chainIDs(img.RootFS.DiffIDs), chain) {
			images = append(images, id)
		}
	}
	slices.Sort(images)
	s.publishLocked(images...)
	return images
}

// repairLayer unpacks a layer again from a compressed form of it.
func (s *Store) repairLayer(ctx context.Context, l *layerEntry) error {
	s.mu.RLock()
	blobs := s.blobs[l.DiffID]
	s.mu.RUnlock()
	for _, b := range blobs {
		f, err := s.openBlob(b)
		if err != nil {
			return err
		}
		if f == nil {
			continue
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
	return fmt.Errorf("no compressed form of it is kept")
}
