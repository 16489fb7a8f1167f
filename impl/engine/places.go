package engine

import (
	"errors"
	"os"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/container"
)

// impossiblePlaces says whether a container asks for a mount or a working
// directory where its tree has something else: a directory on a file, a file on a
// directory, anything below a file. It looks when a start has failed, because the
// runtime tells only in words why.
func (e *Engine) impossiblePlaces(r *container.Record) bool {
	w, err := e.Images.Writable(r.ID)
	if err != nil {
		return false
	}
	tree, err := openTree(w)
	if err != nil {
		return false
	}
	defer tree.Close()
	for _, m := range r.Mounts {
		source, err := os.Stat(m.Source)
		if err == nil && occupied(tree, m.Destination, source.IsDir()) {
			return true
		}
	}
	return r.Config.WorkingDir != "" && occupied(tree, r.Config.WorkingDir, true)
}

// occupied says whether a path in a tree cannot be a directory, or cannot be a
// file, because it or something on the way is the other.
func occupied(tree *os.File, path string, dir bool) bool {
	f, err := pathrs.OpenatInRoot(tree, path)
	if err != nil {
		return errors.Is(err, unix.ENOTDIR)
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.IsDir() != dir
}
