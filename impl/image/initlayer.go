package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

// The init layer lies between the image and the container's own layer. It
// has what every container must find whatever its image holds: mount points,
// and empty files for the engine to mount over. It never becomes part of an
// image, and it is one directory for all containers whose images give the
// folders in it the same attributes: a folder of the topmost layer that has it
// decides over owner and mode.

// initFolders are the folders of the init layer, parents first.
var initFolders = [...]string{"dev", "dev/pts", "dev/shm", "etc", "proc", "sys"}

// initFiles are its empty files; 0755 as Docker Engine makes them.
var initFiles = [...]string{".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"}

// initKey are the attributes of initFolders.
type initKey [len(initFolders)]struct{ mode, uid, gid uint32 }

// initLayer returns the init layer for an image, whose directories are given.
func (s *Store) initLayer(chain digest.Digest, dirs []string) (string, error) {
	s.mu.RLock()
	key, known := s.initOf[chain]
	dir := s.inits[key]
	s.mu.RUnlock()
	if known && dir != "" {
		return dir, nil
	}
	key, err := readInitKey(dirs)
	if err != nil {
		return "", fmt.Errorf("look for mount points in the image: %w", err)
	}
	if dir, err = s.makeInitLayer(key); err != nil {
		return "", fmt.Errorf("make init layer: %w", err)
	}
	s.mu.Lock()
	s.initOf[chain], s.inits[key] = key, dir
	s.mu.Unlock()
	return dir, nil
}

func readInitKey(dirs []string) (key initKey, err error) {
	c, err := layer.NewChain(dirs)
	if err != nil {
		return key, err
	}
	defer c.Close()
	for i, p := range initFolders {
		key[i].mode = 0o755
		st, _, _, ok, err := c.Lookup(p)
		if err != nil {
			return key, err
		}
		if ok && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			key[i].mode, key[i].uid, key[i].gid = st.Mode&0o7777, st.Uid, st.Gid
		}
	}
	return key, nil
}

// makeInitLayer makes the directory, or finds it made. Running containers have
// it mounted, so it is never changed.
func (s *Store) makeInitLayer(key initKey) (string, error) {
	sum := sha256.Sum256(fmt.Append(nil, key))
	dir := filepath.Join(s.root, initDir, hex.EncodeToString(sum[:8]))
	if _, err := os.Lstat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(filepath.Join(s.root, initDir), ".")
	if err != nil {
		return "", err
	}
	if err := fillInitLayer(tmp, key); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		rerr := os.RemoveAll(tmp)
		if _, serr := os.Lstat(dir); serr == nil { // another caller was faster
			return dir, rerr
		}
		return "", errors.Join(err, rerr)
	}
	return dir, nil
}

func fillInitLayer(dir string, key initKey) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for i, p := range initFolders {
		p = filepath.Join(dir, p)
		if err := os.Mkdir(p, 0o755); err != nil {
			return err
		}
		if err := errors.Join(os.Chown(p, int(key[i].uid), int(key[i].gid)), unix.Chmod(p, key[i].mode)); err != nil {
			return err
		}
	}
	for _, p := range initFiles {
		p = filepath.Join(dir, p)
		if err := errors.Join(os.WriteFile(p, nil, 0o755), os.Chmod(p, 0o755)); err != nil {
			return err
		}
	}
	return os.Symlink("/proc/mounts", filepath.Join(dir, "etc/mtab"))
}
