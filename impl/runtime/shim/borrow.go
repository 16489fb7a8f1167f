package shim

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// borrowed is the source of a bind mount that belongs to another container: a
// path in the root of one of its processes.
var borrowed = regexp.MustCompile(`^(/proc/[1-9][0-9]*)/root(/.+)$`)

// borrowMounts brings what other containers share (their /dev/shm) into this
// mount namespace, in the handle directory, and has it bound from there: the
// kernel binds only what the own namespace has (mount(2), EINVAL).
func borrowMounts(order *protocol.Order) error {
	for i := range order.OCI.Mounts {
		m := &order.OCI.Mounts[i]
		found := borrowed.FindStringSubmatch(m.Source)
		if m.Type != "bind" || found == nil {
			continue
		}
		dir := filepath.Join(order.Dir, "borrowed"+strconv.Itoa(i))
		if err := borrow(found[1]+"/ns/mnt", found[2], dir); err != nil {
			return fmt.Errorf("take %s of another container: %w", found[2], err)
		}
		order.OCI.Mounts[i] = specs.Mount{Type: m.Type, Source: dir, Destination: m.Destination, Options: m.Options}
	}
	return nil
}

// borrow attaches a copy of the mount at a path of another mount namespace to
// a new directory.
func borrow(namespace, path, dir string) error {
	ns, err := unix.Open(namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: namespace, Err: err}
	}
	defer unix.Close(ns)
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := openTreeIn(ns, path)
		done <- result{fd, err}
	}()
	tree := <-done
	if tree.err != nil {
		return tree.err
	}
	defer unix.Close(tree.fd)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.MoveMount(tree.fd, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "move_mount", Path: dir, Err: err}
	}
	return nil
}

// openTreeIn moves the calling thread for good into a mount namespace.
func openTreeIn(ns int, path string) (int, error) {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return -1, fmt.Errorf("leave the program's root: %w", err)
	}
	if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
		return -1, fmt.Errorf("join the mount namespace: %w", err)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: path, Err: err}
	}
	return fd, nil
}
