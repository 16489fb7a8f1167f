package runtime

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// Proc opens a file of the container's first process by its name in /proc/<pid>
// (proc(5)) for reading. It is this container's: when its process is gone, and
// another may have its number, it gives errdefs.ErrConflict.
func (t *Task) Proc(name string) (*os.File, error) { return t.open(name, os.O_RDONLY) }

// Namespace opens a namespace of the container's first process by its name in
// /proc/<pid>/ns. Errors are as for Proc.
func (t *Task) Namespace(name string) (*os.File, error) { return t.Proc("ns/" + name) }

// Root is the root directory of a container as the container sees it, opened so
// that nothing can be read from it itself (O_PATH, open(2)). What is below is in
// the container's hands: resolve paths inside it. It stays the container's, with
// all its mounts, until it is closed, also if the container ends before.
type Root struct {
	*os.File
	mounts *os.File // keeps the mount namespace, without which there is only what the layers make
}

// Close lets the root and the mounts go.
func (r *Root) Close() error { return errors.Join(r.File.Close(), r.mounts.Close()) }

// Root opens the container's root. Errors are as for Proc.
func (t *Task) Root() (*Root, error) {
	mounts, err := t.Namespace("mnt")
	if err != nil {
		return nil, err
	}
	root, err := t.open("root", unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		_ = mounts.Close()
		return nil, err
	}
	return &Root{File: root, mounts: mounts}, nil
}

// open looks whether the process is the container's after it has opened what its
// number leads to: then that was the container's, too.
func (t *Task) open(name string, flags int) (*os.File, error) {
	t.mu.Lock()
	pid, start := t.handle.Pid, t.handle.PidStart
	t.mu.Unlock()
	f, err := os.OpenFile("/proc/"+strconv.Itoa(pid)+"/"+name, flags, 0)
	st, statErr := protocol.ReadStat(strconv.Itoa(pid))
	switch same := statErr == nil && st.StartTime == start; {
	case same && err == nil && !st.Dead():
		return f, nil
	case same && err != nil && !st.Exiting():
		return nil, fmt.Errorf("open %s of %s: %w", name, t.what, err)
	}
	if err == nil {
		_ = f.Close()
	}
	return nil, t.errEnded()
}
