package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Mount mounts the file system on a disk on target, by way of a loop device that goes
// with the last use of the disk.
func (s *Server) Mount(name, kind, target, options string) error {
	device, hold, err := attach(s.Path(name))
	if err != nil {
		return fmt.Errorf("attach disk %s: %w", name, err)
	}
	defer hold.Close()
	if err := unix.Mount(device, target, kind, 0, options); err != nil {
		return fmt.Errorf("mount disk %s (%s): %w", name, kind, err)
	}
	return nil
}

// attach gives a free loop device the file at path. It lasts until hold is closed and
// nothing is mounted from it (loop(4), LO_FLAGS_AUTOCLEAR).
func attach(path string) (device string, hold *os.File, err error) {
	backing, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", nil, err
	}
	defer control.Close()
	const autoclear = 4
	for range 100 { // others look for a free one as well
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil, err
		}
		if device, hold, err = openLoop(n); err != nil {
			return "", nil, err
		}
		config := &unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: autoclear}}
		err = unix.IoctlLoopConfigure(int(hold.Fd()), config)
		if err == nil {
			return device, hold, nil
		}
		hold.Close()
		if !errors.Is(err, unix.EBUSY) {
			return "", nil, err
		}
	}
	return "", nil, errors.New("no loop device is free")
}

// openLoop opens a loop device and makes its node where nobody else does.
func openLoop(n int) (string, *os.File, error) {
	device := fmt.Sprintf("/dev/loop%d", n)
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		const major = 7
		if err := unix.Mknod(device, unix.S_IFBLK|0o660, int(unix.Mkdev(major, uint32(n)))); err != nil && !errors.Is(err, os.ErrExist) {
			return "", nil, err
		}
		f, err = os.OpenFile(device, os.O_RDWR, 0)
	}
	return device, f, err
}
