package layer

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Kind is how a path changed, numbered as in the Remote API.
type Kind int

// Kinds of change (section "Inspect changes on a container's filesystem").
const (
	Modified Kind = 0
	Added    Kind = 1
	Deleted  Kind = 2
)

// Change is one changed path, absolute.
type Change struct {
	Path string
	Kind Kind
}

// Changes compares the upper directory of an overlay mount with the directories
// below it (topmost first), without reading what did not change. The result is
// sorted by path. A folder that only holds changes is listed as modified, as
// Docker Engine does, when its times or attributes changed with them.
func Changes(ctx context.Context, upper string, lower []string) ([]Change, error) {
	chain, err := NewChain(lower)
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	defer chain.Close()
	seen := map[string]bool{}
	var out []Change
	add := func(p string, k Kind) {
		if !seen[p] {
			seen[p] = true
			out = append(out, Change{"/" + p, k})
		}
	}
	err = walkUpper(ctx, upper, func(p string, st *unix.Stat_t) error {
		if p == "" {
			return nil
		}
		old, _, _, was, err := chain.Lookup(p)
		if err != nil {
			return err
		}
		kind := Added
		switch {
		case isWhiteout(st):
			if !was {
				return nil // made and deleted again
			}
			kind = Deleted
		case was:
			if isDir(st) && isDir(&old) && old.Mode == st.Mode && old.Uid == st.Uid && old.Gid == st.Gid && old.Mtim == st.Mtim {
				return nil
			}
			kind = Modified
		}
		if parent := parentOf(p); parent != "" && kind != Modified {
			add(parent, Modified)
		}
		add(p, kind)
		if isDir(st) && isDir(&old) && was {
			return addHidden(ctx, chain, upper, p, add)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

// addHidden lists what an opaque folder of the upper directory hides: the
// folder was deleted and made again.
func addHidden(ctx context.Context, chain *Chain, upper, p string, add func(string, Kind)) error {
	if !opaqueAt(filepath.Join(upper, p)) {
		return nil
	}
	names, err := chain.list(p)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(upper, p, name)); os.IsNotExist(err) {
			add(path.Join(p, name), Deleted)
		}
	}
	return ctx.Err()
}

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

func opaqueAt(p string) bool {
	var v [1]byte
	n, err := unix.Lgetxattr(p, opaqueXattr, v[:])
	return err == nil && n == 1 && v[0] == 'y'
}

// list returns the names in folder p of the merged tree, sorted.
func (c *Chain) list(p string) ([]string, error) {
	names := map[string]bool{}
	for i := range c.layers {
		v, err := c.verdict(i, p)
		if err != nil {
			return nil, err
		}
		if v == folder || v == opaque {
			fd, base, err := c.at(i, p)
			if err != nil {
				return nil, err
			}
			entries, err := os.ReadDir(fdPath(fd, base))
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if _, ok := names[e.Name()]; !ok {
					info, err := e.Info()
					if err != nil {
						return nil, err
					}
					names[e.Name()] = !isWhiteout(statOf(info))
				}
			}
		}
		stop := v == opaque || v == hidden || v == other
		if !stop {
			if stop, err = c.covers(i, p); err != nil {
				return nil, err
			}
		}
		if stop {
			break
		}
	}
	var out []string
	for name, shown := range names {
		if shown {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out, nil
}

func statOf(info fs.FileInfo) *unix.Stat_t {
	s := info.Sys().(*syscall.Stat_t)
	return &unix.Stat_t{Dev: s.Dev, Ino: s.Ino, Nlink: s.Nlink, Mode: s.Mode, Uid: s.Uid, Gid: s.Gid, Rdev: s.Rdev, Size: s.Size,
		Blocks: s.Blocks, Atim: unix.Timespec(s.Atim), Mtim: unix.Timespec(s.Mtim), Ctim: unix.Timespec(s.Ctim)}
}

// walkUpper visits a directory tree that a container may be writing to:
// what vanishes while it walks is left out. Folders come before their contents,
// names in order.
func walkUpper(ctx context.Context, root string, fn func(p string, st *unix.Stat_t) error) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) && name != root {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return fn(strings.TrimPrefix(strings.TrimPrefix(name, root), "/"), statOf(info))
	})
}

// Usage sums the sizes of the regular files below root, hard links once.
func Usage(ctx context.Context, root string) (int64, error) {
	type inode struct{ dev, ino uint64 }
	links := map[inode]bool{}
	var sum int64
	err := walkUpper(ctx, root, func(p string, st *unix.Stat_t) error {
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil
		}
		if st.Nlink > 1 {
			key := inode{st.Dev, st.Ino}
			if links[key] {
				return nil
			}
			links[key] = true
		}
		sum += st.Size
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("sum up %s: %w", root, err)
	}
	return sum, nil
}
