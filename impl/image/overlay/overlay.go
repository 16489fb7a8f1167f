// Package overlay mounts stacked directories with overlayfs. It depends on the
// kernel only, so that a process that is paid for at every container start
// can import it.
package overlay

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Stack is what to mount.
type Stack struct {
	// Lower are the read-only directories, topmost first; at least one.
	Lower []string
	// Upper and Work are upperdir and workdir, on one file system and nowhere
	// else in use. Both empty: the mount is read-only.
	Upper, Work string
}

// options fix what the kernel's configuration would otherwise decide. With
// any of them on, the upper directory holds files whose meaning is only in
// trusted.overlay.* attributes, which a diff of the directory would miss.
// (Documentation/filesystems/overlayfs.rst)
var options = [...]string{"index", "metacopy", "redirect_dir"}

// Mount mounts s on the existing directory target.
func Mount(target string, s Stack) error {
	if len(s.Lower) == 0 {
		return errors.New("mount overlay: no lower directory")
	}
	err := mountEach(target, s)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// Before Linux 6.5 there is no lowerdir+, before 5.2 no fsopen.
		err = mountOnce(target, s)
	}
	if err != nil {
		return fmt.Errorf("mount overlay on %s: %w", target, err)
	}
	return nil
}

// Unmount takes away the mount on target and everything mounted below it. A target that is
// no mount, or is not there, is no error. The mount is gone from the name space at once, and
// from the kernel when its last user is.
func Unmount(target string) error {
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	if err == unix.EBUSY {
		err = unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	if err == nil || err == unix.EINVAL || err == unix.ENOENT {
		return nil
	}
	return &os.PathError{Op: "unmount", Path: target, Err: err}
}

// Open mounts s nowhere and returns its root. The mount is gone when the file
// is closed, or when the process dies.
func Open(s Stack) (*os.File, error) {
	if len(s.Lower) == 0 {
		return nil, errors.New("mount overlay: no lower directory")
	}
	m, err := detached(s)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return openOnce(s)
	}
	if err != nil {
		return nil, fmt.Errorf("mount overlay: %w", err)
	}
	defer unix.Close(m)
	// The descriptor of fsmount(2) is only a handle (O_PATH).
	fd, err := unix.Openat(m, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mount overlay: %w", err)
	}
	return os.NewFile(uintptr(fd), "overlay"), nil
}

// openOnce is Open for kernels without fsmount: the mount has a place until it is open.
func openOnce(s Stack) (*os.File, error) {
	dir, err := os.MkdirTemp("", "overlay")
	if err != nil {
		return nil, err
	}
	defer os.Remove(dir)
	if err := mountOnce(dir, s); err != nil {
		return nil, fmt.Errorf("mount overlay: %w", err)
	}
	f, err := os.Open(dir)
	if uerr := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); uerr != nil && err == nil {
		f.Close()
		return nil, &os.PathError{Op: "unmount", Path: dir, Err: uerr}
	}
	return f, err
}

// known says whether this kernel has the option.
func known(option string) bool {
	_, err := os.Stat("/sys/module/overlay/parameters/" + option)
	return err == nil
}

// mountEach hands over one lower directory at a time, so that their number is
// bounded by the kernel's own limit (500) and not by the page that holds mount(2)'s options.
func mountEach(target string, s Stack) error {
	m, err := detached(s)
	if err != nil {
		return err
	}
	defer unix.Close(m)
	if err := unix.MoveMount(m, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// detached makes a mount that has no place yet.
func detached(s Stack) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	set := func(key, value string) error {
		if err := unix.FsconfigSetString(fs, key, value); err != nil {
			return fmt.Errorf("%s=%s: %w%s", key, value, err, kernelSays(fs))
		}
		return nil
	}
	for _, dir := range s.Lower {
		if err := set("lowerdir+", dir); err != nil {
			return -1, err
		}
	}
	if s.Upper != "" {
		if err := errors.Join(set("upperdir", s.Upper), set("workdir", s.Work)); err != nil {
			return -1, err
		}
	}
	for _, o := range options {
		if known(o) {
			if err := set(o, "off"); err != nil {
				return -1, err
			}
		}
	}
	if err := unix.FsconfigSetString(fs, "source", "overlay"); err != nil {
		return -1, fmt.Errorf("source: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("create: %w%s", err, kernelSays(fs))
	}
	attr := 0
	if s.Upper == "" {
		attr = unix.MOUNT_ATTR_RDONLY
	}
	m, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
	if err != nil {
		return -1, fmt.Errorf("fsmount: %w", err)
	}
	return m, nil
}

// kernelSays reads the explanation that a file system context keeps (fsopen(2)).
func kernelSays(fs int) string {
	var b [512]byte
	var said []string
	for range 8 {
		n, err := unix.Read(fs, b[:])
		if err != nil || n <= 2 {
			break
		}
		said = append(said, strings.TrimSpace(string(b[2:n])))
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}

// mountOnce uses mount(2). Its options must fit a page, so directories are named by
// descriptors, which also spares escaping colons and commas.
func mountOnce(target string, s Stack) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	open := func(dir string) (string, error) {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", &os.PathError{Op: "open", Path: dir, Err: err}
		}
		fds = append(fds, fd)
		return fmt.Sprintf("/proc/self/fd/%d", fd), nil
	}
	var lower []string
	for _, dir := range s.Lower {
		p, err := open(dir)
		if err != nil {
			return err
		}
		lower = append(lower, p)
	}
	data := "lowerdir=" + strings.Join(lower, ":")
	flags := uintptr(unix.MS_RDONLY)
	if s.Upper != "" {
		upper, err := open(s.Upper)
		if err != nil {
			return err
		}
		work, err := open(s.Work)
		if err != nil {
			return err
		}
		data += ",upperdir=" + upper + ",workdir=" + work
		flags = 0
	}
	for _, o := range options {
		if known(o) {
			data += "," + o + "=off"
		}
	}
	if len(data) >= os.Getpagesize() {
		return fmt.Errorf("%d lower directories are too many for this kernel", len(s.Lower))
	}
	return unix.Mount("overlay", target, "overlay", flags, data)
}
