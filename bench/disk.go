package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// disk is a file system of the arena's own.
type disk struct{ file, dir string }

// newDisk makes an ext4 file system with a journal in a file and mounts it on dir,
// so that the figures do not depend on what the machine's disk is formatted with.
// Without a journal, for one, ext4 passes over each inode that was
// deleted in the last minutes when it looks for a free one (fs/ext4/ialloc.c,
// recently_deleted), and whoever unpacks many files pays for those that another deleted.
//
// The mount is in the bench's own mount namespace and ends with it.
func newDisk(dir string, gigabytes int) (d disk, err error) {
	d = disk{file: dir + ".disk", dir: dir}
	f, err := os.Create(d.file)
	if err != nil {
		return disk{}, err
	}
	err = f.Truncate(int64(gigabytes) << 30)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	defer func() {
		if err != nil {
			_ = os.Remove(d.file)
		}
	}()
	if err != nil {
		return disk{}, err
	}
	device, err := answer("losetup", "--find", "--show", "--direct-io=on", d.file)
	if err != nil {
		return disk{}, err
	}
	// Once it is mounted the loop device lives as long as the mount.
	defer func() {
		if _, derr := answer("losetup", "--detach", device); err == nil {
			err = derr
		}
	}()
	// All that could be done later, beside a measurement, is done now.
	if _, err := answer("mkfs.ext4", "-q", "-O", "has_journal", "-E", "lazy_itable_init=0,lazy_journal_init=0", device); err != nil {
		return disk{}, err
	}
	if err := unix.Mount(device, dir, "ext4", unix.MS_NOATIME, ""); err != nil {
		return disk{}, fmt.Errorf("mount %s on %s: %w", device, dir, err)
	}
	return d, nil
}

// remove unmounts it and removes its file.
func (d disk) remove() error {
	if d.file == "" {
		return nil
	}
	if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return os.Remove(d.file)
}

// answer runs a program and returns what it printed; its complaints are the error.
func answer(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(name), err, text)
	}
	return text, nil
}
