package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Chain looks paths up in stacked layer directories as overlayfs does, without
// mounting them. It remembers the folders it has seen, so the directories must not
// change while it is in use. Not for several goroutines.
type Chain struct {
	layers []*dirStack
	seen   []map[string]verdict
}

// verdict is what one layer says about a path.
type verdict uint8

const (
	unseen verdict = iota
	absent         // nothing here: ask the next layer
	folder         // a folder: lower ones are merged into it
	opaque         // a folder that hides those below
	hidden         // a whiteout
	other          // anything but a folder
)

// NewChain opens the directories, topmost first.
func NewChain(dirs []string) (*Chain, error) {
	c := &Chain{}
	for _, dir := range dirs {
		d, err := newDirStack(dir)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.layers = append(c.layers, d)
		c.seen = append(c.seen, map[string]verdict{})
	}
	return c, nil
}

// Close releases the directories.
func (c *Chain) Close() {
	for _, d := range c.layers {
		d.close()
	}
}

// Lookup finds what a mount of the chain shows at p (relative, clean). The
// descriptor of its parent folder is valid until the next call.
func (c *Chain) Lookup(p string) (st unix.Stat_t, parent int, base string, found bool, err error) {
	for i := range c.layers {
		v, err := c.verdict(i, p)
		if err != nil {
			return st, -1, "", false, err
		}
		switch v {
		case folder, opaque, other:
			parent, base, err := c.at(i, p)
			if err == nil {
				err = unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
			}
			if err != nil {
				return st, -1, "", false, fmt.Errorf("stat %q: %w", p, err)
			}
			return st, parent, base, true, nil
		case hidden:
			return st, -1, "", false, nil
		}
		stop, err := c.covers(i, p)
		if err != nil {
			return st, -1, "", false, err
		}
		if stop {
			return st, -1, "", false, nil
		}
	}
	return st, -1, "", false, nil
}

// covers says whether a folder on the way to p hides the layers below i.
func (c *Chain) covers(i int, p string) (bool, error) {
	for p != "" {
		p = parentOf(p)
		v, err := c.verdict(i, p)
		if err != nil {
			return false, err
		}
		if v == opaque || v == hidden || v == other {
			return true, nil
		}
	}
	return false, nil
}

func parentOf(p string) string {
	parent, _ := path.Split(p)
	return strings.TrimSuffix(parent, "/")
}

// at opens the parent of p in layer i.
func (c *Chain) at(i int, p string) (int, string, error) {
	d := c.layers[i]
	if err := d.walk(split(parentOf(p)), false, nil); err != nil {
		return -1, "", err
	}
	if p == "" {
		return d.root, ".", nil
	}
	return d.top(), path.Base(p), nil
}

func (c *Chain) verdict(i int, p string) (verdict, error) {
	if v := c.seen[i][p]; v != unseen {
		return v, nil
	}
	v, err := c.look(i, p)
	if err == nil {
		c.seen[i][p] = v
	}
	return v, err
}

func (c *Chain) look(i int, p string) (verdict, error) {
	if p != "" {
		v, err := c.verdict(i, parentOf(p))
		if err != nil {
			return unseen, err
		}
		if v != folder && v != opaque {
			return absent, nil
		}
	}
	fd, base, err := c.at(i, p)
	if err != nil {
		return unseen, err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return absent, nil
		}
		return unseen, fmt.Errorf("stat %q: %w", p, err)
	}
	switch {
	case isWhiteout(&st):
		return hidden, nil
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return other, nil
	case p != "" && isOpaque(fd, base):
		return opaque, nil
	default:
		return folder, nil
	}
}

func isWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

func isOpaque(fd int, base string) bool {
	var v [1]byte
	n, err := unix.Lgetxattr(fdPath(fd, base), opaqueXattr, v[:])
	return err == nil && n == 1 && v[0] == 'y'
}
