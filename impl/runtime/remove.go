package runtime

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// removeDir removes a handle or state directory and never anything that is
// mounted in it: there may be files of other containers or of the host. The
// shim's own mounts, which are not to be seen here, are taken away if they
// still are; any other gives an error, and everything stays.
func removeDir(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	top, err := mountID(filepath.Dir(dir) + "/.")
	if err != nil {
		return err
	}
	if err := detachPlaces(dir, top); err != nil {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		}
		id, err := mountID(path)
		if err != nil || id == top {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		}
		return fmt.Errorf("something is mounted at %s: unmount it to have the directory removed", path)
	})
	if err != nil {
		return err
	}
	// The handle first: with a handle and without its exit code a container would
	// be one whose monitor died, to the engine that comes after a kill.
	if err := os.Remove(filepath.Join(dir, protocol.HandleName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}

// detachPlaces unmounts what the shim mounted in a handle directory.
func detachPlaces(dir string, top uint64) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != protocol.CgroupName && !strings.HasPrefix(e.Name(), protocol.BorrowedName) {
			continue
		}
		place := filepath.Join(dir, e.Name())
		for {
			id, err := mountID(place)
			if err != nil {
				return err
			}
			if id == top {
				break
			}
			// A peer of the host's mount would take the host's mounts below with it.
			if err := unix.Mount("", place, "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
				return &os.PathError{Op: "make private", Path: place, Err: err}
			}
			if err := unix.Unmount(place, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				return &os.PathError{Op: "unmount", Path: place, Err: err}
			}
		}
	}
	return nil
}

// mountID tells which mount a path is in (statx(2), Linux 5.8; before that
// /proc/self/fdinfo, proc_pid_fdinfo(5)). Symbolic links are not followed.
func mountID(path string) (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st)
	if err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mask&unix.STATX_MNT_ID != 0 {
		return st.Mnt_id, nil
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var id uint64
		if _, err := fmt.Sscanf(line, "mnt_id: %d", &id); err == nil {
			return id, nil
		}
	}
	return 0, fmt.Errorf("the kernel does not say in which mount %s is", path)
}
