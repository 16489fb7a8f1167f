package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tree is a directory in which absolute paths and absolute links mean places
// below the directory itself. Nobody else changes it while it is used. What
// resolve gets wrong os.Root refuses: it never leaves the directory.
type tree struct {
	*os.Root
	// release frees what the tree lies on; nil for nothing.
	release func() error
}

// openTree opens a directory of the host.
func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{Root: root}, nil
}

// treeOf makes a tree of an open directory, which it closes.
func treeOf(dir *os.File) (*tree, error) {
	defer dir.Close()
	return openTree(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
}

// Close frees the tree.
func (t *tree) Close() error {
	err := t.Root.Close()
	if t.release != nil {
		err = errors.Join(err, t.release())
	}
	return err
}

// longestChain is the number of links after which a path is taken for a circle
// (Linux stops at 40, path_resolution(7)).
const longestChain = 255

// resolve follows the links on the way to p, the last one too if asked for, and
// gives a path without links, relative to the tree ("." for its root). What does
// not exist is taken as it is written.
func (t *tree) resolve(p string, followLast bool) (string, error) {
	rest := strings.Split(path.Clean("/" + p)[1:], "/")
	var done []string
	links := 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = done[:max(0, len(done)-1)]
			continue
		}
		here := path.Join(append(done, name)...)
		if len(rest) == 0 && !followLast {
			return here, nil
		}
		info, err := t.Lstat(here)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			done = append(done, name)
			continue
		}
		if links++; links > longestChain {
			return "", &fs.PathError{Op: "resolve", Path: p, Err: unix.ELOOP}
		}
		target, err := t.Readlink(here)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = nil
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	if len(done) == 0 {
		return ".", nil
	}
	return path.Join(done...), nil
}

// stat describes what p leads to.
func (t *tree) stat(p string) (resolved string, info fs.FileInfo, err error) {
	if resolved, err = t.resolve(p, true); err != nil {
		return "", nil, err
	}
	info, err = t.Lstat(resolved)
	return resolved, info, err
}

// makeDirs makes the directory p, which has no links in it, and those above it.
// New ones belong to o.
func (t *tree) makeDirs(p string, o owner) error {
	if p == "." {
		return nil
	}
	info, err := t.Lstat(p)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: "/" + p, Err: unix.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.makeDirs(path.Dir(p), o); err != nil {
		return err
	}
	if err := t.Mkdir(p, 0o755); err != nil {
		return err
	}
	// The umask is none of the image's business.
	return errors.Join(t.Lchown(p, o.uid, o.gid), t.Chmod(p, 0o755))
}

// setLinkTime sets the time of a symbolic link itself; p has no links on its way.
func (t *tree) setLinkTime(p string, at time.Time) error {
	dir, err := t.Open(path.Dir(p))
	if err != nil {
		return err
	}
	defer dir.Close()
	when := unix.NsecToTimespec(at.UnixNano())
	if err := unix.UtimesNanoAt(int(dir.Fd()), path.Base(p), []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "utimensat", Path: p, Err: err}
	}
	return nil
}

// owner is who files are made to belong to.
type owner struct{ uid, gid int }
