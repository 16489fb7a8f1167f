// Package containerfs works on the files of a container from inside of its own
// root: the kernel, not path arithmetic, keeps the work there, also when the
// container swaps directories for links meanwhile (CVE-2018-15664) or when a
// library loads something by its path (CVE-2019-14271).
package containerfs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/overlay"
	"github.com/seed-50ced230/berth/impl/thread"
	"github.com/seed-50ced230/berth/impl/userns"
)

// View is a container's tree. Either Root or Stack is set.
type View struct {
	// Root is the root directory of a running container, as the container sees it.
	// It stays the caller's and must be open as long as the view is used.
	Root *os.File
	// IDs is the map of a running container's user namespace. Archives have the
	// container's ids.
	IDs userns.Map
	// Stack and Target are the overlay of a container that does not run and an
	// empty directory to mount it on; nobody else sees the mount.
	Stack  overlay.Stack
	Target string
	// Binds are mounted in the tree of a container that does not run, in this
	// order. Without Stack.Upper the tree is read-only, and the places must be
	// there.
	Binds []Bind
	// Entered, if set, is called as soon as the tree is mounted: what was needed
	// for that only can be let go.
	Entered func()
}

// Bind is a directory or file of the host at a path of the container.
type Bind struct {
	Source, Destination string
	ReadOnly            bool
}

// Run calls f with the container's root as the root of all paths. f must not
// start goroutines that open paths: they would see the host. The thread that
// ran f ends with it, so that nothing of the view outlives Run.
func (v View) Run(f func() error) error {
	// Its thread ends with it, and what the runtime needs next is another.
	if err := thread.Spare(4); err != nil {
		return fault.Internal("look into the container: %w", err)
	}
	done := make(chan error, 1)
	go v.runLocked(f, done)
	return <-done
}

// runLocked never unlocks its thread: the end of the goroutine ends it.
func (v View) runLocked(f func() error, done chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread does not end. Hold it here and use another.
		inner := make(chan error, 1)
		go v.runLocked(f, inner)
		done <- <-inner
		runtime.UnlockOSThread()
		return
	}
	if err := v.enter(); err != nil {
		done <- fmt.Errorf("enter the container's root: %w", err)
		return
	}
	if v.Entered != nil {
		// Elsewhere, because this thread's root is the container's.
		entered := make(chan struct{})
		go func() {
			defer close(entered)
			v.Entered()
		}()
		<-entered
	}
	done <- guarded(func() error { return v.IDs.AsRoot(f) })
}

// guarded turns a panic into an error: this goroutine is not the request's, so
// nobody else would catch what a hostile archive may provoke in a library, and it
// would end the daemon.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			// The stack is for the log only, the error for the client.
			slog.Error("panic in work on a container's files", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("work on the container's files failed: %v", p)
		}
	}()
	return f()
}

// enter makes the view the root of the calling thread.
func (v View) enter() error {
	flags := unix.CLONE_FS
	if v.Root == nil {
		flags |= unix.CLONE_NEWNS
	}
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := v.descend(); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return os.NewSyscallError("chroot", err)
	}
	return unix.Chdir("/")
}

// descend makes the root of the tree the calling thread's directory.
func (v View) descend() error {
	if v.Root != nil {
		return os.NewSyscallError("fchdir", unix.Fchdir(int(v.Root.Fd())))
	}
	if err := v.mount(); err != nil {
		return err
	}
	if err := unix.Chdir(v.Target); err != nil {
		return &os.PathError{Op: "chdir", Path: v.Target, Err: err}
	}
	return nil
}

// mount builds the tree in the thread's own mount namespace.
func (v View) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := overlay.Mount(v.Target, v.Stack); err != nil {
		return err
	}
	for _, b := range v.Binds {
		if err := v.bind(b); err != nil {
			return fmt.Errorf("mount %s at %s: %w", b.Source, b.Destination, err)
		}
	}
	return nil
}

// bind mounts a volume. The tree is at rest, so that joining the path before
// the mount is safe; what is missing on the way is made, as a start would.
func (v View) bind(b Bind) error {
	info, err := os.Stat(b.Source)
	if errors.Is(err, os.ErrNotExist) {
		return nil // nothing to see there
	}
	if err != nil {
		return err
	}
	target, err := securejoin.SecureJoin(v.Target, b.Destination)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		var f *os.File
		if f, err = os.OpenFile(target, os.O_CREATE|os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(b.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if !b.ReadOnly {
		return nil
	}
	return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}
