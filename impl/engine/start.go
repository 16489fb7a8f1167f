package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/trace"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/runtime"
)

// ContainerStart serves POST /containers/(id or name)/start. A HostConfig in
// the body, as clients of the oldest versions send it, replaces the one given
// at creation.
func (e *Engine) ContainerStart(ctx context.Context, p *hub.ContainerStartParams) error {
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return err
	}
	defer unlock()
	r := c.Record()
	switch r.State.Status {
	case container.Running:
		return fault.NotModified("Container already started")
	case container.Paused:
		return fault.Conflict("Cannot start a paused container, try unpause instead.")
	}
	if err := checkAlive(r, "started"); err != nil {
		return err
	}
	if err := e.settle(ctx, c.ID); err != nil {
		return err
	}
	e.cancelRestart(c.ID)                                                  // which the end may just have scheduled
	if p.Body != nil && !reflect.DeepEqual(*p.Body, models.HostConfig{}) { // many clients send {}
		if err := e.replaceHostConfig(c, p.Body); err != nil {
			return err
		}
	}
	// A client that goes away must not leave a half-started container.
	return e.start(context.WithoutCancel(ctx), c, 0)
}

// start runs the container's process, after so many restarts by policy. Called
// with the container's lock held. When it fails everything it made is undone and
// the container shows why.
//
// The record that says so is written while the process is made, and is on the disk
// when start returns (see intend). Should the daemon be killed before, the run has
// the count itself, from before its process may run (see recognize).
func (e *Engine) start(ctx context.Context, c *container.Container, restarts int) error {
	err := e.run(ctx, c, restarts)
	if err != nil {
		return e.startFailed(c, restarts, err)
	}
	return nil
}

func (e *Engine) run(ctx context.Context, c *container.Container, restarts int) error {
	l := e.live(c.ID)
	if err := l.sweep(ctx); err != nil {
		return err
	}
	if err := e.findPlaces(c); err != nil {
		return err
	}
	config, err := e.shareHostname(c.Record())
	if err != nil {
		return err
	}
	mounts, err := e.mountVolumes(ctx, c.Record(), c.ID)
	if err != nil {
		return err
	}
	r := c.Update(func(r *container.Record) { r.Mounts = mounts })
	run := *r
	run.Config, run.RestartCount = config, restarts
	sandbox, task, err := e.launch(ctx, c, &run, l)
	if err != nil {
		e.unmountVolumes(ctx, r, r.ID)
		return err
	}
	l.begin(task)
	r = c.Update(func(r *container.Record) {
		r.State = container.State{
			Status:    container.Running,
			Pid:       task.Pid(),
			StartedAt: task.StartedAt(),
			// The end of the run before stays, as Docker Engine shows it.
			FinishedAt: r.State.FinishedAt,
		}
		r.Stopped, r.RestartCount = false, restarts
		r.Config = config
		r.Network = e.describeNetwork(r, sandbox)
	})
	e.followLinks(r)
	e.networkEvents(r, "connect")
	e.mountEvents(r, "mount")
	e.publish(r, "start", nil)
	e.watch(c, task)
	return nil
}

// launch makes the network, the files and the process of a run.
func (e *Engine) launch(ctx context.Context, c *container.Container, r *container.Record, l *live) (sandbox *network.Sandbox, task *runtime.Task, err error) {
	e.Runtime.Expect()
	if err := e.checkMounts(r); err != nil {
		return nil, nil, err
	}
	if err := checkBlockDevices(r.HostConfig); err != nil {
		return nil, nil, err
	}
	writable, err := e.Images.Writable(r.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("start container: %w", err)
	}
	var j joined
	defer j.close()
	space, err := e.userSpaceOf(r, &j)
	if err != nil {
		return nil, nil, err
	}
	trace.WithRegion(ctx, "start: network", func() { sandbox, err = e.makeSandbox(ctx, r, space.network(ctx, e)) })
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Networks.Release(context.WithoutCancel(ctx), r.ID))
		}
	}()
	if space, err = space.settle(sandbox.Key, &j); err != nil {
		return nil, nil, err
	}
	var spec *runtime.Spec
	trace.WithRegion(ctx, "start: files and specification", func() { spec, err = e.runtimeSpec(r, writable, sandbox, space, &j) })
	if err != nil {
		return nil, nil, err
	}
	spec.Attachments = l.takeWaiting()
	recorded := e.intend(ctx, c, r)
	defer recorded()
	trace.WithRegion(ctx, "start: process", func() { task, err = e.Runtime.Start(ctx, spec) })
	if err != nil {
		return nil, nil, err
	}
	return sandbox, task, nil
}

// intend writes aside that a run is about to begin. What it returns waits until that
// is on the disk.
func (e *Engine) intend(ctx context.Context, c *container.Container, run *container.Record) (recorded func()) {
	start := container.Start{Generation: e.Runtime.Generation(), At: time.Now().UTC(), RestartCount: run.RestartCount, Config: run.Config}
	done := make(chan error, 1)
	go func() { done <- e.saveStart(c, start) }()
	return func() {
		defer trace.StartRegion(ctx, "start: record").End()
		if err := <-done; err != nil {
			// The run is on; the shim's handle tells of it after a restart too.
			e.Logger.Error("a container's start could not be recorded", "container", c.ID, "error", err)
		}
	}
}

// runtimeSpec writes the container's own files and says what the runtime is to make.
func (e *Engine) runtimeSpec(r *container.Record, w *image.Writable, s *network.Sandbox, space userSpace, j *joined) (*runtime.Spec, error) {
	files, err := e.networkFiles(r, s)
	if err != nil {
		return nil, err
	}
	oci, err := e.ociSpec(r, w, s, files, space, j)
	if err != nil {
		return nil, err
	}
	log, err := e.logSpec(r)
	if err != nil {
		return nil, err
	}
	return &runtime.Spec{
		ID:     r.ID,
		Run:    r.RestartCount + 1,
		OCI:    oci,
		Borrow: j.borrow,
		Rootfs: e.rootfs(w, space),
		Stdio:  runtime.Stdio{OpenStdin: r.Config.OpenStdin, StdinOnce: r.Config.StdinOnce},
		Log:    log,
	}, nil
}

func (e *Engine) rootfs(w *image.Writable, s userSpace) runtime.Rootfs {
	root := runtime.Rootfs{Lower: w.Lower, Upper: w.Upper, Work: w.Work, Target: w.Target}
	if !s.ids.None() {
		root.IDs, root.Tree, root.Place, root.Target = s.ids, e.Images.Root(), w.Target, e.rootPlace()
	}
	return root
}

// startFailed records why a start failed and gives the client's error: a
// command that cannot be found or run is the client's mistake (404 and 400, as
// Docker Engine tells them apart by exit codes 127 and 126), all else as it is.
func (e *Engine) startFailed(c *container.Container, restarts int, cause error) error {
	code := 128
	text := cause.Error()
	var failed *runtime.StartError
	err := cause
	if errors.As(cause, &failed) {
		code, text = failed.Code, failed.Text
		switch failed.Code {
		case 127:
			err = fault.NotFound("%s", commandFault(failed.Code, c.Record().Path, failed.Text))
		case 126:
			err = fault.Invalid("%s", commandFault(failed.Code, c.Record().Path, failed.Text))
		default:
			err = fault.Internal("Cannot start container %s: %s", c.ID, failed.Text)
			if e.impossiblePlaces(c.Record()) {
				err = fault.Invalid("Cannot start container %s: %s", c.ID, failed.Text)
			}
		}
	}
	c.Update(func(r *container.Record) {
		if r.State.Active() { // a restart by policy
			r.State.Status = container.Exited
			r.State.FinishedAt = time.Now().UTC()
		}
		r.State.Pid = 0
		r.RestartCount = restarts
		r.State.ExitCode = code
		r.State.Error = text
	})
	if perr := e.save(c); perr != nil {
		e.Logger.Error("a failed start could not be recorded", "container", c.ID, "error", perr)
	}
	return err
}

// commandFault words that a command is not there (127) or cannot be run (126).
// Clients of all ages find their exit code by words in it: those of Docker
// Engine 1.11 by the first part, later ones by the second.
func commandFault(code int, command, detail string) string {
	if code == 127 {
		return fmt.Sprintf("Container command '%s' not found or does not exist: executable file not found in $PATH (%s)", command, detail)
	}
	return fmt.Sprintf("Container command '%s' could not be invoked: permission denied (%s)", command, detail)
}

// checkMounts makes the directories of bind mounts that are missing on the
// host, as Docker Engine does up to API 1.23.
func (e *Engine) checkMounts(r *container.Record) error {
	for _, m := range r.Mounts {
		if m.Name != "" {
			continue
		}
		if err := os.MkdirAll(m.Source, 0o755); err != nil {
			if info, serr := os.Stat(m.Source); serr == nil && !info.IsDir() {
				continue
			}
			return fault.Invalid("cannot use %s as a bind mount: %w", m.Source, err)
		}
	}
	return nil
}
