package build

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// shareFrom is the size from which a file of the context is given to the image
// instead of being copied: below it a copy costs less than the calls.
const shareFrom = 1 << 20

// sharing gives files of the build's context to a layer. The context is the
// build's own and goes away with it, so the file that was written when it came in
// can be the layer's file: it gets a second name there, once nobody looks at the
// layer through overlayfs any more. Each file is given once. A second copy of it
// is a copy, because the files of two layers have nothing in common.
type sharing struct {
	from *tree
	// files are the paths in the context by those in the layer, where an empty
	// file keeps the place.
	files map[string]string
}

// forget is told of what has been removed.
func (s *sharing) forget(removed string) {
	if s == nil {
		return
	}
	for at := range s.files {
		if at == removed || strings.HasPrefix(at, removed+"/") {
			delete(s.files, at)
		}
	}
}

// shares says whether a copy would be the file itself: large, with one name, of
// the right owner and permissions.
func (c *copier) shares(in *tree, info fs.FileInfo, st *syscall.Stat_t) bool {
	return c.sharing != nil && in == c.sharing.from && info.Size() >= shareFrom && st.Nlink == 1 &&
		c.owner == owner{int(st.Uid), int(st.Gid)} && c.mode == nil
}

// share keeps the place of a file.
func (c *copier) share(from, to string, info fs.FileInfo) error {
	for _, taken := range c.sharing.files {
		if taken == from {
			return c.file(c.sharing.from, from, to, info)
		}
	}
	w, err := c.to.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if c.sharing.files == nil {
		c.sharing.files = map[string]string{}
	}
	c.sharing.files[to] = from
	return w.Close()
}

// putIn puts the files in their places in a layer. Where the context cannot share
// with the layer (another file system) they are copied.
func (s *session) putIn(shared *sharing, id string) error {
	if shared == nil || len(shared.files) == 0 {
		return nil
	}
	w, err := s.Images.Writable(id)
	if err != nil {
		return err
	}
	upper, err := openTree(w.Upper)
	if err != nil {
		return fault.Internal("open the layer: %w", err)
	}
	defer upper.Close()
	for to, from := range shared.files {
		if err := shared.put(upper, from, to); err != nil {
			return fault.Internal("put /%s into the layer: %w", to, err)
		}
	}
	return nil
}

func (s *sharing) put(upper *tree, from, to string) error {
	source, err := s.from.Open(path.Dir(from))
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := upper.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer target.Close()
	info, err := s.from.Lstat(from)
	if err != nil {
		return err
	}
	// The directory's time is that of the last file in it that was copied.
	dir, err := target.Stat()
	if err != nil {
		return err
	}
	if err := upper.Remove(to); err != nil {
		return err
	}
	err = unix.Linkat(int(source.Fd()), path.Base(from), int(target.Fd()), path.Base(to), 0)
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) {
		c := copier{to: upper, owner: owner{}}
		err = c.file(s.from, from, to, info)
	}
	if err != nil {
		return err
	}
	return upper.Chtimes(path.Dir(to), dir.ModTime(), dir.ModTime())
}
