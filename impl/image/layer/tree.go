package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"sort"

	"golang.org/x/sys/unix"
)

// node is a file, folder or link that walk came to.
type node struct {
	// path is relative to the root, "" for the root.
	path string
	// dir is the open parent folder, valid during the call; name is in it. The
	// root is "." in itself.
	dir  int
	name string
	st   unix.Stat_t

	names  []string // of its extended attributes, once listed
	listed bool
}

// xattrs lists the names of the extended attributes, once.
func (n *node) xattrs() (names []string, err error) {
	if !n.listed {
		if n.names, err = listXattrs(fdPath(n.dir, n.name)); err != nil {
			return nil, err
		}
		n.listed = true
	}
	return n.names, nil
}

// walk visits the tree below the open directory root: folders before their
// contents, names in order. A container may be writing to the tree, so every step is
// taken from an open folder and follows no link, and what vanishes meanwhile is left out.
func walk(ctx context.Context, root int, fn func(*node) error) error {
	n := &node{dir: root, name: "."}
	if err := unix.Fstatat(root, ".", &n.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "stat", Path: "/", Err: err}
	}
	if err := fn(n); err != nil {
		return err
	}
	return walkInto(ctx, root, ".", "", fn)
}

func walkInto(ctx context.Context, parent int, name, p string, fn func(*node) error) error {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if vanished(err) && p != "" {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: p, Err: err}
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := &node{path: path.Join(p, name), dir: fd, name: name}
		err := unix.Fstatat(fd, name, &n.st, unix.AT_SYMLINK_NOFOLLOW)
		if vanished(err) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "stat", Path: n.path, Err: err}
		}
		if err := fn(n); err != nil {
			return err
		}
		if isDir(&n.st) {
			if err := walkInto(ctx, fd, name, n.path, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// vanished says whether the error means that another process was faster.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// walkPath is walk on a directory by its name.
func walkPath(ctx context.Context, root string, fn func(*node) error) error {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(fd)
	return walk(ctx, fd, fn)
}

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// Usage sums the sizes of the regular files below root, hard links once.
func Usage(ctx context.Context, root string) (int64, error) {
	seen := map[inode]bool{}
	var sum int64
	err := walkPath(ctx, root, func(n *node) error {
		if n.st.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil
		}
		if n.st.Nlink > 1 {
			key := inode{n.st.Dev, n.st.Ino}
			if seen[key] {
				return nil
			}
			seen[key] = true
		}
		sum += n.st.Size
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sum up %s: %w", root, err)
	}
	return sum, nil
}

type inode struct{ dev, ino uint64 }
