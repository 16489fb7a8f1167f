// Package atomicfile replaces files: who opens one, at whatever time, sees the old
// content or the new one, whole.
//
// That holds if the writer is killed. What it had begun then lies beside the file under
// another name (see Unfinished), for the next Write of the same file to overwrite; a
// directory whose files may not be written again is to be swept of such names.
//
// It holds after a loss of power only with Synced. Without, a file may be the old one,
// the new one or an empty one then, which is right for what does not outlive the machine's
// start anyway: a sync costs milliseconds.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Unfinished ends the name of what Write has not put in its place yet.
const Unfinished = ".new"

// Option is what a file needs besides being whole.
type Option func(*needs)

type needs struct{ synced, anyway bool }

// Synced has the content and the file's name on the disk when Write returns. After a
// loss of power before that, the file is the old one or the new one.
func Synced() Option { return func(n *needs) { n.synced = true } }

// AnyUmask gives the file its mode whatever the process's umask, which takes its
// bits from the mode else.
func AnyUmask() Option { return func(n *needs) { n.anyway = true } }

// Write puts a file with data in the place of the one at path, if there is any. Nobody
// else may write the same file meanwhile. After an error, an
// *fs.PathError or *os.LinkError, nothing of the new file is left; but if it is that of
// syncing the directory, the new file is in its place and maybe not on the disk.
func Write(path string, data []byte, mode os.FileMode, options ...Option) error {
	var n needs
	for _, o := range options {
		o(&n)
	}
	temporary := path + Unfinished
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && n.anyway {
		err = f.Chmod(mode)
	}
	if err == nil && n.synced {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if n.synced {
		return SyncDir(filepath.Dir(path))
	}
	return nil
}

// Rename gives the file at from, whose content is on the disk, the name to in the same
// directory, in the place of the one that may have it. The names are on the disk when it
// returns; after a loss of power before that, they are the old ones or the new ones.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir has the names in a directory on the disk when it returns. Until then a loss of
// power may take back what was made, renamed or removed there.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
