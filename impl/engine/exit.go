package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/trace"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/runtime"
)

// unsettled is how long the disk has the intent to start a run only, and not what
// came of it. Most runs are over before, and what came of the others is read back
// from the runtime, so that nothing waits for it.
const unsettled = time.Second

// watch takes care of the end of a run.
func (e *Engine) watch(c *container.Container, task *runtime.Task) {
	e.background(func(ctx context.Context) {
		settled := time.NewTimer(unsettled)
		defer settled.Stop()
		for {
			select {
			case <-ctx.Done():
				return // the shim keeps the exit code for the next daemon
			case <-settled.C:
				// Aside: the run may end while a disk takes its time.
				e.background(func(context.Context) {
					if err := e.saveStarted(c); err != nil {
						e.Logger.Error("a running container could not be recorded", "container", c.ID, "error", err)
					}
				})
				continue
			case <-task.OOM():
				e.publish(c.Record(), "oom", nil)
				continue
			case <-task.Done():
			}
			break
		}
		select {
		case <-task.OOM(): // it came together with the end
			e.publish(c.Record(), "oom", nil)
		default:
		}
		// The end is worked off even if the engine closes meanwhile.
		e.finish(context.WithoutCancel(ctx), c, task)
	})
}

// finish works the end of a run off: network, state, event, record, restart
// policy. The network is free before the new state shows, so that whoever waited
// for the end can use the same ports at once; whoever operates on this container
// next waits until all is done (settle).
func (e *Engine) finish(ctx context.Context, c *container.Container, task *runtime.Task) {
	defer e.live(c.ID).settled()
	mounts := c.Record()
	restart := e.conclude(ctx, c, task)
	e.unmountVolumes(ctx, mounts, c.ID)
	if restart {
		e.scheduleRestart(c, c.Record())
	}
}

// conclude is finish without what drivers of volumes have a part in, and may take
// their time for; it tells whether the policy wants another run.
func (e *Engine) conclude(ctx context.Context, c *container.Container, task *runtime.Task) (restart bool) {
	l := e.live(c.ID)
	defer trace.StartRegion(ctx, "end").End()
	exit, _ := task.Exit()
	trace.Logf(ctx, "end: run", "%d", exit.At.Sub(task.StartedAt())) // ns, as below
	trace.Logf(ctx, "end: notice", "%d", time.Since(exit.At))
	before := c.Record()
	e.endExecs(c.ID)
	trace.WithRegion(ctx, "end: network", func() {
		if err := e.Networks.Release(ctx, c.ID); err != nil {
			e.Logger.Error("a container's network could not be released", "container", c.ID, "error", err)
		}
	})
	l.telling.Lock() // after what brought the end about
	c.Update(func(r *container.Record) {
		r.State = container.State{
			Status:     container.Exited,
			ExitCode:   exit.Code,
			Error:      exit.Reason,
			OOMKilled:  exit.OOMKilled,
			StartedAt:  r.State.StartedAt,
			FinishedAt: exit.At.UTC(),
		}
		if restart = wantsRestart(r, exit.Code); restart {
			r.State.Status = container.Restarting
		}
		r.Network = container.Network{Endpoints: r.Network.Endpoints}
	})
	e.publish(before, "die", map[string]string{"exitCode": strconv.Itoa(exit.Code)})
	l.telling.Unlock()
	e.networkEvents(before, "disconnect")
	e.mountEvents(before, "unmount")
	// The record is durable before the shim's copy of the exit code goes.
	var err error
	trace.WithRegion(ctx, "end: record", func() { err = e.save(c) })
	if err != nil {
		l.keep(task)
		e.Logger.Error("the end of a container could not be recorded", "container", c.ID, "error", err)
	} else {
		trace.WithRegion(ctx, "end: control groups and handle", func() { err = l.letGo(ctx, task) })
		if err != nil {
			e.Logger.Error("what the runtime had of a container could not be removed", "container", c.ID, "error", err)
		}
	}
	return restart
}

// restore loads all containers and brings state and kernel together again.
func (e *Engine) restore(ctx context.Context) error {
	known := map[string]bool{}
	unread := map[string]bool{} // what these have is kept
	records, err := e.Containers.Load(func(id string, err error) {
		known[id], unread[id] = true, true
		e.Logger.Error("a container's record cannot be read; it is left as it is and not served", "container", id, "error", err)
	})
	if err != nil {
		return err
	}
	condition := e.Containers.Condition()
	e.tellCondition(condition)
	var running []*container.Container
	var ended []func()
	over := map[string]bool{} // ended with nobody watching
	for _, r := range records {
		known[r.ID] = true
		if err := e.containers.Reserve(r.Name, r.ID); err != nil {
			e.Logger.Error("two containers have one name; the later one is renamed", "container", r.ID, "name", r.Name)
			r.Name = "/" + r.ID[:12]
		}
		task, err := e.Runtime.Load(ctx, r.ID)
		never := e.settleStart(r, err)
		c := container.New(r)
		e.containers.Add(c)
		if never { // which a later generation could not tell
			ended = append(ended, func() { e.saveSettled(c) })
		}
		switch {
		case err == nil:
			recognize(c, task)
			if _, over := task.Exit(); !over {
				e.adopt(ctx, c, task)
				running = append(running, c)
				continue
			}
			over[r.ID] = true
			ended = append(ended, func() {
				if e.conclude(ctx, c, task) {
					e.scheduleRestart(c, c.Record())
				}
			})
		case r.State.Live():
			ended = append(ended, func() { e.lost(c, err) })
		case !errdefs.IsNotFound(err):
			e.Logger.Error("what the runtime has of a container cannot be read", "container", r.ID, "error", err)
		}
	}
	live := map[string]bool{}
	for _, c := range running {
		live[c.ID] = true
	}
	keep := func(id string) bool { return live[id] || unread[id] || condition.Aside != "" }
	if err := e.Networks.Reconcile(ctx, keep); err != nil {
		e.Logger.Error("the networks could not be brought up to date", "error", err)
	}
	e.Networks.ServeNames(e)
	if !condition.ReadOnly {
		e.mend(records)
	}
	if condition.Aside == "" && !condition.ReadOnly {
		if err := e.sweep(ctx, known); err != nil {
			e.Logger.Error("something of containers that do not exist is left", "error", err)
		}
	}
	// Aside, since drivers may take their time.
	unmount := e.Volumes.ReconcileMounts(func(id string) bool { return keep(id) && !over[id] })
	e.background(func(ctx context.Context) {
		if err := unmount(ctx); err != nil {
			e.Logger.Error("volumes of containers that are gone could not be unmounted", "error", err)
		}
	})
	for _, f := range ended {
		f()
	}
	e.applyPolicies()
	return nil
}

// settleStart finds out whether a run that was about to begin did. Its process was not
// executed where the runtime could tell and knows nothing of it. Otherwise, as after
// a loss of power, nobody knows whether a client was told that it runs.
func (e *Engine) settleStart(r *container.Record, loaded error) (never bool) {
	if r.Start == nil {
		return false
	}
	never = errdefs.IsNotFound(loaded) && r.Start.Generation == e.Runtime.Generation()
	r.Settle(!never)
	return never
}

func (e *Engine) saveSettled(c *container.Container) {
	if err := e.save(c); err != nil {
		e.Logger.Error("a container that was not started could not be recorded", "container", c.ID, "error", err)
	}
}

// recognize notes a run that the daemon may not have lived to record. The run's
// own number says how many restarts by policy led to it, so that none is counted
// twice, or not at all, whenever the daemon was killed.
func recognize(c *container.Container, task *runtime.Task) {
	r := c.Record()
	known, restarts := task.StartedAt().Equal(r.State.StartedAt), r.RestartCount
	switch run := task.Run(); {
	case run > 0:
		restarts = run - 1
	case !known && r.State.Status == container.Restarting: // a handle without a number
		restarts++
	}
	if known && restarts == r.RestartCount {
		return
	}
	c.Update(func(r *container.Record) {
		r.RestartCount = restarts
		if !known {
			r.State.StartedAt = task.StartedAt()
			r.Stopped = false // as its start would have recorded
		}
	})
}

// tellCondition logs what is wrong with the containers' database.
func (e *Engine) tellCondition(c database.Condition) {
	if c.ReadOnly {
		e.Logger.Error("the data root is on a read-only disk: what is there is served, nothing can be changed", "path", e.DataRoot)
	}
	if c.Damage != nil {
		e.Logger.Error("the containers' database is damaged and kept aside; containers are served whose records could be read",
			"path", c.Aside, "error", c.Damage, "kept", c.Salvaged.Kept, "lost", errors.Join(c.Salvaged.Lost...))
	}
	if c.Aside != "" {
		e.Logger.Warn("what belongs to unknown containers is kept, and they go on, as long as the damaged database lies there", "path", c.Aside)
	}
}

// adopt takes a running container over.
func (e *Engine) adopt(ctx context.Context, c *container.Container, task *runtime.Task) {
	paused, err := task.Paused(ctx)
	if err != nil {
		e.Logger.Error("cannot tell whether a container is paused", "container", c.ID, "error", err)
	}
	before := c.Record()
	e.leaveUnrecorded(ctx, before)
	r := c.Update(func(r *container.Record) {
		r.State.Status = container.Running
		if paused {
			r.State.Status = container.Paused
		}
		r.State.Pid = task.Pid()
		r.State.StartedAt = task.StartedAt()
		if sandbox, err := e.Networks.Sandbox(c.ID); err == nil {
			r.Network = e.describeNetwork(r, sandbox)
		}
	})
	if before.State != r.State {
		if err := e.save(c); err != nil {
			e.Logger.Error("a running container could not be recorded", "container", c.ID, "error", err)
		}
	}
	e.live(c.ID).begin(task)
	e.adoptExecs(ctx, c, task)
	e.watch(c, task)
}

// leaveUnrecorded takes a running container off the networks of which its record
// does not know: the daemon was killed before a connection was complete.
func (e *Engine) leaveUnrecorded(ctx context.Context, r *container.Record) {
	sandbox, err := e.Networks.Sandbox(r.ID)
	if err != nil || sandbox.Mode != network.ModeBridge {
		return
	}
	for _, ep := range sandbox.Endpoints {
		if slices.ContainsFunc(r.Places, func(p container.Place) bool { return p.NetworkID == ep.NetworkID || p.NetworkID == ep.NetworkName }) {
			continue
		}
		if _, err := e.Networks.Disconnect(ctx, r.ID, ep.NetworkID); err != nil {
			e.Logger.Error("a container is on a network that its record does not know", "container", r.ID, "network", ep.NetworkName, "error", err)
		}
	}
}

// lost records the end of a container of which nobody saw the end. A cause of
// class NotFound says that there is not even a handle.
func (e *Engine) lost(c *container.Container, cause error) {
	why := "the host was restarted while the container ran"
	if !errdefs.IsNotFound(cause) {
		why = cause.Error()
		e.Logger.Error("a container that ran cannot be found again", "container", c.ID, "error", cause)
	}
	before := c.Record()
	c.Update(func(r *container.Record) {
		r.State = container.State{
			Status:     container.Exited,
			ExitCode:   255,
			Error:      why,
			StartedAt:  r.State.StartedAt,
			FinishedAt: time.Now().UTC(),
		}
		r.Network = container.Network{}
		if wantsRestart(r, 255) {
			r.State.Status = container.Restarting // see applyPolicies
		}
	})
	if err := e.save(c); err != nil {
		e.Logger.Error("the end of a container could not be recorded", "container", c.ID, "error", err)
	}
	e.publish(before, "die", map[string]string{"exitCode": "255"})
}

// sweep removes what belongs to no known container: a creation or removal that
// was cut short. It goes on after an error.
func (e *Engine) sweep(ctx context.Context, known map[string]bool) error {
	var errs []error
	for _, id := range e.Images.Writables() {
		if !known[id] {
			if err := e.Images.RemoveWritable(id); err != nil {
				errs = append(errs, fmt.Errorf("sweep the layer of a container that does not exist: %w", err))
			}
		}
	}
	handles, err := e.Runtime.List()
	if err != nil {
		errs = append(errs, fmt.Errorf("list running containers: %w", err))
	}
	for _, id := range handles {
		if !known[id] {
			e.sweepTask(ctx, id)
		}
	}
	if err := e.Volumes.Reconcile(func(id string) bool { return known[id] }); err != nil {
		errs = append(errs, fmt.Errorf("bring the volumes up to date: %w", err))
	}
	return errors.Join(append(errs, e.sweepDirs(known))...)
}

// attributes are the facts that every event of a container carries: image,
// name and its labels.
func attributes(r *container.Record, more map[string]string) map[string]string {
	a := maps.Clone(r.Config.Labels)
	if a == nil {
		a = map[string]string{}
	}
	a["image"] = r.ImageName
	a["name"] = r.Name[1:]
	maps.Copy(a, more)
	return a
}
