package engine

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/stream"
)

// exec is one exec and what is known of its process.
type exec struct {
	mu   sync.Mutex
	desc container.Exec
	task *runtime.ExecTask
	// started is closed when task is set or the start has failed, done when the
	// process has ended and desc tells how.
	started, done chan struct{}
}

func newExec(desc container.Exec) *exec {
	return &exec{desc: desc, started: make(chan struct{}), done: make(chan struct{})}
}

func (x *exec) snapshot() container.Exec {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.desc
}

// ContainerExec serves POST /containers/(id or name)/exec.
func (e *Engine) ContainerExec(ctx context.Context, p *hub.ContainerExecParams) (*models.ExecCreateResponse, error) {
	if len(p.Body.Cmd) == 0 {
		return nil, fault.Invalid("No exec command specified")
	}
	c, err := e.execTarget(p.Name)
	if err != nil {
		return nil, err
	}
	keys, err := parseDetachKeys(p.Body.DetachKeys)
	if err != nil {
		return nil, err
	}
	e.Runtime.Expect()
	x := newExec(container.Exec{
		ID:         newID(),
		Container:  c.ID,
		Config:     *p.Body,
		Args:       slices.Clone([]string(p.Body.Cmd)),
		Privileged: p.Body.Privileged,
		User:       p.Body.User,
		DetachKeys: keys,
	})
	// The definition outlives a killed daemon; it does not need to outlive the
	// host's restart, which ends the container.
	if err := e.saveExec(&x.desc); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.execs[x.desc.ID] = x
	e.mu.Unlock()
	e.publish(c.Record(), "exec_create: "+commandLine(x.desc.Args), nil)
	return &models.ExecCreateResponse{ID: x.desc.ID, Warnings: []string{}}, nil
}

// execTarget finds a container in which a process can be started.
func (e *Engine) execTarget(name string) (*container.Container, error) {
	c, err := e.containers.Get(name)
	if err != nil {
		return nil, err
	}
	switch c.Record().State.Status {
	case container.Running:
		return c, nil
	case container.Paused:
		return nil, fault.Conflict("Container %s is paused, unpause the container before exec", name)
	case container.Restarting:
		return nil, fault.Conflict("Container %s is restarting, wait until the container is running", name)
	}
	return nil, fault.Conflict("Container %s is not running", c.ID)
}

func (e *Engine) execDir(id string) string { return filepath.Join(e.dir(id), "exec") }

func (e *Engine) saveExec(x *container.Exec) error {
	data, err := json.Marshal(x)
	if err == nil {
		dir := e.execDir(x.Container)
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = atomicfile.Write(filepath.Join(dir, x.ID+".json"), data, 0o600)
		}
	}
	if err != nil {
		return fault.Internal("write exec %s: %w", x.ID, err)
	}
	return nil
}

func (e *Engine) exec(id string) (*exec, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x, ok := e.execs[id]; ok {
		return x, nil
	}
	return nil, fault.NotFound("No such exec instance '%s' found in daemon", id)
}

// ExecStart serves POST /exec/(id)/start: detached, or with the client attached
// to the process until it ends.
func (e *Engine) ExecStart(ctx context.Context, p *hub.ExecStartParams, w http.ResponseWriter, r *http.Request) error {
	x, err := e.exec(p.ID)
	if err != nil {
		return err
	}
	desc := x.snapshot()
	c, err := e.execTarget(desc.Container)
	if err != nil {
		return err
	}
	if err := x.claim(); err != nil {
		return err
	}
	detach := p.Body != nil && p.Body.Detach || desc.Config.Detach
	opts := runtime.AttachOptions{Stdin: desc.Config.AttachStdin, Stdout: desc.Config.AttachStdout, Stderr: desc.Config.AttachStderr}
	if detach {
		if err := e.runExec(context.WithoutCancel(ctx), c, x, nil); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	a, err := e.Runtime.NewAttachment(opts)
	if err != nil {
		x.failed(128)
		return fault.Internal("attach to exec %s: %w", p.ID, err)
	}
	// The head of the answer goes out before the process starts: clients (docker
	// among them) read the stream past what came in one piece with the head.
	conn, err := stream.Hijack(w, r)
	if err != nil {
		x.failed(128)
		a.Close()
		return err
	}
	defer conn.Close()
	if err := e.runExec(context.WithoutCancel(ctx), c, x, a); err != nil {
		a.Close()
		// All that is left to tell the client with; ExitCode tells programs.
		text := []byte(err.Error() + "\r\n")
		if !desc.Config.Tty {
			text = stream.AppendFrame(nil, stream.Stdout, text)
		}
		_, err = conn.Write(text)
		return err
	}
	q := attachRequest{
		stream: true, stdin: opts.Stdin, stdout: opts.Stdout, stderr: opts.Stderr, keys: desc.DetachKeys,
		// Clients ask for the exit code when the stream ends.
		ended: func() {
			select {
			case <-x.done:
			case <-e.ctx.Done():
			}
		},
	}
	pump(conn, a, q, desc.Config.Tty)
	return nil
}

// claim makes the caller the one who starts the exec.
func (x *exec) claim() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.desc.ExitCode != nil:
		return fault.Conflict("Error: Exec command %s has already run", x.desc.ID)
	case x.desc.Started:
		return fault.Conflict("Error: Exec command %s is already running", x.desc.ID)
	}
	x.desc.Started = true
	return nil
}

func (x *exec) failed(code int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.desc.Running = false
	x.desc.ExitCode = &code
	close(x.started)
	close(x.done)
}

// runExec starts the process of an exec that the caller has claimed.
func (e *Engine) runExec(ctx context.Context, c *container.Container, x *exec, a *runtime.Attachment) error {
	e.Runtime.Expect()
	desc := x.snapshot()
	task, err := e.runningTask(c)
	if err != nil {
		x.failed(128)
		return err
	}
	process, err := e.execProcess(c.Record(), &desc, task)
	if err != nil {
		x.failed(128)
		return err
	}
	e.publish(c.Record(), "exec_start: "+commandLine(desc.Args), nil)
	spec := &runtime.ExecSpec{ID: desc.ID, Process: process, OpenStdin: desc.Config.AttachStdin}
	if a != nil {
		spec.Attachments = []*runtime.Attachment{a}
	}
	var running *runtime.ExecTask
	trace.WithRegion(ctx, "exec: process", func() { running, err = task.Exec(ctx, spec) })
	if err != nil {
		return e.execFailed(c, x, err)
	}
	x.mu.Lock()
	x.task = running
	x.desc.Running = true
	x.desc.Pid = running.Pid()
	desc = x.desc
	x.mu.Unlock()
	close(x.started)
	if err := e.saveExec(&desc); err != nil {
		e.Logger.Error("a started exec could not be recorded", "exec", desc.ID, "error", err)
	}
	e.watchExec(x, running)
	return nil
}

// execFailed tells a client's mistake (a command that is not there or cannot be
// run, as for starts) from the engine's.
func (e *Engine) execFailed(c *container.Container, x *exec, cause error) error {
	var failed *runtime.StartError
	if !errors.As(cause, &failed) {
		x.failed(128)
		if errdefs.IsConflict(cause) {
			return fault.Conflict("Container %s is not running", c.ID)
		}
		return fault.Internal("Cannot run exec command %s in container %s: %w", x.desc.ID, c.ID, cause)
	}
	x.failed(failed.Code)
	switch failed.Code {
	case 126, 127:
		return fault.Invalid("%s", commandFault(failed.Code, x.desc.Args[0], failed.Text))
	}
	return fault.Internal("Cannot run exec command %s in container %s: %s", x.desc.ID, c.ID, failed.Text)
}

// watchExec records the end of an exec.
func (e *Engine) watchExec(x *exec, task *runtime.ExecTask) {
	e.background(func(ctx context.Context) {
		select {
		case <-ctx.Done():
			return // the exec's own monitor keeps the exit code
		case <-task.Done():
		}
		e.finishExec(context.WithoutCancel(ctx), x, task)
	})
}

func (e *Engine) finishExec(ctx context.Context, x *exec, task *runtime.ExecTask) {
	exit, _ := task.Exit()
	x.mu.Lock()
	x.desc.Running = false
	x.desc.Pid = 0
	x.desc.ExitCode = &exit.Code
	desc := x.desc
	x.mu.Unlock()
	// The container's directory goes with the container; then there is nobody to tell.
	if _, err := e.containers.Get(desc.Container); err == nil {
		if err := e.saveExec(&desc); err != nil {
			e.Logger.Error("the end of an exec could not be recorded", "exec", desc.ID, "error", err)
		}
	}
	close(x.done)
	if err := task.Delete(ctx); err != nil && !errdefs.IsNotFound(err) {
		e.Logger.Error("what the runtime had of an exec could not be removed", "exec", desc.ID, "error", err)
	}
}

// ExecInspect serves GET /exec/(id)/json.
func (e *Engine) ExecInspect(ctx context.Context, p *hub.ExecInspectParams) (*models.ExecInspect, error) {
	x, err := e.exec(p.ID)
	if err != nil {
		return nil, err
	}
	desc := x.snapshot()
	c, err := e.containers.Get(desc.Container)
	if err != nil {
		return nil, err
	}
	m := &models.ExecInspect{
		ID:         desc.ID,
		Running:    desc.Running,
		OpenStdin:  desc.Config.AttachStdin,
		OpenStdout: desc.Config.AttachStdout,
		OpenStderr: desc.Config.AttachStderr,
		ProcessConfig: models.ExecProcessConfig{
			Privileged: desc.Privileged,
			User:       desc.User,
			Tty:        desc.Config.Tty,
			Entrypoint: desc.Args[0],
			Arguments:  append([]string{}, desc.Args[1:]...),
		},
		Container:   e.execContainer(c.Record()),
		ContainerID: desc.Container,
		CanRemove:   false,
		DetachKeys:  desc.Config.DetachKeys,
	}
	if desc.ExitCode != nil {
		code := int64(*desc.ExitCode)
		m.ExitCode = &code
	}
	return m, nil
}

// ExecResize serves POST /exec/(id)/resize.
func (e *Engine) ExecResize(ctx context.Context, p *hub.ExecResizeParams) error {
	x, err := e.exec(p.ID)
	if err != nil {
		return err
	}
	height, width, err := terminalSize(p.H, p.W)
	if err != nil {
		return err
	}
	if x.snapshot().Started {
		// Clients resize as soon as they have asked for the start.
		select {
		case <-x.started:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	x.mu.Lock()
	task := x.task
	running := x.desc.Running
	x.mu.Unlock()
	if task == nil || !running {
		return fault.Conflict("Exec %s is not running, so it has no terminal to resize", p.ID)
	}
	if err := task.Resize(ctx, height, width); err != nil {
		return fault.Internal("Cannot resize exec %s: %w", p.ID, err)
	}
	return nil
}
