package build

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// sharing gives files of the build's context to a layer. The context is the
// build's own and goes away with it, so the file that was written when it came in
// can be the layer's file: it is moved there, once nobody looks at the layer through
// overlayfs any more. Until then its place is known here only. That is for the last
// step that uses the context; a file that two directories had would have two names,
// and there are programs that mind.
type sharing struct {
	from *tree
	// files are the paths in the context by those in the layer, given is the set of
	// the former: a second copy of a file is a copy.
	files map[string]string
	given map[string]bool
	// touched is the last directory of the layer that was made ready; empty for none.
	touched string
}

// sharing is for a step that copies these sources; nil if it has to copy them.
func (s *session) sharing(list []source) *sharing {
	// What an archive puts in must find what was there before.
	if s.triggering || s.users.Load() > 1 || slices.ContainsFunc(list, func(src source) bool { return src.unpack }) {
		return nil
	}
	return &sharing{from: s.files, files: map[string]string{}, given: map[string]bool{}}
}

// usesContext says whether an instruction needs the build's context.
func usesContext(command any) bool {
	switch c := command.(type) {
	case *instructions.CopyCommand:
		return c.From == ""
	case *instructions.AddCommand, *instructions.Stage: // a base image may have triggers
		return true
	}
	return false
}

// forget is told of what gives its place to something else. what is nil for what
// only sharing knows.
func (s *sharing) forget(at string, what fs.FileInfo) {
	if s == nil {
		return
	}
	delete(s.files, at)
	if what == nil || !what.IsDir() {
		return
	}
	for p := range s.files {
		if strings.HasPrefix(p, at+"/") {
			delete(s.files, p)
		}
	}
}

// changed is told that a directory got its attributes.
func (s *sharing) changed(dir string) {
	if s != nil && s.touched == dir {
		s.touched = ""
	}
}

// share keeps a place in the layer for a file of the context, if a copy would be the
// file itself: with one name, of the right owner and permissions.
func (c *copier) share(in *tree, from, to string, info fs.FileInfo) (shared bool, err error) {
	st, _ := info.Sys().(*syscall.Stat_t)
	s := c.sharing
	if s == nil || in != s.from || st.Nlink != 1 || c.owner != (owner{int(st.Uid), int(st.Gid)}) || c.mode != nil || s.given[from] {
		return false, nil
	}
	// A file that is made in a directory of the image has overlayfs copy the
	// directory, and changes its time.
	if dir := path.Dir(to); s.touched != dir {
		now := time.Now()
		if err := c.to.Chtimes(dir, now, now); err != nil {
			return false, err
		}
		s.touched = dir
	}
	s.files[to], s.given[from] = from, true
	return true, nil
}

// putIn puts the files in their places in a layer. Where the context cannot share
// with the layer (another file system) they are copied.
func (s *session) putIn(ctx context.Context, shared *sharing, id string) error {
	if shared == nil || len(shared.files) == 0 {
		return nil
	}
	w, err := s.Images.Writable(id)
	if err != nil {
		return err
	}
	upper, err := openTree(w.Upper)
	if err != nil {
		return fault.Internal("open the layer: %w", err)
	}
	defer upper.Close()
	// Directory by directory.
	names := slices.SortedFunc(maps.Keys(shared.files), func(a, b string) int {
		return cmp.Or(cmp.Compare(path.Dir(a), path.Dir(b)), cmp.Compare(a, b))
	})
	for len(names) > 0 {
		dir, n := path.Dir(names[0]), 1
		for n < len(names) && path.Dir(names[n]) == dir {
			n++
		}
		if err := shared.fill(ctx, upper, dir, names[:n]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.Internal("put files into /%s of the layer: %w", dir, err)
		}
		names = names[n:]
	}
	return nil
}

// fill puts files into one directory of a layer. Its time stays.
func (s *sharing) fill(ctx context.Context, upper *tree, dir string, names []string) error {
	target, err := upper.Open(dir)
	if err != nil {
		return err
	}
	defer target.Close()
	info, err := target.Stat()
	if err != nil {
		return err
	}
	var source *os.File // the directory in the context that the last file was in
	defer func() {
		if source != nil {
			source.Close()
		}
	}()
	for _, to := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := s.files[to]
		if at := path.Dir(from); source == nil || source.Name() != at {
			if source != nil {
				source.Close()
			}
			if source, err = s.from.Open(at); err != nil {
				return err
			}
		}
		// It takes the place of the whiteout of a file that was there.
		err := unix.Renameat(int(source.Fd()), path.Base(from), int(target.Fd()), path.Base(to))
		if errors.Is(err, unix.EXDEV) {
			err = s.copy(ctx, upper, from, to)
		}
		if err != nil {
			return &os.PathError{Op: "move", Path: to, Err: err}
		}
	}
	return upper.Chtimes(dir, info.ModTime(), info.ModTime())
}

// copy is for a context that is elsewhere.
func (s *sharing) copy(ctx context.Context, upper *tree, from, to string) error {
	info, err := s.from.Lstat(from)
	if err != nil {
		return err
	}
	if err := upper.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c := copier{ctx: ctx, to: upper}
	return c.file(s.from, from, to, info)
}
