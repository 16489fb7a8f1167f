package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// claim makes sure that one quickstart at a time uses the directory. The lock
// lies beside the directory, which comes and goes; release removes it.
func claim(dir string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	path := dir + ".lock"
	for {
		lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			lock.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("another make run uses %s: end it first", dir)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// The last holder may have removed the file between open and lock.
		if same(lock, path) {
			return func() {
				_ = os.Remove(path)
				lock.Close()
			}, nil
		}
		lock.Close()
	}
}

func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// tryOverlay mounts an overlay in dir as a container's root is mounted, and
// removes dir again.
func tryOverlay(dir string) error {
	defer os.RemoveAll(dir)
	for _, d := range []string{"lower", "upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	at := func(d string) string { return filepath.Join(dir, d) }
	data := "lowerdir=" + at("lower") + ",upperdir=" + at("upper") + ",workdir=" + at("work")
	if err := unix.Mount("overlay", at("root"), "overlay", 0, data); err != nil {
		return fmt.Errorf("mount an overlay in %s: %w", dir, err)
	}
	// An upper layer without extended attributes mounts, but read-only or
	// without whiteouts: removing a lower file is what fails then.
	err := os.WriteFile(filepath.Join(at("root"), "file"), nil, 0o644)
	return errors.Join(err, unix.Unmount(at("root"), 0))
}

func mountMemory(dir string) error {
	return unix.Mount("berth-run", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0711")
}
