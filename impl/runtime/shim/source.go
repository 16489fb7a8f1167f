package shim

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// openSources opens the sources of bind mounts that have to come from another
// mount namespace than the one the container is made in, as detached copies
// (open_tree(2)), by their index in the order's mounts:
//   - what is borrowed from other containers, from theirs;
//   - what the container shares with the host both ways (propagation "shared"),
//     from the host's, where this program still is. A copy is a peer of the
//     host's mount. All else that the container has is only its slave.
func openSources(order *protocol.Order, namespaces []int) (map[int]int, error) {
	trees := map[int]int{}
	for i, b := range order.Borrow {
		fd, err := openTreeIn(namespaces[i], b.Path)
		if err != nil {
			return nil, fmt.Errorf("take %s of another container: %w", b.Path, err)
		}
		_ = unix.Close(namespaces[i])
		trees[b.Mount] = fd
	}
	for i, m := range order.OCI.Mounts {
		if _, done := trees[i]; done || !shared(m) {
			continue
		}
		fd, err := openTree(m.Source, slices.Contains(m.Options, "rbind"))
		if err != nil {
			return nil, fmt.Errorf("share a mount with the host: %w", err)
		}
		trees[i] = fd
	}
	return trees, nil
}

func shared(m specs.Mount) bool {
	return m.Type == "bind" && (slices.Contains(m.Options, "shared") || slices.Contains(m.Options, "rshared"))
}

// stageSources gives opened sources a place in the handle directory, in this
// mount namespace alone, and has them bound from there: the kernel binds only
// what the own namespace has (mount(2), EINVAL).
func stageSources(order *protocol.Order, trees map[int]int) error {
	for i, fd := range trees {
		place := filepath.Join(order.Dir, protocol.BorrowedName+strconv.Itoa(i))
		if err := attach(fd, place); err != nil {
			return err
		}
		_ = unix.Close(fd)
		order.OCI.Mounts[i].Source = place
	}
	return nil
}

// attach mounts a tree at a new file or directory, as the tree's root is.
func attach(fd int, place string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat the source for", Path: place, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := os.Mkdir(place, 0o700); err != nil {
			return err
		}
	} else if err := os.WriteFile(place, nil, 0o600); err != nil {
		return err
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, place, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "move_mount", Path: place, Err: err}
	}
	return nil
}

func openTree(path string, recursive bool) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: path, Err: err}
	}
	return fd, nil
}

// openTreeIn opens a copy of the mount at a path of another mount namespace,
// on a thread that moves there for good.
func openTreeIn(namespace int, path string) (int, error) {
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			done <- result{-1, fmt.Errorf("leave the program's root: %w", err)}
			return
		}
		if err := unix.Setns(namespace, unix.CLONE_NEWNS); err != nil {
			done <- result{-1, fmt.Errorf("join the mount namespace: %w", err)}
			return
		}
		fd, err := openTree(path, false)
		done <- result{fd, err}
	}()
	tree := <-done
	return tree.fd, tree.err
}
