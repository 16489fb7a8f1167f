package layer

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

const (
	opaqueXattr = "trusted.overlay.opaque"
	// overlayXattrs begin the names of what overlayfs notes for itself.
	overlayXattrs = "trusted.overlay."
	selinuxXattr  = "security.selinux"
)

func setOpaque(fd int, base string) error {
	if err := unix.Lsetxattr(fdPath(fd, base), opaqueXattr, []byte("y"), 0); err != nil {
		return &os.PathError{Op: "setxattr " + opaqueXattr, Path: base, Err: err}
	}
	return nil
}

// marker handles an entry whose name, or one of whose folders, starts with ".wh.".
func (u *unpacker) marker(parent, base string, hdr *tar.Header, body io.Reader, rec *recorder) error {
	if strings.Contains("/"+parent, "/"+metaPrefix) || strings.HasPrefix(base, metaPrefix) && base != opaqueMarker {
		// AUFS's own files; the recipe keeps their bytes. Only the contents of
		// its hard links are wanted.
		if path.Base(parent) == aufsLinks && hdr.Typeflag == tar.TypeReg {
			return u.aufsFile(path.Join(parent, base), hdr, body)
		}
		return nil
	}
	if strings.Contains("/"+parent, "/"+whiteoutPrefix) {
		return fault.Invalid("a whiteout is no folder")
	}
	fd, real, err := u.dirs.enter(parent, true, u.imply)
	if err != nil {
		return err
	}
	if base == opaqueMarker {
		return setOpaque(fd, ".")
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return fault.Invalid("whiteout of %q", name)
	}
	err = unix.Mknodat(fd, name, unix.S_IFCHR, 0)
	if !errors.Is(err, unix.EEXIST) {
		if err != nil {
			return &os.PathError{Op: "create", Path: path.Join(real, base), Err: err}
		}
		return nil
	}
	// The layer itself has this name: only what lies below it is deleted
	// (image-spec, layer.md: whiteouts hide lower layers only).
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: path.Join(real, name), Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return setOpaque(fd, name)
	}
	return nil
}

// aufsFile stores the contents behind AUFS hard links where link finds them. The
// recorder is not told: the recipe keeps these bytes itself.
func (u *unpacker) aufsFile(name string, hdr *tar.Header, body io.Reader) error {
	if u.plnk == nil {
		u.plnk = map[string]string{}
	}
	to, err := u.keep()
	if err != nil {
		return err
	}
	// The number is taken, so that later moves keep theirs.
	if err := u.recipe.moved(name); err != nil {
		return err
	}
	fd, err := unix.Open(to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "create", Path: to, Err: err}
	}
	defer unix.Close(fd)
	n, _, err := u.copy(fd, body, hdr.Size)
	if err != nil {
		return err
	}
	u.res.Size += n
	if err := errors.Join(unix.Fchown(fd, hdr.Uid, hdr.Gid), unix.Fchmod(fd, uint32(hdr.Mode&0o7777))); err != nil {
		return err
	}
	u.plnk[name] = to
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, timespecs(hdr), 0)
}
