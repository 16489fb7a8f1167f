package runtime

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var errSkeleton = errors.New("runtime: not built yet")

// Runtime starts containers and finds them again.
type Runtime struct{ opts Options }

// New prepares Root and checks that the shim and the monitor can be run.
func New(opts Options) (*Runtime, error) { return &Runtime{opts}, nil }

// Start starts a container and returns when its process has been executed.
// A container that cannot be started gives a *StartError; then nothing is left
// of it. An id that has a handle gives errdefs.ErrAlreadyExists.
func (r *Runtime) Start(ctx context.Context, spec *Spec) (*Task, error) { return nil, errSkeleton }

// List names the containers that have a handle, running or not, in no order.
func (r *Runtime) List() ([]string, error) { return nil, errSkeleton }

// Load finds a container again, after a restart of the daemon. A container
// whose monitor died is killed and shown as exited, with Exit.Reason. An
// unknown id gives errdefs.ErrNotFound.
func (r *Runtime) Load(ctx context.Context, id string) (*Task, error) { return nil, errSkeleton }

// Task is a container that was started: running, paused or exited. All
// methods can be called at any time and from several goroutines; those that
// need a running container give errdefs.ErrFailedPrecondition after its end.
type Task struct{ id string }

// ID is the container's id.
func (t *Task) ID() string { return t.id }

// Pid is the pid of the container's first process in the daemon's pid
// namespace; it stays the same after the end, when it means nothing any more.
func (t *Task) Pid() int { return 0 }

// StartedAt is when the container's process was executed.
func (t *Task) StartedAt() time.Time { return time.Time{} }

// Root is a path through which the daemon sees the container's root, with the
// overlay mounted, as long as the container runs.
func (t *Task) Root() string { return "" }

// Done is closed when the container has ended.
func (t *Task) Done() <-chan struct{} { return nil }

// Exit says how the container ended; ok is false while it runs.
func (t *Task) Exit() (exit Exit, ok bool) { return Exit{}, false }

// Wait waits for the end of the container or of ctx.
func (t *Task) Wait(ctx context.Context) (Exit, error) { return Exit{}, errSkeleton }

// OOM delivers a value when the kernel killed processes of the container for
// its memory limit (several kills may give one value). It is never closed.
func (t *Task) OOM() <-chan struct{} { return nil }

// Signal sends sig to the container's first process.
func (t *Task) Signal(ctx context.Context, sig syscall.Signal) error { return errSkeleton }

// KillAll sends sig to every process of the container.
func (t *Task) KillAll(ctx context.Context, sig syscall.Signal) error { return errSkeleton }

// Pause freezes all processes of the container.
func (t *Task) Pause(ctx context.Context) error { return errSkeleton }

// Resume thaws a paused container.
func (t *Task) Resume(ctx context.Context) error { return errSkeleton }

// Paused says whether the container is frozen.
func (t *Task) Paused(ctx context.Context) (bool, error) { return false, errSkeleton }

// Resize sets the size of the container's terminal in characters.
func (t *Task) Resize(ctx context.Context, height, width uint16) error { return errSkeleton }

// Attach connects a client to the container's standard streams.
func (t *Task) Attach(ctx context.Context, opts AttachOptions) (*Attachment, error) {
	return nil, errSkeleton
}

// Exec runs a further process in the container. Errors as Runtime.Start; a
// paused container gives errdefs.ErrFailedPrecondition.
func (t *Task) Exec(ctx context.Context, spec *ExecSpec) (*ExecTask, error) { return nil, errSkeleton }

// Execs names the execs of the container that have a handle.
func (t *Task) Execs() ([]string, error) { return nil, errSkeleton }

// LoadExec finds an exec again after a restart of the daemon, running or exited.
func (t *Task) LoadExec(ctx context.Context, id string) (*ExecTask, error) { return nil, errSkeleton }

// Update changes the limits of the running container. Nil fields stay as they are.
func (t *Task) Update(ctx context.Context, res *specs.LinuxResources) error { return errSkeleton }

// Pids lists the container's processes in the daemon's pid namespace.
func (t *Task) Pids(ctx context.Context) ([]int, error) { return nil, errSkeleton }

// Stats reads the container's cgroups.
func (t *Task) Stats(ctx context.Context) (*Stats, error) { return nil, errSkeleton }

// Delete removes the handle and everything that is left of an exited
// container. A running one gives errdefs.ErrFailedPrecondition.
func (t *Task) Delete(ctx context.Context) error { return errSkeleton }

// Stats are the kernel's numbers for a container.
type Stats struct {
	// Read is when they were read.
	Read time.Time
	// Unified is true on cgroup v2.
	Unified bool
	// Cgroup are the numbers, in the units of the kernel's files as the
	// cgroups package documents them (CPU times in nanoseconds).
	Cgroup *cgroups.Stats
}

// ExecTask is a further process in a container.
type ExecTask struct{ id string }

// ID is the exec's id.
func (e *ExecTask) ID() string { return e.id }

// Pid is as for Task.
func (e *ExecTask) Pid() int { return 0 }

// StartedAt is as for Task.
func (e *ExecTask) StartedAt() time.Time { return time.Time{} }

// Done is as for Task.
func (e *ExecTask) Done() <-chan struct{} { return nil }

// Exit is as for Task.
func (e *ExecTask) Exit() (exit Exit, ok bool) { return Exit{}, false }

// Wait is as for Task.
func (e *ExecTask) Wait(ctx context.Context) (Exit, error) { return Exit{}, errSkeleton }

// Signal sends sig to the process.
func (e *ExecTask) Signal(ctx context.Context, sig syscall.Signal) error { return errSkeleton }

// Resize is as for Task.
func (e *ExecTask) Resize(ctx context.Context, height, width uint16) error { return errSkeleton }

// Attach is as for Task; the Position is always zero.
func (e *ExecTask) Attach(ctx context.Context, opts AttachOptions) (*Attachment, error) {
	return nil, errSkeleton
}

// Delete removes the handle of an exited exec.
func (e *ExecTask) Delete(ctx context.Context) error { return errSkeleton }
