// Package netns makes, enters and removes network namespaces that are kept
// alive by a bind mount, from inside the process.
//
// A thread that changed its namespace must never run other goroutines: every
// function here works on a thread of its own that is given back only after it
// has returned to the namespace it came from, and is destroyed otherwise.
package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// selfNS is the namespace of the calling thread; /proc/self/ns would be that
// of the thread group's leader.
const selfNS = "/proc/thread-self/ns/net"

// Create makes a namespace, pins it at path (which must not exist; its folder
// must) and calls setup on a thread inside it. If anything fails, nothing stays.
//
// The pin is one bind mount. Copies of it that other mount namespaces hold (a
// process that unshared while it existed) do not keep the namespace alive: to
// unlink the mount point, as Remove does, detaches them all
// (fs/namei.c, vfs_unlink → detach_mounts).
func Create(path string, setup func() error) error {
	return pinned(path, func() error {
		return onThread(func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("unshare network namespace: %w", err)
			}
			if err := pin(selfNS, path); err != nil {
				return err
			}
			return setup()
		})
	})
}

// New makes a namespace that lives as long as the returned file is open, or what
// Pin makes of it. setup is called on a thread inside it.
func New(setup func() error) (namespace *os.File, err error) {
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network namespace: %w", err)
		}
		if namespace, err = Own(); err != nil {
			return err
		}
		if err := setup(); err != nil {
			return errors.Join(err, namespace.Close())
		}
		return nil
	})
	return namespace, err
}

// Pin is Create for a namespace that is there: one that belongs to another user
// namespace than this process's, or one of New's.
func Pin(path string, namespace *os.File, setup func() error) error {
	return pinned(path, func() error {
		if err := pin(fmt.Sprintf("/proc/self/fd/%d", namespace.Fd()), path); err != nil {
			return err
		}
		return Do(path, setup)
	})
}

// pinned calls f with a file at path to pin a namespace at, and takes both away
// when it fails.
func pinned(path string, f func() error) (err error) {
	place, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("make namespace mount point: %w", err)
	}
	place.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, Remove(path))
		}
	}()
	return f()
}

func pin(namespace, path string) error {
	if err := unix.Mount(namespace, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin network namespace at %s: %w", path, err)
	}
	return nil
}

// Own opens the namespace of the calling thread, which is the process's unless
// called within Create or Do.
func Own() (*os.File, error) {
	f, err := os.Open(selfNS)
	if err != nil {
		return nil, fmt.Errorf("open own network namespace: %w", err)
	}
	return f, nil
}

// Do calls fn on a thread inside the namespace at path.
func Do(path string, fn func() error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer f.Close()
	return onThread(func() error {
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return fn()
	})
}

// onThread runs fn on a locked thread and brings the thread back. The thread
// of a goroutine that ends while locked is destroyed by the Go runtime; that
// is what happens when the way back fails.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(selfNS)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open own network namespace: %w", err)
			return
		}
		defer home.Close()
		err = fn()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// Remove takes the pin away; the kernel destroys the namespace, in its own
// time, when no process and no file descriptor holds it any more. A path that
// does not exist is no error.
func Remove(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == nil {
			continue // someone may have mounted twice
		}
		if err == unix.EINVAL || err == unix.ENOENT {
			break // not a mount point (any more)
		}
		return fmt.Errorf("unpin network namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpin network namespace: %w", err)
	}
	return nil
}

// Pinned tells whether a namespace is mounted at path. The plain file that a
// reboot leaves behind is none.
func Pinned(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// List gives the paths in dir that Create made, pinned or not.
func List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	paths := make([]string, 0, len(entries))
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths, nil
}
