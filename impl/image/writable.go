package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// Writable is the layer a container writes to, above the layers of its image.
// Its paths are valid until RemoveWritable.
type Writable struct {
	// ID is the container's id.
	ID string
	// Image is the image below; empty for a container made from nothing.
	Image digest.Digest
	// Lower are the directories below, topmost first, as overlayfs wants them:
	// the init layer, then the image's layers.
	Lower []string
	// Upper and Work are overlayfs's upperdir and workdir.
	Upper, Work string
	// Target is an empty directory in which the engine may mount the tree.
	Target string
	// Created is the time of NewWritable.
	Created time.Time
}

// Stack is what overlay.Mount takes.
func (w *Writable) Stack() overlay.Stack {
	return overlay.Stack{Lower: w.Lower, Upper: w.Upper, Work: w.Work}
}

// rwEntry is a writable layer in memory; chain is its image's top layer.
type rwEntry struct {
	image, chain digest.Digest
	created      time.Time
}

// Names in a writable layer's folder.
const (
	rwUpper  = "upper"
	rwWork   = "work"
	rwTarget = "rootfs"
	rwLink   = "image" // see linkTarget
)

// NewWritable makes a writable layer on the image (empty digest: on nothing).
// id is the container's id. The image's layers stay until RemoveWritable,
// even if the image goes.
func (s *Store) NewWritable(ctx context.Context, id string, image digest.Digest) (*Writable, error) {
	if !validID(id) {
		return nil, fault.Invalid("invalid container id %q", id)
	}
	e := &rwEntry{image: image, created: time.Now()}
	s.mu.Lock()
	if s.rw[id] != nil {
		s.mu.Unlock()
		return nil, fault.Conflict("container %s already has a writable layer", short(id))
	}
	if image != "" {
		img := s.images[image]
		if img == nil {
			s.mu.Unlock()
			return nil, fault.NotFound("No such image: %s", image)
		}
		if img.Damaged != nil {
			s.mu.Unlock()
			return nil, img.Damaged
		}
		e.chain = img.Top
	}
	s.holdLocked(e.chain)
	s.rw[id] = e // taken; Writable says so only when the folder is there
	s.mu.Unlock()
	w, err := s.makeWritable(id, e)
	if err != nil {
		s.mu.Lock()
		delete(s.rw, id)
		s.mu.Unlock()
		_, rerr := s.releaseLayers(e.chain)
		return nil, errors.Join(fmt.Errorf("make writable layer: %w", err), rerr)
	}
	return w, nil
}

func validID(id string) bool {
	return id != "" && len(id) <= 128 && id[0] != '.' && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
}

func (s *Store) makeWritable(id string, e *rwEntry) (w *Writable, err error) {
	dir := filepath.Join(s.root, rwDir, id)
	tmp := filepath.Join(s.root, rwDir, "."+id)
	if w, err = s.describe(id, e); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return nil, err
	}
	if err := s.fillWritable(tmp, w); err != nil {
		return nil, err
	}
	if err := os.Symlink(linkTarget(e.image, e.chain), filepath.Join(tmp, rwLink)); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	return w, nil
}

// fillWritable makes the directories that are not there in a writable layer's folder.
func (s *Store) fillWritable(dir string, w *Writable) error {
	for _, sub := range []string{rwWork, rwTarget} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	upper := filepath.Join(dir, rwUpper)
	if err := os.Mkdir(upper, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	// The merged root is the upper's: it must look as the image's root does.
	root := w.Lower[len(w.Lower)-1]
	if len(w.Lower) > 1 {
		root = w.Lower[1]
	}
	return layer.CopyDirAttributes(upper, root)
}

func (s *Store) describe(id string, e *rwEntry) (*Writable, error) {
	dirs, err := s.chainDirs(e.chain)
	if err != nil {
		return nil, err
	}
	first, err := s.initLayer(e.chain, dirs)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.root, rwDir, id)
	return &Writable{
		ID:      id,
		Image:   e.image,
		Lower:   append([]string{first}, dirs...),
		Upper:   filepath.Join(dir, rwUpper),
		Work:    filepath.Join(dir, rwWork),
		Target:  filepath.Join(dir, rwTarget),
		Created: e.created,
	}, nil
}

// Writable returns the writable layer of container id. It also works right
// after a crash: the directories are made again if the file system lost them.
func (s *Store) Writable(id string) (*Writable, error) {
	s.mu.RLock()
	e := s.rw[id]
	s.mu.RUnlock()
	if e == nil {
		return nil, fault.NotFound("container %s has no writable layer", short(id))
	}
	w, err := s.describe(id, e)
	if err != nil {
		return nil, err
	}
	if err := s.fillWritable(filepath.Dir(w.Upper), w); err != nil {
		return nil, fmt.Errorf("open writable layer: %w", err)
	}
	return w, nil
}

// Writables returns the ids of all writable layers, sorted; the engine removes
// those whose container it does not know.
func (s *Store) Writables() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []string
	for id := range s.rw {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// RemoveWritable removes the writable layer of container id, which must not
// be mounted (a mount on Target in this mount namespace is taken away).
// Removing one that is not there is no error. What the container wrote is
// removed in the background; the call takes the same time however much it is.
func (s *Store) RemoveWritable(id string) error {
	s.mu.RLock()
	e := s.rw[id]
	s.mu.RUnlock()
	if e == nil {
		return nil
	}
	dir := filepath.Join(s.root, rwDir, id)
	if err := overlay.Unmount(filepath.Join(dir, rwTarget)); err != nil {
		return fmt.Errorf("remove writable layer: %w", err)
	}
	if err := s.trash.add(dir); err != nil {
		return fmt.Errorf("remove writable layer: %w", err)
	}
	s.mu.Lock()
	again := s.rw[id] != e // by another caller
	if !again {
		delete(s.rw, id)
	}
	s.mu.Unlock()
	if again {
		return nil
	}
	_, err := s.releaseLayers(e.chain)
	return err
}

// readWritables finds the writable layers that are on disk.
func (s *Store) readWritables() error {
	entries, err := os.ReadDir(filepath.Join(s.root, rwDir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // half made
		}
		link := filepath.Join(s.root, rwDir, e.Name(), rwLink)
		target, err := os.Readlink(link)
		image, chain, ok := strings.Cut(target, " ") // nothing, if there is an error
		if errors.Is(err, os.ErrNotExist) {
			image, chain, ok = s.linkWritable(e.Name(), link)
		}
		if !ok {
			if err == nil {
				err = fmt.Errorf("its link to the image leads to %q", target)
			}
			s.unreadWritable(e.Name(), err)
			continue
		}
		entry := &rwEntry{image: digest.Digest(image), chain: digest.Digest(chain)}
		if st, err := os.Lstat(link); err == nil {
			entry.created = st.ModTime()
		}
		s.rw[e.Name()] = entry
		s.holdLocked(entry.chain)
	}
	return nil
}

// linkWritable makes the link of a writable layer again that lacks it.
func (s *Store) linkWritable(id, link string) (image, chain string, ok bool) {
	if s.imageOf == nil {
		return "", "", false
	}
	img := s.images[s.imageOf(id)]
	if img == nil {
		return "", "", false
	}
	image, chain = img.ID.String(), img.Top.String()
	if s.readOnly || s.condition.ReadOnly {
		return image, chain, true
	}
	if err := os.Symlink(linkTarget(img.ID, img.Top), link); err != nil {
		s.log.Error("image store: link a writable layer to its image", "name", id, "error", err)
		return "", "", false
	}
	s.log.Info("image store: a writable layer had lost its link to the image", "name", id, "image", image)
	return image, chain, true
}

// linkTarget is where a writable layer's link leads, which says what it stands on.
func linkTarget(image, chain digest.Digest) string { return image.String() + " " + chain.String() }

// unreadWritable notes a writable layer whose image nobody knows, if there is
// anything in it that somebody may want back.
func (s *Store) unreadWritable(id string, err error) {
	s.log.Error("image store: folder is no writable layer", "name", id, "error", err)
	upper := filepath.Join(s.root, rwDir, id, rwUpper)
	if files, rerr := os.ReadDir(upper); rerr != nil || len(files) == 0 {
		return
	}
	s.unread = append(s.unread, Finding{Kind: Container, Name: id, Err: fmt.Errorf("%w; its files are in %s", err, upper)})
}

// WritableSize returns the file bytes in the upper directory (SizeRw).
func (s *Store) WritableSize(ctx context.Context, id string) (int64, error) {
	w, err := s.Writable(id)
	if err != nil {
		return 0, err
	}
	return layer.Usage(ctx, w.Upper)
}

// Change is one line of GET /containers/(id)/changes.
type Change = layer.Change

// Changes lists what the container changed, sorted by path. It costs as much
// as the changes, not as the image. The tree may be mounted.
func (s *Store) Changes(ctx context.Context, id string) ([]Change, error) {
	w, err := s.Writable(id)
	if err != nil {
		return nil, err
	}
	return layer.Changes(ctx, w.Upper, w.Lower)
}
