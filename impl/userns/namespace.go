package userns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// NewNetwork makes a user namespace with the map and a network namespace that
// belongs to it, which is returned; Owner gives the user namespace. Both are gone
// with the last file, mount or process that holds them.
func (m Map) NewNetwork() (*os.File, error) {
	if m.None() {
		return nil, fmt.Errorf("make a user namespace: it has no ids")
	}
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The process stops when it executes its program, before it runs any of it,
		// and waits for the thread that traces it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f, err := m.newNetwork()
		done <- result{f, err}
	}()
	r := <-done
	return r.file, r.err
}

func (m Map) newNetwork() (*os.File, error) {
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{"namespaces"}, SysProcAttr: &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNET, UidMappings: sysMaps(m.UIDMaps), GidMappings: sysMaps(m.GIDMaps),
		GidMappingsEnableSetgroups: true, Ptrace: true, Pdeathsig: syscall.SIGKILL,
	}}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	f, err := os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/ns/net")
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it says that it was killed
	if err != nil {
		return nil, fmt.Errorf("make a user namespace: %w", err)
	}
	return f, nil
}

// Owner opens the user namespace that a namespace belongs to (ioctl_ns(2)).
func Owner(namespace *os.File) (*os.File, error) {
	fd, err := unix.IoctlRetInt(int(namespace.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return nil, fmt.Errorf("find the user namespace of %s: %w", namespace.Name(), os.NewSyscallError("ioctl", err))
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "user namespace"), nil
}

// Own says whether a user namespace is the one that this process is in.
func Own(namespace *os.File) (bool, error) {
	self, err := os.Stat("/proc/self/ns/user")
	if err != nil {
		return false, err
	}
	other, err := namespace.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(self, other), nil
}

// Place puts a copy of the mount that a directory is on, from that directory on,
// at an empty one. There, ids are as they are in the user namespace (its file):
// what belongs to 0 on the disk belongs to its root.
func Place(dir, place string, namespace *os.File) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: dir, Err: err}
	}
	defer unix.Close(tree)
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(namespace.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return &os.PathError{Op: "mount_setattr", Path: dir, Err: err}
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "move_mount", Path: place, Err: err}
	}
	return nil
}
