package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// make creates one file, folder, link or node at (fd, base); p is its real path.
func (u *unpacker) make(fd int, p, base string, hdr *tar.Header, body io.Reader, rec *recorder) error {
	if base == "" { // the root itself
		if hdr.Typeflag != tar.TypeDir {
			return fault.Invalid("the root must be a folder")
		}
		u.implied[""] = false
		return u.attributes(fd, ".", "", hdr)
	}
	create := func() error { return u.create(fd, base, p, hdr, body, rec) }
	err := create()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: p, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR && hdr.Typeflag == tar.TypeDir {
		u.implied[p] = false // both are folders: the later attributes count
		return u.attributes(fd, base, p, hdr)
	}
	whiteout := st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
	if err := u.clear(fd, base, p, &st); err != nil {
		return err
	}
	if err := create(); err != nil {
		return err
	}
	if whiteout && hdr.Typeflag == tar.TypeDir {
		// Deleted and made again in one layer: nothing below shines through.
		return setOpaque(fd, base)
	}
	return nil
}

func (u *unpacker) create(fd int, base, p string, hdr *tar.Header, body io.Reader, rec *recorder) error {
	var err error
	mode := uint32(hdr.Mode & 0o7777)
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return u.file(fd, base, p, hdr, body, rec)
	case tar.TypeDir:
		err = unix.Mkdirat(fd, base, 0o700)
	case tar.TypeSymlink:
		err = unix.Symlinkat(hdr.Linkname, fd, base)
	case tar.TypeLink:
		return u.link(fd, base, p, hdr)
	case tar.TypeFifo:
		err = unix.Mknodat(fd, base, unix.S_IFIFO|mode, 0)
	case tar.TypeChar, tar.TypeBlock:
		kind := uint32(unix.S_IFCHR)
		if hdr.Typeflag == tar.TypeBlock {
			kind = unix.S_IFBLK
		}
		const maxMajor, maxMinor = 1<<12 - 1, 1<<20 - 1 // include/linux/kdev_t.h
		if hdr.Devmajor < 0 || hdr.Devmajor > maxMajor || hdr.Devminor < 0 || hdr.Devminor > maxMinor {
			return fault.Invalid("device number %d:%d out of range", hdr.Devmajor, hdr.Devminor)
		}
		err = unix.Mknodat(fd, base, kind|mode, int(unix.Mkdev(uint32(hdr.Devmajor), uint32(hdr.Devminor))))
	default:
		return fault.Invalid("unknown entry type %q", hdr.Typeflag)
	}
	if err != nil {
		return &os.PathError{Op: "create", Path: p, Err: err}
	}
	return u.attributes(fd, base, p, hdr)
}

// file writes a regular file. Its contents are not in the recipe, unless the
// entry is sparse: then the tar's bytes are not the file's.
func (u *unpacker) file(fd int, base, p string, hdr *tar.Header, body io.Reader, rec *recorder) error {
	out, err := unix.Openat(fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: p, Err: err}
	}
	defer unix.Close(out)
	sparse := isSparse(hdr)
	if !sparse && hdr.Size > 0 {
		if err := rec.flush(); err != nil {
			return err
		}
		rec.payload = true
		defer func() { rec.payload = false }()
	}
	n, crc, err := u.copy(out, body, hdr.Size)
	if err != nil {
		return err
	}
	if n != hdr.Size {
		return fault.Invalid("%d bytes instead of %d: %w", n, hdr.Size, io.ErrUnexpectedEOF)
	}
	u.res.Size += n
	if rec.payload {
		if err := u.recipe.file(p, n, crc); err != nil {
			return err
		}
	}
	if err := unix.Fchown(out, hdr.Uid, hdr.Gid); err != nil {
		return &os.PathError{Op: "chown", Path: p, Err: err}
	}
	if err := unix.Fchmod(out, uint32(hdr.Mode&0o7777)); err != nil {
		return &os.PathError{Op: "chmod", Path: p, Err: err}
	}
	if err := xattrs(fd, base, p, hdr); err != nil {
		return err
	}
	return utimes(fd, base, timespecs(hdr))
}

func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// copy writes body to the file and leaves holes where it is zero, so that
// a bomb of zeros costs no space.
func (u *unpacker) copy(fd int, body io.Reader, size int64) (n int64, crc uint32, err error) {
	zeros := zeroChunk[:]
	hole := false
	for n < size {
		m, rerr := body.Read(u.buf[:min(int64(len(u.buf)), size-n)])
		b := u.buf[:m]
		crc = crc32.Update(crc, castagnoli, b)
		// Short runs of zeros are written: holes would only cost extents.
		if hole = m >= 4096 && b[0] == 0 && bytes.Equal(b, zeros[:m]); !hole {
			for off := n; len(b) > 0; {
				w, werr := unix.Pwrite(fd, b, off)
				if werr == unix.EINTR {
					continue
				}
				if werr != nil {
					return n, crc, fmt.Errorf("write: %w", werr)
				}
				b, off = b[w:], off+int64(w)
			}
		}
		n += int64(m)
		if rerr == io.EOF {
			break
		}
		if rerr != nil {
			return n, crc, rerr
		}
	}
	if hole {
		if err := unix.Ftruncate(fd, n); err != nil {
			return n, crc, fmt.Errorf("truncate: %w", err)
		}
	}
	return n, crc, nil
}

var zeroChunk [chunkSize]byte

// link makes a hard link inside the layer, or notes it for Settle.
func (u *unpacker) link(fd int, base, p string, hdr *tar.Header) error {
	target, err := clean(hdr.Linkname)
	if err != nil {
		return err
	}
	if target == "" {
		return fault.Invalid("hard link to the root")
	}
	if file, ok := u.plnk[target]; ok { // AUFS kept the contents of links apart
		if err := unix.Linkat(unix.AT_FDCWD, file, fd, base, 0); err != nil {
			return &os.PathError{Op: "link", Path: p, Err: err}
		}
		return nil
	}
	parent, tbase := path.Split(target)
	if strings.HasPrefix(tbase, whiteoutPrefix) {
		return fault.Invalid("hard link to a whiteout")
	}
	tfd, _, err := u.targets.enter(strings.TrimSuffix(parent, "/"), false, nil)
	if err == nil {
		err = unix.Linkat(tfd, tbase, fd, base, 0)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		u.res.Links = append(u.res.Links, Link{Path: p, Target: target})
		return nil
	case errors.Is(err, unix.EEXIST):
		return &os.PathError{Op: "link", Path: p, Err: err}
	case errors.Is(err, unix.EPERM):
		return fault.Invalid("hard link to %q, which is no file", hdr.Linkname)
	default:
		return fmt.Errorf("link to %q: %w", hdr.Linkname, err)
	}
}

// attributes sets owner, mode, extended attributes and times of anything but
// regular files; folders get their times at the end.
func (u *unpacker) attributes(fd int, base, p string, hdr *tar.Header) error {
	if err := unix.Fchownat(fd, base, hdr.Uid, hdr.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "chown", Path: p, Err: err}
	}
	if hdr.Typeflag != tar.TypeSymlink {
		// (fd, base) was made or checked by us: it is no link.
		if err := unix.Fchmodat(fd, base, uint32(hdr.Mode&0o7777), 0); err != nil {
			return &os.PathError{Op: "chmod", Path: p, Err: err}
		}
	}
	if err := xattrs(fd, base, p, hdr); err != nil {
		return err
	}
	if hdr.Typeflag == tar.TypeDir {
		u.times = append(u.times, dirTime{p, timespecs(hdr)})
		return nil
	}
	return utimes(fd, base, timespecs(hdr))
}

const paxXattr = "SCHILY.xattr."

func xattrs(fd int, base, p string, hdr *tar.Header) error {
	for key, value := range hdr.PAXRecords {
		name, ok := strings.CutPrefix(key, paxXattr)
		if !ok || !xattrAllowed(name) {
			continue
		}
		err := unix.Lsetxattr(fdPath(fd, base), name, []byte(value), 0)
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOTSUP):
		case errors.Is(err, unix.EPERM) && strings.HasPrefix(name, "user."):
			// user.* exists on files and folders only (xattr(7)).
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE), errors.Is(err, unix.E2BIG):
			return fault.Invalid("extended attribute %q: %w", name, err)
		default:
			return &os.PathError{Op: "setxattr " + name, Path: p, Err: err}
		}
	}
	return nil
}

// xattrAllowed keeps out what overlayfs takes orders from. Nothing in a
// container can read trusted.* without CAP_SYS_ADMIN of the host.
func xattrAllowed(name string) bool {
	return !strings.HasPrefix(name, "trusted.") && !strings.HasPrefix(name, "user.overlay.")
}

// fdPath names (fd, base) for calls that take no descriptor.
func fdPath(fd int, base string) string {
	return filepath.Join("/proc/self/fd", fmt.Sprint(fd)) + "/" + base
}

func timespecs(hdr *tar.Header) []unix.Timespec {
	access := hdr.AccessTime
	if access.IsZero() {
		access = hdr.ModTime
	}
	return []unix.Timespec{timespec(access), timespec(hdr.ModTime)}
}

// timespec does not go over nanoseconds since 1970, which years past 2262 overflow.
func timespec(t time.Time) unix.Timespec {
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

func utimes(fd int, base string, ts []unix.Timespec) error {
	if err := unix.UtimesNanoAt(fd, base, ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimes", Path: base, Err: err}
	}
	return nil
}
