package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// ExecTask is a further process in a container. It has the methods of a task
// that concern one process. OOM never delivers.
type ExecTask struct {
	*followed
	runtime *Runtime
	id      string
}

func (t *Task) execDir(id string) string { return filepath.Join(t.dir, protocol.ExecsName, id) }

// Exec runs a further process in the container. Errors are as for
// Runtime.Start; a paused or exited container gives errdefs.ErrConflict. The
// attachments are taken over, as by Start.
func (t *Task) Exec(ctx context.Context, spec *ExecSpec) (_ *ExecTask, err error) {
	started := false
	defer func() {
		if !started {
			closeAll(spec.Attachments)
		}
	}()
	if err := checkID(spec.ID); err != nil {
		return nil, err
	}
	if spec.Process == nil {
		return nil, fault.Invalid("exec %s has no process", spec.ID)
	}
	t.runtime.Expect()
	// In a frozen cgroup the new process would never come to execute anything.
	paused, err := t.Paused(ctx)
	if err != nil {
		return nil, err
	}
	if paused {
		return nil, fault.Conflict("%s is paused, unpause the container before exec", t.what)
	}
	dir := t.execDir(spec.ID)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("make the handle directory: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil, fault.Conflict("exec %s is known to the runtime already", spec.ID)
		}
		return nil, fmt.Errorf("make the handle directory: %w", err)
	}
	defer func() {
		if err != nil {
			_ = removeDir(dir)
		}
	}()
	if err := (&protocol.Handle{Version: protocol.Version, ID: t.id, Exec: spec.ID}).Write(dir); err != nil {
		return nil, err
	}
	order := &protocol.Order{
		ID: t.id, Exec: spec.ID, Dir: dir, Process: spec.Process,
		Stdio: protocol.Stdio{OpenStdin: spec.OpenStdin, StdinOnce: true},
		Spool: t.runtime.spool(),
	}
	c, err := t.runtime.spawn(ctx, order, spec.Attachments, nil)
	if err != nil {
		if _, over := t.Exit(); over {
			return nil, t.errEnded()
		}
		return nil, err
	}
	started = true
	return t.newExecTask(spec.ID, dir, c), nil
}

func (t *Task) newExecTask(id, dir string, c *child) *ExecTask {
	h := c.handle
	return &ExecTask{runtime: t.runtime, id: id, followed: follow("exec "+id, dir, c, func() {
		if fd := openPidfd(h.Pid, h.PidStart); fd >= 0 {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			_ = unix.Close(fd)
		}
	})}
}

// Execs names the execs of the container that have a handle.
func (t *Task) Execs() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(t.dir, protocol.ExecsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the execs of %s: %w", t.what, err)
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, nil
}

// LoadExec finds an exec again after a restart of the daemon, running or
// exited. An unknown id gives errdefs.ErrNotFound.
func (t *Task) LoadExec(ctx context.Context, id string) (*ExecTask, error) {
	if err := checkID(id); err != nil {
		return nil, fault.NotFound("no handle for exec %s", id)
	}
	dir := t.execDir(id)
	c, err := t.runtime.loadChild(ctx, dir, "exec "+id)
	if err != nil {
		return nil, err
	}
	if c.handle == nil {
		return nil, fault.NotFound("no handle for exec %s", id)
	}
	return t.newExecTask(id, dir, c), nil
}

// ID is the exec's id.
func (e *ExecTask) ID() string { return e.id }

// Delete removes the handle of an exited exec. A running one gives
// errdefs.ErrConflict.
func (e *ExecTask) Delete(_ context.Context) error {
	if _, over := e.Exit(); !over {
		return fault.Conflict("%s is running", e.what)
	}
	if err := removeDir(e.dir); err != nil {
		return fmt.Errorf("remove the handle of %s: %w", e.what, err)
	}
	return nil
}
