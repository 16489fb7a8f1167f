package layer

import (
	"context"
	"fmt"
	"os"
	"path"
	"sort"

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
// Docker Engine does.
func Changes(ctx context.Context, upper string, lower []string) ([]Change, error) {
	chain, err := NewChain(lower)
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	defer chain.Close()
	kinds := map[string]Kind{}
	add := func(p string, k Kind) {
		if _, ok := kinds[p]; !ok {
			kinds[p] = k
		}
	}
	err = walkPath(ctx, upper, func(n *node) error {
		if n.path == "" {
			return nil
		}
		old, _, _, was, err := chain.Lookup(n.path)
		if err != nil {
			return err
		}
		kind := Added
		switch {
		case isWhiteout(&n.st):
			if !was {
				return nil // made and deleted again
			}
			kind = Deleted
		case was && isDir(&n.st) && isDir(&old):
			if isOpaque(n.dir, n.name) {
				if err := addHidden(chain, n, add); err != nil {
					return err
				}
			} else if sameDir(&n.st, &old) {
				return nil
			}
			kind = Modified
		case was:
			kind = Modified
		}
		if parent := parentOf(n.path); parent != "" {
			add(parent, Modified)
		}
		add(n.path, kind)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	out := make([]Change, 0, len(kinds))
	for p, k := range kinds {
		out = append(out, Change{"/" + p, k})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

// sameDir says whether a folder was only copied up to hold changes below it.
func sameDir(a, b *unix.Stat_t) bool {
	return a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid && a.Mtim == b.Mtim
}

// addHidden lists what an opaque folder of the upper directory hides: the
// folder was deleted and made again.
func addHidden(chain *Chain, n *node, add func(string, Kind)) error {
	names, err := chain.list(n.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(n.dir, path.Join(n.name, name), &st, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
			add(path.Join(n.path, name), Deleted)
		}
	}
	return nil
}

// list returns the names in folder p of the merged tree.
func (c *Chain) list(p string) ([]string, error) {
	shown := map[string]bool{}
	for i := range c.layers {
		v, err := c.verdict(i, p)
		if err != nil {
			return nil, err
		}
		if v == folder || v == opaque {
			if err := c.listOne(i, p, shown); err != nil {
				return nil, err
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
	for name, yes := range shown {
		if yes {
			out = append(out, name)
		}
	}
	return out, nil
}

// listOne adds the names of one layer that none above it has; false means hidden.
func (c *Chain) listOne(i int, p string, shown map[string]bool) error {
	fd, base, err := c.at(i, p)
	if err != nil {
		return err
	}
	names, err := readNames(fd, base)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := shown[name]; ok {
			continue
		}
		v, err := c.verdict(i, path.Join(p, name))
		if err != nil {
			return err
		}
		shown[name] = v != hidden
	}
	return nil
}

func readNames(fd int, base string) ([]string, error) {
	dir, err := unix.Openat(fd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: base, Err: err}
	}
	f := os.NewFile(uintptr(dir), base)
	defer f.Close()
	return f.Readdirnames(-1)
}
