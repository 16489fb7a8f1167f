package layer

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Settle finishes an unpacked layer once it is known what lies below: folders
// that the tar does not list get the attributes they have in lower (directories,
// topmost first), and hard links to files of lower layers become copies of
// them. A result that is SelfContained needs no Settle.
func Settle(dir string, res *Result, lower []string) error {
	chain, err := NewChain(lower)
	if err != nil {
		return fmt.Errorf("settle layer: %w", err)
	}
	defer chain.Close()
	own, err := newDirStack(filepath.Join(dir, DiffDir))
	if err != nil {
		return fmt.Errorf("settle layer: %w", err)
	}
	defer own.close()
	made := map[string]string{}
	for _, l := range res.Links {
		if err := copyUp(own, chain, l, made); err != nil {
			return fmt.Errorf("settle layer: hard link %q to %q: %w", l.Path, l.Target, err)
		}
	}
	// Deepest first, because times of a folder change with what is made in it.
	for i := len(res.Implied) - 1; i >= 0; i-- {
		if err := inherit(own, chain, res.Implied[i]); err != nil {
			return fmt.Errorf("settle layer: folder %q: %w", res.Implied[i], err)
		}
	}
	return nil
}

// inherit gives folder p of own the attributes it has in chain.
func inherit(own *dirStack, chain *Chain, p string) error {
	st, cfd, cbase, ok, err := chain.Lookup(p)
	if err != nil || !ok || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return err
	}
	if err := own.walk(split(parentOf(p)), false, nil); err != nil {
		return err
	}
	base := path.Base(p)
	if p == "" {
		base = "."
	}
	return copyAttributes(own.top(), base, cfd, cbase, &st)
}

func copyAttributes(fd int, base string, from int, fromBase string, st *unix.Stat_t) error {
	if err := unix.Fchownat(fd, base, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Fchmodat(fd, base, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	names, err := listXattrs(fdPath(from, fromBase))
	if err != nil {
		return err
	}
	for _, name := range names {
		if !xattrAllowed(name) {
			continue
		}
		value, err := getXattr(fdPath(from, fromBase), name)
		if err != nil {
			return err
		}
		if err := unix.Lsetxattr(fdPath(fd, base), name, value, 0); err != nil && err != unix.ENOTSUP {
			return fmt.Errorf("setxattr %s: %w", name, err)
		}
	}
	return utimes(fd, base, []unix.Timespec{st.Atim, st.Mtim})
}

// copyUp makes the link's file from the lower layer's, once per target.
func copyUp(own *dirStack, chain *Chain, l Link, made map[string]string) error {
	if err := own.walk(split(parentOf(l.Path)), false, nil); err != nil {
		return err
	}
	fd, base := own.top(), path.Base(l.Path)
	if first, ok := made[l.Target]; ok {
		return unix.Linkat(unix.AT_FDCWD, filepath.Join(own.path, first), fd, base, 0)
	}
	st, cfd, cbase, ok, err := chain.Lookup(l.Target)
	if err != nil {
		return err
	}
	if !ok || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fault.Invalid("no such file in this layer or below")
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		err = copyFile(fd, base, cfd, cbase)
	case unix.S_IFLNK:
		var target string
		if target, err = os.Readlink(fdPath(cfd, cbase)); err == nil {
			err = unix.Symlinkat(target, fd, base)
		}
	default:
		err = unix.Mknodat(fd, base, st.Mode, int(st.Rdev))
	}
	if err != nil {
		return err
	}
	made[l.Target] = l.Path
	return copyAttributes(fd, base, cfd, cbase, &st)
}

func copyFile(fd int, base string, from int, fromBase string) error {
	in, err := unix.Openat(from, fromBase, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	src := os.NewFile(uintptr(in), fromBase)
	defer src.Close()
	out, err := unix.Openat(fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	dst := os.NewFile(uintptr(out), base)
	defer dst.Close()
	_, err = io.Copy(dst, src) // copy_file_range(2)
	return err
}

func listXattrs(p string) ([]string, error) {
	n, err := unix.Llistxattr(p, nil)
	if err == unix.ENOTSUP || err == nil && n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listxattr: %w", err)
	}
	b := make([]byte, n)
	if n, err = unix.Llistxattr(p, b); err != nil {
		return nil, fmt.Errorf("listxattr: %w", err)
	}
	if n == 0 { // overlayfs counts its own attributes first and then hides them
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00"), nil
}

func getXattr(p, name string) ([]byte, error) {
	b := make([]byte, 64<<10) // XATTR_SIZE_MAX
	n, err := unix.Lgetxattr(p, name, b)
	if err != nil {
		return nil, fmt.Errorf("getxattr %s: %w", name, err)
	}
	return b[:n], nil
}

// CopyDirAttributes gives directory to the owner, mode and extended attributes
// of directory from (but for those that overlayfs obeys), and its times.
func CopyDirAttributes(to, from string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return &os.PathError{Op: "stat", Path: from, Err: err}
	}
	t, err := newDirStack(to)
	if err != nil {
		return err
	}
	defer t.close()
	f, err := newDirStack(from)
	if err != nil {
		return err
	}
	defer f.close()
	if err := copyAttributes(t.root, ".", f.root, ".", &st); err != nil {
		return fmt.Errorf("copy attributes of %s: %w", from, err)
	}
	return nil
}
