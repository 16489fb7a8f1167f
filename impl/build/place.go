package build

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// copier puts files into the tree of an image.
type copier struct {
	ctx   context.Context
	to    *tree
	owner owner
	// mode replaces the permissions of what is copied; nil leaves them.
	mode   *fs.FileMode
	limits Limits
	// links are the files with several names that have been copied.
	links map[inode]string
	// sharing gives files of the context to the image; nil for never.
	sharing *sharing
}

// inode is a file whatever it is called.
type inode struct{ dev, ino uint64 }

// place copies a source to dest, an absolute path: the content of a directory or
// archive into the directory dest, a file into dest if that is a directory or
// ends in a slash, and else as dest.
func (c *copier) place(src source, dest string) error {
	at, info, err := c.to.stat(dest)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.links = map[inode]string{}
	if src.info.IsDir() || src.unpack {
		if exists && !info.IsDir() {
			return fault.Invalid("cannot copy to non-directory: %s", dest)
		}
		who := c.owner
		if src.unpack {
			who = owner{} // what an archive is unpacked into is root's, like what it names none for
		}
		if err := c.to.makeDirs(at, who); err != nil {
			return err
		}
		if src.unpack {
			return c.unpack(src, at)
		}
		return c.content(src.in, src.path, at, false)
	}
	if strings.HasSuffix(dest, "/") || exists && info.IsDir() {
		at = path.Join(at, src.name)
	}
	if err := c.to.makeDirs(path.Dir(at), c.owner); err != nil {
		return err
	}
	if info, err := c.to.Lstat(at); err == nil && info.IsDir() {
		return fault.Invalid("cannot copy a file over the directory /%s", at)
	}
	return c.copy(src.in, src.path, at, src.info, false)
}

// content copies what is in a directory. fresh says that nothing is in the one that
// it goes to.
func (c *copier) content(in *tree, from, to string, fresh bool) error {
	entries, err := fs.ReadDir(in.FS(), from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := c.copy(in, path.Join(from, e.Name()), path.Join(to, e.Name()), info, fresh); err != nil {
			return err
		}
	}
	return nil
}

// copy copies a file or a directory with everything in it to a path without
// links. What is there is replaced, but for a directory by a directory; fresh says
// that nothing is.
func (c *copier) copy(in *tree, from, to string, info fs.FileInfo, fresh bool) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if strings.HasPrefix(path.Base(to), whiteoutPrefix) {
		return fault.Invalid("%s has a name that layers use to delete files", from)
	}
	var there fs.FileInfo
	err := fs.ErrNotExist
	if !fresh {
		there, err = c.to.Lstat(to)
	}
	switch {
	case err == nil && there.IsDir() && info.IsDir():
	case err == nil:
		if err := c.to.RemoveAll(to); err != nil {
			return err
		}
		c.sharing.forget(to, there)
		there = nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		c.sharing.forget(to, nil)
	}
	st, _ := info.Sys().(*syscall.Stat_t)
	switch kind := info.Mode().Type(); kind {
	case fs.ModeDir:
		if there == nil {
			if err := c.to.Mkdir(to, 0o755); err != nil {
				return err
			}
		}
		if err := c.content(in, from, to, there == nil); err != nil {
			return err
		}
		c.sharing.changed(to)
		return c.attributes(to, info)
	case fs.ModeSymlink:
		target, err := in.Readlink(from)
		if err != nil {
			return err
		}
		return errors.Join(c.to.Symlink(target, to), c.to.Lchown(to, c.owner.uid, c.owner.gid), c.to.setLinkTime(to, info.ModTime()))
	case fs.ModeSocket:
		return nil // nobody listens at a copy
	case 0:
		if shared, err := c.share(in, from, to, info); shared || err != nil {
			return err
		}
		id := inode{uint64(st.Dev), st.Ino}
		if first := c.links[id]; first != "" {
			return c.to.Link(first, to)
		}
		if err := c.file(in, from, to, info); err != nil {
			return err
		}
		if st.Nlink > 1 {
			c.links[id] = to
		}
		return nil
	default:
		return c.device(to, info, st)
	}
}

func (c *copier) device(to string, info fs.FileInfo, st *syscall.Stat_t) error {
	dir, err := c.to.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Mknodat(int(dir.Fd()), path.Base(to), st.Mode, int(st.Rdev)); err != nil {
		return &os.PathError{Op: "mknod", Path: to, Err: err}
	}
	return c.attributes(to, info)
}

// copyPiece is the number of bytes after which a copy looks whether anybody
// still wants it.
const copyPiece = 64 << 20

func (c *copier) file(in *tree, from, to string, info fs.FileInfo) (err error) {
	r, err := in.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := c.to.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for {
		_, err := io.CopyN(w, r, copyPiece)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
	}
	if err := c.attributes(to, info); err != nil {
		return err
	}
	return copyXattrs(int(w.Fd()), int(r.Fd()))
}

// attributes gives a copy its owner, permissions and time, in the order in which
// none undoes another.
func (c *copier) attributes(at string, info fs.FileInfo) error {
	mode := info.Mode().Perm() | info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)
	if c.mode != nil {
		mode = *c.mode
	}
	return errors.Join(
		c.to.Lchown(at, c.owner.uid, c.owner.gid),
		c.to.Chmod(at, mode),
		c.to.Chtimes(at, info.ModTime(), info.ModTime()),
	)
}

// copyXattrs copies the attributes that layers keep: the user's and capabilities.
func copyXattrs(to, from int) error {
	var names [64 << 10]byte
	n, err := unix.Flistxattr(from, names[:])
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return nil
		}
		return os.NewSyscallError("listxattr", err)
	}
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if name != capabilityXattr && !strings.HasPrefix(name, userXattr) {
			continue
		}
		var value [64 << 10]byte
		n, err := unix.Fgetxattr(from, name, value[:])
		if err != nil {
			return os.NewSyscallError("getxattr", err)
		}
		if err := unix.Fsetxattr(to, name, value[:n], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return os.NewSyscallError("setxattr", err)
		}
	}
	return nil
}

// unpack unpacks an archive of the context.
func (c *copier) unpack(src source, at string) error {
	f, err := src.in.Open(src.path)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := layer.Decompress(c.ctx, f)
	if err != nil {
		return err
	}
	defer plain.Close()
	x := extraction{to: c.to, below: at, keepOwner: true, devices: true, limits: c.limits}
	return x.extract(c.ctx, bufio.NewReaderSize(plain, 256<<10))
}
