package engine

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/stream"
)

// defaultStopTimeout is how long a container may take for its stop signal
// before it is killed when the client says nothing.
const defaultStopTimeout = 10 * time.Second

// ContainerStop serves POST /containers/(id or name)/stop.
func (e *Engine) ContainerStop(ctx context.Context, p *hub.ContainerStopParams) error {
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if !c.Record().State.Active() {
		return fault.NotModified("Container already stopped")
	}
	ctx, done := e.carryOn(ctx, timeout(p.T))
	defer done()
	return e.stop(ctx, c, timeout(p.T))
}

// carryOn gives a stop or a restart a context that goes on when its client leaves:
// half of it helps nobody, and a container that does not heed its signal would go on
// with it. It ends with the engine, which waits for it. What may take for ever does
// so only as long as the client waits.
func (e *Engine) carryOn(ctx context.Context, patience time.Duration) (_ context.Context, done func()) {
	if patience < 0 {
		return ctx, func() {}
	}
	e.work.Add(1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
		e.work.Done()
	}
}

// timeout reads the parameter t: seconds, negative for ever.
func timeout(t *int64) time.Duration {
	switch {
	case t == nil:
		return defaultStopTimeout
	case *t < 0:
		return -1
	}
	return time.Duration(min(*t, 1<<31)) * time.Second
}

// stop ends a run: the stop signal, then, after the timeout, SIGKILL. It
// returns when the end has been worked off. Called with the lock held.
func (e *Engine) stop(ctx context.Context, c *container.Container, patience time.Duration) error {
	c.Update(func(r *container.Record) { r.Stopped = true })
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	task, err := e.runningTask(c)
	if err != nil {
		// Between two runs, or it ended by itself meanwhile.
		if err := e.settle(ctx, c.ID); err != nil {
			return err
		}
		e.haltRestarting(c)
		return nil
	}
	sig, err := parseSignal(string(c.Record().Config.StopSignal), syscall.SIGTERM)
	if err != nil {
		return err
	}
	if c.Record().State.Status == container.Paused {
		// A frozen process cannot take a signal.
		if err := e.resume(ctx, c); err != nil {
			return err
		}
	}
	if err := e.signal(c, sig, func() error { return task.Signal(ctx, sig) }); err != nil && !errdefs.IsConflict(err) {
		return fault.Internal("Cannot stop container %s: %w", c.ID, err)
	}
	if patience >= 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-task.Done():
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			if err := e.killAll(ctx, c, task); err != nil && !errdefs.IsConflict(err) {
				return fault.Internal("Cannot kill container %s: %w", c.ID, err)
			}
		}
	}
	r, err := c.Await(ctx, func(r *container.Record) bool { return !r.State.Active() })
	if err != nil {
		return err
	}
	if err := e.settle(ctx, c.ID); err != nil {
		return err
	}
	e.publish(r, "stop", nil)
	return nil
}

// haltRestarting ends the wait between two runs, if there is one.
func (e *Engine) haltRestarting(c *container.Container) {
	e.cancelRestart(c.ID)
	halted := false
	r := c.Update(func(r *container.Record) {
		if r.State.Status == container.Restarting {
			r.State.Status = container.Exited
			halted = true
		}
	})
	if halted {
		if err := e.save(c); err != nil {
			e.Logger.Error("the end of a container could not be recorded", "container", c.ID, "error", err)
		}
		e.publish(r, "stop", nil)
	}
}

// ContainerRestart serves POST /containers/(id or name)/restart. A container
// that does not run is started.
func (e *Engine) ContainerRestart(ctx context.Context, p *hub.ContainerRestartParams) error {
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkAlive(c.Record(), "started"); err != nil {
		return err
	}
	if c.Record().State.Status == container.Paused {
		return fault.Conflict("Cannot restart container %s: Container %s is paused. Unpause the container before stopping", p.Name, c.ID)
	}
	ctx, done := e.carryOn(ctx, timeout(p.T))
	defer done()
	if c.Record().State.Active() {
		c.Update(func(r *container.Record) { r.Renewed = true })
		defer c.Update(func(r *container.Record) { r.Renewed = false })
		if err := e.stop(ctx, c, timeout(p.T)); err != nil {
			return err
		}
	}
	if err := e.settle(ctx, c.ID); err != nil {
		return err
	}
	if err := e.start(context.WithoutCancel(ctx), c, c.Record().RestartCount); err != nil {
		return err
	}
	e.publish(c.Record(), "restart", nil)
	return nil
}

// ContainerKill serves POST /containers/(id or name)/kill. Signals other than
// SIGKILL go to the first process; SIGKILL goes to all and is waited for.
func (e *Engine) ContainerKill(ctx context.Context, p *hub.ContainerKillParams) error {
	sig, err := parseSignal(p.Signal, syscall.SIGKILL)
	if err != nil {
		return err
	}
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	// No lock: a stop that waits for the container must not keep kill out.
	task, err := e.runningTask(c)
	if err != nil {
		return fault.Conflict("Cannot kill container %s: Container %s is not running", p.Name, c.ID)
	}
	if sig != syscall.SIGKILL {
		if c.Record().State.Status == container.Paused {
			return fault.Conflict("Container %s is paused. Unpause the container before stopping or killing", c.ID)
		}
		if err := e.signal(c, sig, func() error { return task.Signal(ctx, sig) }); err != nil {
			return killError(ctx, p.Name, c, err)
		}
		return nil
	}
	c.Update(func(r *container.Record) { r.Stopped = true })
	if err := e.killAll(ctx, c, task); err != nil {
		return killError(ctx, p.Name, c, err)
	}
	if _, err = c.Await(ctx, func(r *container.Record) bool { return !r.State.Live() }); err != nil {
		return err
	}
	e.told(c)
	e.recorded(c) // else a loss of power would bring back what was killed
	return nil
}

// told waits until the end that shows in the state is in the history, too.
func (e *Engine) told(c *container.Container) {
	l := e.known(c.ID)
	if l == nil {
		return // removed since, and told
	}
	l.telling.Lock()
	defer l.telling.Unlock()
}

// signal sends a signal and tells of it. The end that it may bring about is told
// after that (see finish).
func (e *Engine) signal(c *container.Container, sig syscall.Signal, send func() error) error {
	l := e.live(c.ID)
	l.telling.Lock()
	defer l.telling.Unlock()
	if err := send(); err != nil {
		return err
	}
	e.publish(c.Record(), "kill", signalAttribute(sig))
	return nil
}

// killAll kills all processes of a container, also of one that is paused.
func (e *Engine) killAll(ctx context.Context, c *container.Container, task *runtime.Task) error {
	return e.signal(c, syscall.SIGKILL, func() error {
		if err := task.KillAll(ctx, syscall.SIGKILL); err != nil || c.Record().State.Status != container.Paused {
			return err
		}
		if err := task.Resume(ctx); err != nil && !errdefs.IsConflict(err) {
			return err
		}
		return nil
	})
}

// killError words the failure of a kill. A container that has just ended is
// known to have ended when the client hears of it.
func killError(ctx context.Context, name string, c *container.Container, err error) error {
	id := c.ID
	if errdefs.IsConflict(err) || errors.Is(err, unix.ESRCH) {
		wait, cancel := context.WithTimeout(ctx, endNoticed)
		defer cancel()
		_, _ = c.Await(wait, func(r *container.Record) bool { return !r.State.Live() }) // if not, the answer is the same
		return fault.Conflict("Cannot kill container %s: Container %s is not running", name, id)
	}
	return fault.Internal("Cannot kill container %s: %w", name, err)
}

// ContainerPause serves POST /containers/(id or name)/pause.
func (e *Engine) ContainerPause(ctx context.Context, p *hub.ContainerPauseParams) error {
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return err
	}
	defer unlock()
	task, err := e.runningTask(c)
	if err != nil {
		return err
	}
	if c.Record().State.Status == container.Paused {
		return fault.Conflict("Container %s is already paused", c.ID)
	}
	if err := task.Pause(ctx); err != nil {
		return fault.Internal("Cannot pause container %s: %w", p.Name, err)
	}
	r := c.Update(func(r *container.Record) {
		if r.State.Status == container.Running {
			r.State.Status = container.Paused
		}
	})
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	e.publish(r, "pause", nil)
	return nil
}

// ContainerUnpause serves POST /containers/(id or name)/unpause.
func (e *Engine) ContainerUnpause(ctx context.Context, p *hub.ContainerUnpauseParams) error {
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if c.Record().State.Status != container.Paused {
		return fault.Conflict("Container %s is not paused", c.ID)
	}
	return e.resume(ctx, c)
}

func (e *Engine) resume(ctx context.Context, c *container.Container) error {
	task, err := e.runningTask(c)
	if err != nil {
		return err
	}
	if err := task.Resume(ctx); err != nil {
		return fault.Internal("Cannot unpause container %s: %w", c.ID, err)
	}
	r := c.Update(func(r *container.Record) {
		if r.State.Status == container.Paused {
			r.State.Status = container.Running
		}
	})
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	e.publish(r, "unpause", nil)
	return nil
}

// ContainerWait serves POST /containers/(id or name)/wait: the exit code of the
// present run, or at once that of the last one. The head of the answer goes out
// before the container ends, so that a client knows that it is waited for.
func (e *Engine) ContainerWait(ctx context.Context, p *hub.ContainerWaitParams, out stream.Output) error {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	if err := out.Begin(); err != nil {
		return err
	}
	r, err := c.Await(ctx, func(r *container.Record) bool { return !r.State.Active() })
	if err != nil {
		return err
	}
	e.recorded(c)
	return out.Encode(&models.ContainerWaitResponse{StatusCode: int64(r.State.ExitCode)})
}

// ContainerResize serves POST /containers/(id or name)/resize.
func (e *Engine) ContainerResize(ctx context.Context, p *hub.ContainerResizeParams) error {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	height, width, err := terminalSize(p.H, p.W)
	if err != nil {
		return err
	}
	task, err := e.runningTask(c)
	if err != nil {
		// Clients resize as soon as they have asked for the start: wait for it.
		unlock, lockErr := c.Lock(ctx)
		if lockErr != nil {
			return lockErr
		}
		unlock()
		if task, err = e.runningTask(c); err != nil {
			return fault.Conflict("Cannot resize container %s, container is not running", c.ID)
		}
	}
	if err := task.Resize(ctx, height, width); err != nil {
		return fault.Internal("Cannot resize container %s: %w", c.ID, err)
	}
	e.publish(c.Record(), "resize", map[string]string{"height": itoa(p.H), "width": itoa(p.W)})
	return nil
}

func terminalSize(h, w int64) (height, width uint16, err error) {
	if h < 0 || w < 0 || h > 0xffff || w > 0xffff {
		return 0, 0, fault.Invalid("a terminal of %d × %d characters is not possible", w, h)
	}
	return uint16(h), uint16(w), nil
}
