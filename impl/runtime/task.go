package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/cgroups"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Task is a container that was started: running, paused or exited. All
// methods can be called at any time and from several goroutines; those that
// need a running container give errdefs.ErrConflict after its end.
type Task struct {
	*followed
	runtime *Runtime
	id      string
}

func (r *Runtime) newTask(id string, c *child) *Task {
	t := &Task{runtime: r, id: id}
	h := c.handle
	t.followed = follow("container "+id, r.dir(id), c, func() {
		if m, err := managerOf(h); err == nil {
			killCgroup(m)
		}
	})
	return t
}

// ID is the container's id.
func (t *Task) ID() string { return t.id }

// Run is the number that Spec.Run gave the run; 0 if none.
func (t *Task) Run() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.handle.Run
}

// manager makes a cgroup manager for one operation on a running container.
func (t *Task) manager() (cgroups.Manager, error) {
	if _, over := t.Exit(); over {
		return nil, t.errEnded()
	}
	t.mu.Lock()
	h := t.handle
	t.mu.Unlock()
	return managerOf(&h)
}

// Signal sends sig to the container's first process. SIGKILL thaws a paused
// container, because a frozen process does not die on cgroup v1. An ended
// container gives errdefs.ErrConflict.
func (t *Task) Signal(ctx context.Context, sig syscall.Signal) error {
	if err := t.followed.Signal(ctx, sig); err != nil || sig != syscall.SIGKILL {
		return err
	}
	return t.thaw(ctx)
}

func (t *Task) thaw(ctx context.Context) error {
	if paused, err := t.Paused(ctx); err != nil || !paused {
		return nil // it is over, or not frozen
	}
	if err := t.Resume(ctx); err != nil && !errors.Is(err, errdefs.ErrConflict) {
		return err
	}
	return nil
}

// KillAll sends sig to every process of the container, with SIGKILL as Signal.
func (t *Task) KillAll(ctx context.Context, sig syscall.Signal) error {
	m, err := t.manager()
	if err != nil {
		return err
	}
	if err := signalCgroup(m, sig); err != nil || sig != syscall.SIGKILL {
		return err
	}
	return t.thaw(ctx)
}

// Pause freezes all processes of the container. A paused one stays so.
func (t *Task) Pause(ctx context.Context) error {
	err := t.freeze(cgroups.Frozen)
	if err != nil && strings.HasSuffix(err.Error(), unableToFreeze) {
		return t.freezeSlowly(ctx, err)
	}
	return err
}

// unableToFreeze is the text, and all that there is, of the cgroup library's error
// when processes of a cgroup of version 1 are not frozen within a millisecond or two,
// tried twenty times.
const unableToFreeze = "unable to freeze"

// freezeSlowly gives them the time that they need to come to where they are frozen, on a
// host that has little of it for them. Those that fork meanwhile may have to be
// thawed in between, each time later: 25 s in all. When it fails, with cause, the
// container is not frozen.
func (t *Task) freezeSlowly(ctx context.Context, cause error) (err error) {
	m, err := t.manager()
	if err != nil {
		return err
	}
	dir := m.Path("freezer")
	write := func(state cgroups.FreezerState) error { return cgroups.WriteFile(dir, "freezer.state", string(state)) }
	defer func() {
		if err != nil {
			_ = write(cgroups.Thawed)
		}
	}()
	for window := 200 * time.Millisecond; window < 20*time.Second; window *= 2 {
		for end := time.Now().Add(window); time.Now().Before(end); {
			if err := write(cgroups.Frozen); err != nil {
				return t.failed(fmt.Errorf("freezer of %s: %w", t.what, err))
			}
			// Not GetFreezerState, which waits without end for processes that the
			// kernel does not let go.
			state, err := cgroups.ReadFile(dir, "freezer.state")
			if err != nil {
				return t.failed(fmt.Errorf("freezer of %s: %w", t.what, err))
			}
			if strings.TrimSpace(state) == string(cgroups.Frozen) {
				return nil
			}
			if ctx.Err() != nil {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		_ = write(cgroups.Thawed)
		if ctx.Err() != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return cause
}

// Resume thaws a paused container. A running one stays so.
func (t *Task) Resume(_ context.Context) error { return t.freeze(cgroups.Thawed) }

func (t *Task) freeze(state cgroups.FreezerState) error {
	m, err := t.manager()
	if err != nil {
		return err
	}
	if err := m.Freeze(state); err != nil {
		return t.failed(fmt.Errorf("freezer of %s: %w", t.what, err))
	}
	return nil
}

// Paused says whether the container is frozen.
func (t *Task) Paused(_ context.Context) (bool, error) {
	m, err := t.manager()
	if err != nil {
		return false, err
	}
	state, err := m.GetFreezerState()
	if err != nil {
		return false, t.failed(fmt.Errorf("freezer of %s: %w", t.what, err))
	}
	return state == cgroups.Frozen, nil
}

// Pids lists the container's processes in the daemon's pid namespace.
func (t *Task) Pids(_ context.Context) ([]int, error) {
	m, err := t.manager()
	if err != nil {
		return nil, err
	}
	pids, err := m.GetAllPids()
	if err != nil {
		return nil, t.failed(fmt.Errorf("processes of %s: %w", t.what, err))
	}
	return pids, nil
}

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

// Stats reads the container's cgroups.
func (t *Task) Stats(_ context.Context) (*Stats, error) {
	m, err := t.manager()
	if err != nil {
		return nil, err
	}
	s, err := m.GetStats()
	if err != nil {
		return nil, t.failed(fmt.Errorf("statistics of %s: %w", t.what, err))
	}
	return &Stats{Read: time.Now(), Unified: cgroups.IsCgroup2UnifiedMode(), Cgroup: s}, nil
}

// Delete removes the handle and everything that is left of an exited
// container. A running one gives errdefs.ErrConflict.
func (t *Task) Delete(_ context.Context) error {
	if _, over := t.Exit(); !over {
		return fault.Conflict("%s is running", t.what)
	}
	t.mu.Lock()
	h := t.handle
	t.mu.Unlock()
	m, err := managerOf(&h)
	if err != nil {
		return err
	}
	if err := m.Destroy(); err != nil {
		return fmt.Errorf("remove the cgroup of %s: %w", t.what, err)
	}
	for _, dir := range []string{t.runtime.stateDir(t.id), t.dir} {
		if err := removeDir(dir); err != nil {
			return fmt.Errorf("remove the handle of %s: %w", t.what, err)
		}
	}
	return nil
}
