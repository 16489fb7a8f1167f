package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// ErrUnfit is in the error of Adopt when the upper directory is none that can be a
// layer as it is: PackDiff and Unpack would make something else of it, or refuse it.
var ErrUnfit = errors.New("the directory cannot be a layer as it is")

// Adopt makes a layer of the upper directory of an overlay mount, in the existing,
// empty folder dir: the same that Unpack makes of what PackDiff writes. The files
// are read once, for the digest and the recipe, and are not written again: the
// directory itself becomes dir/diff. It must be on dir's file system, and nobody may
// use it any more. Without a change in it the result is nil. After an error the caller
// removes dir; with ErrUnfit the upper directory is still whole.
func Adopt(ctx context.Context, dir, upper string, lim Limits) (res *Result, err error) {
	out, err := os.OpenFile(filepath.Join(dir, recipeFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("adopt layer: %w", err)
	}
	defer out.Close()
	a := &adoption{ctx: ctx, lim: lim, sum: newHasher()}
	defer a.sum.close()
	if a.recipe, err = newRecipeWriter(out); err != nil {
		return nil, fmt.Errorf("adopt layer: %w", err)
	}
	changed, err := a.run(ctx, upper)
	if err = errors.Join(err, a.recipe.close(err == nil)); err != nil {
		return nil, fmt.Errorf("adopt layer: %w", err)
	}
	if !changed {
		return nil, nil
	}
	if err := unix.Rename(upper, filepath.Join(dir, DiffDir)); err != nil {
		if err == unix.EXDEV {
			err = ErrUnfit
		}
		return nil, fmt.Errorf("adopt layer: %w", err)
	}
	// The tar has every folder but the root.
	return &Result{DiffID: a.sum.digest(), TarSize: a.size, Size: a.files, Implied: []string{""}}, nil
}

// adoption is where a packer writes a tar of which only digest and recipe are wanted.
type adoption struct {
	ctx     context.Context
	lim     Limits
	sum     *hasher
	recipe  *recipeWriter
	pending []byte // of the recipe
	entries int64
	size    int64 // of the tar
	files   int64 // bytes in files
	inFile  bool  // what is written is a file's content
	crc     uint32
}

func (a *adoption) run(ctx context.Context, upper string) (changed bool, err error) {
	p := &packer{tw: tar.NewWriter(a), links: map[inode]string{}, copy: make([]byte, chunkSize), content: a.content}
	err = walkPath(ctx, upper, func(n *node) error {
		if err := a.look(n); err != nil {
			return err
		}
		if n.path == "" {
			return nil
		}
		changed = true
		return p.diff(n)
	})
	if err != nil {
		return changed, err
	}
	if err := p.tw.Close(); err != nil {
		return changed, err
	}
	if err := a.flush(); err != nil {
		return changed, err
	}
	// The root belongs to what lies below; Settle gives it back its attributes.
	return changed, errors.Join(unix.Lchown(upper, 0, 0), unix.Chmod(upper, 0o755))
}

// look refuses what a layer cannot have, and takes off what overlayfs noted for itself.
func (a *adoption) look(n *node) error {
	a.entries += 2 // a folder may have a marker
	kind := n.st.Mode & unix.S_IFMT
	switch {
	case n.path != "" && strings.HasPrefix(n.name, whiteoutPrefix), // it would come back as a whiteout
		kind == unix.S_IFSOCK, // no tar has one
		strings.Count(n.path, "/") >= maxDepth,
		a.entries > a.lim.Entries:
		return ErrUnfit
	case isWhiteout(&n.st):
		return nil
	case kind != unix.S_IFREG && kind != unix.S_IFDIR && n.st.Nlink > 1: // the tar has links of files only
		return ErrUnfit
	}
	names, err := n.xattrs()
	if err != nil {
		return err
	}
	for _, name := range names {
		switch {
		case name == selinuxXattr:
		case n.path == "", strings.HasPrefix(name, overlayXattrs) && (name != opaqueXattr || !isDir(&n.st) || !isOpaque(n.dir, n.name)):
			if err := unix.Lremovexattr(fdPath(n.dir, n.name), name); err != nil {
				return &os.PathError{Op: "removexattr " + name, Path: n.path, Err: err}
			}
		case name == opaqueXattr:
		case !xattrAllowed(name), strings.ContainsAny(name, "=\x00"):
			return ErrUnfit
		}
	}
	return nil
}

// content is told of a file's content: write writes it to the tar.
func (a *adoption) content(n *node, size int64, write func() (whole bool, err error)) error {
	if a.files += size; a.files > a.lim.Bytes {
		return ErrUnfit
	}
	if err := a.flush(); err != nil {
		return err
	}
	a.inFile, a.crc = true, 0
	whole, err := write()
	a.inFile = false
	if err != nil {
		return err
	}
	if !whole { // somebody is writing to it
		return ErrUnfit
	}
	return a.recipe.file(n.path, size, a.crc)
}

// Write takes the tar's bytes.
func (a *adoption) Write(b []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	if a.size += int64(len(b)); a.size > a.lim.Bytes {
		return 0, ErrUnfit
	}
	a.sum.write(b)
	if a.inFile {
		a.crc = crc32.Update(a.crc, castagnoli, b)
		return len(b), nil
	}
	if a.pending = append(a.pending, b...); len(a.pending) >= chunkSize {
		if err := a.flush(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (a *adoption) flush() error {
	err := a.recipe.bytes(a.pending)
	a.pending = a.pending[:0]
	return err
}

// hasher sums up in a goroutine of its own what another one reads.
type hasher struct {
	sum    hash.Hash
	cur    []byte
	chunks chan []byte
	free   chan []byte
	ended  sync.WaitGroup
	close  func()
}

func newHasher() *hasher {
	h := &hasher{sum: sha256.New(), chunks: make(chan []byte, 3), free: make(chan []byte, 4)}
	for range cap(h.free) {
		h.free <- nil // made when it is needed: most layers are small
	}
	h.close = sync.OnceFunc(func() {
		close(h.chunks)
		h.ended.Wait()
	})
	h.ended.Go(func() {
		for b := range h.chunks {
			h.sum.Write(b)
			h.free <- b[:0]
		}
	})
	return h
}

func (h *hasher) write(b []byte) {
	for len(b) > 0 {
		if h.cur == nil {
			if h.cur = <-h.free; h.cur == nil {
				h.cur = make([]byte, 0, chunkSize)
			}
		}
		n := min(len(b), chunkSize-len(h.cur))
		h.cur = append(h.cur, b[:n]...)
		if b = b[n:]; len(h.cur) == chunkSize {
			h.chunks <- h.cur
			h.cur = nil
		}
	}
}

// digest ends the hasher.
func (h *hasher) digest() digest.Digest {
	if h.cur != nil {
		h.chunks <- h.cur
		h.cur = nil
	}
	h.close()
	return digest.NewDigest(digest.SHA256, h.sum)
}
