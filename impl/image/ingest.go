package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// ingest collects what a load, import, commit or pull adds, and makes it
// visible in one transaction. Layers may come in any order and before anybody
// knows what lies below them; abort removes all that was not committed.
//
//	in := s.newIngest()
//	defer in.abort()
//	u, err := in.unpack(ctx, r)
//	chain, err := in.stack(ctx, parent, u)
//	id, err := in.image(raw, "")
//	in.tag("docker.io/library/a:latest", id)
//	err = in.commit()
type ingest struct {
	s       *Store
	layers  map[digest.Digest]*layerEntry // new ones, by chain id
	order   []digest.Digest               // of layers
	images  []*Image
	tags    map[string]digest.Digest
	digests map[string]digest.Digest
	blobs   []layerBlob
	docs    map[digest.Digest]manifest // by image id
	mu      sync.Mutex                 // guards dirs: layers are unpacked side by side
	dirs    map[string]bool            // made by this ingest
	kept    []digest.Digest            // blobs in the cache that may have no record
	built   bool                       // the images are this store's own work: see Image.Built
	holds   []digest.Digest            // chains that were there and must stay until commit
	hold    bool                       // the image is to be held from its first moment, until release
	release func()
}

// unpacked is a layer on disk that may not be stacked yet.
type unpacked struct {
	dir string
	res *layer.Result
	// used says that a chain has this directory.
	used bool
}

func (s *Store) newIngest() *ingest {
	return &ingest{
		s:       s,
		layers:  map[digest.Digest]*layerEntry{},
		tags:    map[string]digest.Digest{},
		digests: map[string]digest.Digest{},
		docs:    map[digest.Digest]manifest{},
		dirs:    map[string]bool{},
	}
}

// newDir makes a folder for a layer, which abort removes.
func (in *ingest) newDir() (string, error) {
	dir, err := in.s.newLayerDir()
	if err != nil {
		return "", err
	}
	in.mu.Lock()
	in.dirs[dir] = true
	in.mu.Unlock()
	return dir, nil
}

// unpack writes an uncompressed layer tar to disk.
func (in *ingest) unpack(ctx context.Context, r io.Reader) (*unpacked, error) {
	dir, err := in.newDir()
	if err != nil {
		return nil, err
	}
	res, err := layer.Unpack(ctx, in.s.layerPath(dir), r, in.s.limits)
	if err != nil {
		return nil, errors.Join(err, in.discard(dir))
	}
	return &unpacked{dir: dir, res: res}, nil
}

func (in *ingest) discard(dir string) error {
	in.mu.Lock()
	delete(in.dirs, dir)
	in.mu.Unlock()
	return in.s.trash.add(in.s.layerPath(dir))
}

// has says whether the chain is in the store or in this ingest, and keeps it.
func (in *ingest) has(chain digest.Digest) bool {
	if in.layers[chain] != nil {
		return true
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	l := in.s.layers[chain]
	if l == nil || l.damaged != nil {
		return false
	}
	in.s.holdLocked(chain)
	in.holds = append(in.holds, chain)
	return true
}

// stack puts the layer on top of the chain parent ("" for none) and returns
// the new chain id. u may be stacked several times.
func (in *ingest) stack(ctx context.Context, parent digest.Digest, u *unpacked) (digest.Digest, error) {
	chain := u.res.DiffID
	if parent != "" {
		chain = digest.FromString(parent.String() + " " + u.res.DiffID.String())
	}
	if in.has(chain) {
		return chain, nil
	}
	if !u.res.SelfContained() {
		if u.used {
			// Its folders took after another chain: make it anew from its own tar.
			again, err := in.again(ctx, u)
			if err != nil {
				return "", err
			}
			u = again
		}
		lower, err := in.below(parent)
		if err != nil {
			return "", err
		}
		if err := layer.Settle(in.s.layerPath(u.dir), u.res, lower); err != nil {
			return "", err
		}
	}
	u.used = true
	in.layers[chain] = &layerEntry{chain: chain, layerRecord: layerRecord{
		Dir: u.dir, Parent: parent, DiffID: u.res.DiffID, TarSize: u.res.TarSize, Size: u.res.Size, Shared: u.res.SelfContained(),
	}}
	in.order = append(in.order, chain)
	return chain, nil
}

// again unpacks the layer a second time.
func (in *ingest) again(ctx context.Context, u *unpacked) (*unpacked, error) {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(layer.Assemble(ctx, in.s.layerPath(u.dir), pw))
	}()
	again, err := in.unpack(ctx, pr)
	pr.CloseWithError(errors.New("unpacking ended"))
	<-done
	return again, err
}

// below returns the directories of a chain that may be half in this ingest.
func (in *ingest) below(chain digest.Digest) ([]string, error) {
	var dirs []string
	for in.layers[chain] != nil {
		l := in.layers[chain]
		dirs = append(dirs, in.s.layerPath(l.Dir, layer.DiffDir))
		chain = l.Parent
	}
	rest, err := in.s.chainDirs(chain)
	return append(dirs, rest...), err
}

// image adds an image whose layers are all stacked or in the store.
func (in *ingest) image(raw []byte, parent digest.Digest) (*Image, error) {
	img, err := in.s.newImage(digest.FromBytes(raw), raw, parent)
	if err != nil {
		return nil, err
	}
	if img.Top != "" && !in.has(img.Top) {
		return nil, fault.Invalid("image %s: its layers are not in the archive", short(img.ID.String()))
	}
	steps := 0
	for _, h := range img.History {
		if !h.EmptyLayer {
			steps++
		}
	}
	if len(img.History) > 0 && steps != len(img.RootFS.DiffIDs) {
		return nil, fault.Invalid("image %s: history with %d layers, but there are %d", short(img.ID.String()), steps, len(img.RootFS.DiffIDs))
	}
	img.Built = in.built
	in.images = append(in.images, img)
	return img, nil
}

// commit makes everything durable, then visible.
func (in *ingest) commit() error {
	s := in.s
	// The long part of writing goes first, outside of the lock.
	if len(in.order) > 0 {
		if err := s.syncFiles(); err != nil {
			return err
		}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	ch := change{tags: in.tags, digests: in.digests, blobs: s.mergeBlobs(in.blobs), docs: in.docs}
	for _, chain := range in.order {
		if l := s.layers[chain]; l == nil {
			ch.layers = append(ch.layers, in.layers[chain])
		} else if l.damaged != nil {
			// A whole layer takes the place of a damaged one.
			repaired := *in.layers[chain]
			ch.layers = append(ch.layers, &repaired)
		}
	}
	for _, img := range in.images {
		// The same image again: a record of its making is worth more than none, and
		// what this store made itself stays as it is.
		if old := s.images[img.ID]; old == nil || img.Built && !old.Built || !old.Built && old.Parent == "" && img.Parent != "" {
			ch.images = append(ch.images, img)
		}
	}
	if err := s.transact(ch); err != nil {
		return fmt.Errorf("record images: %w", err)
	}
	s.mu.Lock()
	changed := map[digest.Digest]bool{}
	var old []string
	for _, l := range ch.layers {
		delete(in.dirs, l.Dir)
		if was := s.layers[l.chain]; was != nil {
			l.refs = was.refs
			old = append(old, was.Dir)
		} else {
			// Others may have missed it: images, layers and containers that
			// outlived a damaged record of it.
			l.refs = s.usersLocked(l.chain)
			s.holdLocked(l.Parent)
		}
		s.layers[l.chain] = l
	}
	for diff, list := range ch.blobs {
		s.blobs[diff] = list
	}
	for _, img := range ch.images {
		if s.images[img.ID] == nil {
			s.holdLocked(img.Top)
		}
		s.images[img.ID] = img
		changed[img.ID] = true
	}
	if in.hold {
		in.release = s.holdImageLocked(in.images[0].ID)
	}
	for into, names := range map[*map[string]digest.Digest]map[string]digest.Digest{&s.tags: in.tags, &s.digests: in.digests} {
		for name, id := range names {
			changed[(*into)[name]], changed[id] = true, true
			(*into)[name] = id
		}
	}
	for id, img := range s.images {
		if img.Damaged != nil { // one of the layers may be what it lacked
			changed[id] = true
		}
	}
	var ids []digest.Digest
	for id := range changed {
		ids = append(ids, id)
	}
	s.publishLocked(ids...)
	kept := map[string]bool{}
	for _, l := range s.layers {
		kept[l.Dir] = true
	}
	s.mu.Unlock()
	for _, dir := range old {
		if !kept[dir] {
			if err := s.trash.add(s.layerPath(dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// usersLocked counts what stands on a chain.
func (s *Store) usersLocked(chain digest.Digest) (n int) {
	for _, l := range s.layers {
		if l.Parent == chain {
			n++
		}
	}
	for _, img := range s.images {
		if img.Top == chain {
			n++
		}
	}
	for _, w := range s.rw {
		if w.chain == chain {
			n++
		}
	}
	return n
}

// abort removes what commit did not take. After a commit it removes the layers nobody uses.
func (in *ingest) abort() {
	for dir := range in.dirs {
		if err := in.discard(dir); err != nil && !os.IsNotExist(err) {
			in.s.log.Error("image store: remove unfinished layer", "error", err)
		}
	}
	for _, chain := range in.holds {
		if _, err := in.s.releaseLayers(chain); err != nil {
			in.s.log.Error("image store: release layer", "chain", chain, "error", err)
		}
	}
	in.holds = nil
	in.s.dropUnknownBlobs(in.kept)
}
