package build

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// whiteoutPrefix begins the names by which a layer's tar deletes files
// (image-spec, layer.md). No file of an image can have such a name.
const whiteoutPrefix = ".wh."

// extraction puts the entries of a tar below a directory of a tree.
type extraction struct {
	to *tree
	// below is the directory, without links.
	below string
	// keepOwner leaves files to those the archive names, else they are root's.
	keepOwner bool
	// devices says whether device files and pipes may be made.
	devices bool
	limits  Limits

	bytes   int64
	entries int
	dirs    []dirTime
	// The last entry's directory as the archive writes it, and without links:
	// most entries lie where the one before does. Empty after a removal, which
	// may have been of a directory on the way.
	parent, resolved string
	// dir is that directory, opened for the first file in it; nil before.
	dir *os.Root
}

// dirTime is a directory whose time is set when everything is in it.
type dirTime struct {
	path string
	at   time.Time
}

// extract reads the tar r to its end.
func (x *extraction) extract(ctx context.Context, r io.Reader) error {
	defer x.leave()
	t := tar.NewReader(&contextReader{ctx, r})
	for {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return archiveFault(ctx, err)
		}
		if err := x.entry(h, t); err != nil {
			return archiveFault(ctx, err)
		}
	}
	for i := len(x.dirs) - 1; i >= 0; i-- {
		d := x.dirs[i]
		if err := x.to.Chtimes(d.path, d.at, d.at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// What follows the end of the archive (padding) is read, so that a client
	// that is still sending is not cut off.
	_, err := io.Copy(io.Discard, &contextReader{ctx, r})
	return archiveFault(ctx, err)
}

// archiveFault tells the client's mistakes from the machine's.
func archiveFault(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrFieldTooLong):
		return fault.Invalid("the archive is damaged: %w", err)
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
		return fault.Invalid("the archive cannot be unpacked: %w", err)
	}
	return err
}

func (x *extraction) entry(h *tar.Header, body io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if x.entries++; x.entries > x.limits.ContextEntries {
		return fault.Invalid("the archive has more than %d entries", x.limits.ContextEntries)
	}
	if x.bytes += h.Size; h.Size < 0 || x.bytes > x.limits.ContextBytes {
		return fault.Invalid("the archive has more than %d bytes", x.limits.ContextBytes)
	}
	// As it is written, without regard to links: "a/../b" is b.
	if rel := path.Clean(h.Name); rel == ".." || strings.HasPrefix(rel, "../") {
		return fault.Invalid("the archive's entry %q leads out of it", h.Name)
	}
	for part := range strings.SplitSeq(h.Name, "/") {
		if strings.HasPrefix(part, whiteoutPrefix) {
			return fault.Invalid("the archive's entry %q has a name that layers use to delete files", h.Name)
		}
	}
	who := owner{}
	if x.keepOwner {
		who = owner{h.Uid, h.Gid}
	}
	name := path.Clean("/" + h.Name)
	if name == "/" {
		if h.Typeflag != tar.TypeDir {
			return fault.Invalid("the archive's entry %q is no directory", h.Name)
		}
		return nil
	}
	parent, err := x.enter(path.Dir(name))
	if err != nil {
		return err
	}
	if isRegular(h.Typeflag) {
		// Most are files where nothing is.
		if err := x.file(path.Base(name), h, body, who); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	at := path.Join(parent, path.Base(name))
	if info, err := x.to.Lstat(at); err == nil {
		if info.IsDir() && h.Typeflag == tar.TypeDir {
			return x.finish(at, h, who)
		}
		x.leave()
		if err := x.to.RemoveAll(at); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if isRegular(h.Typeflag) {
		if _, err := x.enter(path.Dir(name)); err != nil {
			return err
		}
		return x.file(path.Base(name), h, body, who)
	}
	if err := x.make(at, parent, h); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return nil // it is the other name's file
	}
	return x.finish(at, h, who)
}

// enter makes a directory of the archive if it is not there, and gives its path
// without links.
func (x *extraction) enter(dir string) (string, error) {
	if dir == x.parent {
		return x.resolved, nil
	}
	x.leave()
	at, err := x.to.resolve(path.Join(x.below, dir), true)
	if err != nil {
		return "", err
	}
	if err := x.to.makeDirs(at, owner{}); err != nil {
		return "", err
	}
	x.parent, x.resolved = dir, at
	return at, nil
}

// leave forgets the last entry's directory.
func (x *extraction) leave() {
	if x.dir != nil {
		x.dir.Close()
	}
	x.parent, x.dir = "", nil
}

func isRegular(kind byte) bool {
	switch kind {
	case tar.TypeReg, '\x00', tar.TypeGNUSparse, tar.TypeCont:
		return true
	}
	return false
}

// file makes a file in the last entry's directory, with as few steps as there can
// be. If something is there it is fs.ErrExist, and body is not read.
func (x *extraction) file(name string, h *tar.Header, body io.Reader, who owner) (err error) {
	if x.dir == nil {
		if x.dir, err = x.to.OpenRoot(x.resolved); err != nil {
			return err
		}
	}
	f, err := x.dir.OpenFile(name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, body); err == nil {
		err = setAll(int(f.Fd()), h, who)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return x.dir.Chtimes(name, h.ModTime, h.ModTime)
}

// setAll gives an open file all but its time, in the order in which none undoes
// another.
func setAll(fd int, h *tar.Header, who owner) error {
	if err := setAttributes(fd, h.PAXRecords); err != nil {
		return err
	}
	if err := unix.Fchown(fd, who.uid, who.gid); err != nil {
		return os.NewSyscallError("fchown", err)
	}
	if err := unix.Fchmod(fd, uint32(h.Mode&0o7777)); err != nil {
		return os.NewSyscallError("fchmod", err)
	}
	if value := h.PAXRecords[paxXattr+capabilityXattr]; value != "" {
		return os.NewSyscallError("fsetxattr", unix.Fsetxattr(fd, capabilityXattr, []byte(value), 0))
	}
	return nil
}

// make makes what is no file; finish gives it its attributes.
func (x *extraction) make(at, parent string, h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return x.to.Mkdir(at, 0o755)
	case tar.TypeSymlink:
		return x.to.Symlink(h.Linkname, at)
	case tar.TypeLink:
		dir, err := x.to.resolve(path.Join(x.below, path.Dir(path.Clean("/"+h.Linkname))), true)
		if err != nil {
			return err
		}
		return x.to.Link(path.Join(dir, path.Base(h.Linkname)), at)
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		if !x.devices {
			return fault.Invalid("the archive's entry %q is a device or a pipe, which a build context cannot have", h.Name)
		}
		return x.makeDevice(at, parent, h)
	}
	return fault.Invalid("the archive's entry %q is of the unknown type %q", h.Name, h.Typeflag)
}

func (x *extraction) makeDevice(at, parent string, h *tar.Header) error {
	kind := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[h.Typeflag]
	if kind == unix.S_IFCHR && h.Devmajor == 0 && h.Devminor == 0 {
		return fault.Invalid("the archive's entry %q is the device by which overlayfs deletes files", h.Name)
	}
	dir, err := x.to.Open(parent)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Mknodat(int(dir.Fd()), path.Base(at), kind|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
}

// finish sets owner, mode and time, in the order in which none undoes another.
func (x *extraction) finish(at string, h *tar.Header, who owner) error {
	if err := x.to.Lchown(at, who.uid, who.gid); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return x.to.setLinkTime(at, h.ModTime)
	}
	mode := h.FileInfo().Mode()
	if err := x.to.Chmod(at, mode.Perm()|mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		x.dirs = append(x.dirs, dirTime{at, h.ModTime})
		return nil
	}
	return x.to.Chtimes(at, h.ModTime, h.ModTime)
}

const (
	paxXattr        = "SCHILY.xattr."
	capabilityXattr = "security.capability"
	userXattr       = "user."
)

// setAttributes sets the extended attributes of an archive's entry that a
// client may set: those of namespace user.
func setAttributes(fd int, pax map[string]string) error {
	for key, value := range pax {
		name, ok := strings.CutPrefix(key, paxXattr)
		if !ok || !strings.HasPrefix(name, userXattr) {
			continue
		}
		if err := unix.Fsetxattr(fd, name, []byte(value), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	return nil
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
