package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/trace"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
)

// ContainerDelete serves DELETE /containers/(id or name).
func (e *Engine) ContainerDelete(ctx context.Context, p *hub.ContainerDeleteParams) error {
	if p.Link {
		return e.removeLink(ctx, p.Name)
	}
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	// Half a removal helps nobody: it goes on when the client leaves.
	ctx = context.WithoutCancel(ctx)
	if p.Force {
		if err := e.killForRemoval(ctx, c); err != nil {
			return err
		}
	}
	unlock, err := c.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := e.containers.Get(c.ID); err != nil {
		return err // somebody else removed it
	}
	if c.Record().State.Active() {
		if !p.Force {
			return fault.Conflict("You cannot remove a running container %s. Stop the container before attempting removal or use -f", c.ID)
		}
		if err := e.killForRemoval(ctx, c); err != nil {
			return err
		}
	}
	trace.WithRegion(ctx, "remove: wait for the end's work", func() { err = e.settle(ctx, c.ID) })
	if err != nil {
		return err
	}
	return e.remove(ctx, c, p.V)
}

// killForRemoval ends the run of a container that is to be removed. It does not
// need the lock, so that a stop with a long timeout does not delay it.
func (e *Engine) killForRemoval(ctx context.Context, c *container.Container) error {
	if !c.Record().State.Active() {
		return nil
	}
	c.Update(func(r *container.Record) { r.Stopped = true })
	task, err := e.runningTask(c)
	if err != nil {
		// Between two runs, or it ended by itself meanwhile. Whoever starts it at
		// this moment has the lock.
		return e.settle(ctx, c.ID)
	}
	if err := e.killAll(ctx, c, task); err != nil && !errdefs.IsConflict(err) {
		return fault.Internal("Could not kill running container %s, cannot remove - %w", c.ID, err)
	}
	_, err = c.Await(ctx, func(r *container.Record) bool { return !r.State.Active() })
	return err
}

// remove forgets a container that does not run, the record on the disk first:
// what is left of it after a crash belongs to nobody and is swept at the next
// start. If its files cannot be removed the container is there again, as dead.
func (e *Engine) remove(ctx context.Context, c *container.Container, volumes bool) error {
	r := c.Record()
	var err error
	trace.WithRegion(ctx, "remove: record", func() { err = e.erase(c) })
	if err != nil {
		return fault.Internal("%w", err)
	}
	trace.WithRegion(ctx, "remove: files and writable layer", func() { err = e.removeFiles(c.ID) })
	if err != nil {
		return e.removalFailed(c, err)
	}
	e.containers.Remove(c.ID)
	swept := e.live(c.ID).sweep(ctx)
	e.forget(c.ID)
	e.forgetExecs(c.ID)
	if err := errors.Join(swept, e.Networks.Release(ctx, c.ID), e.releaseVolumes(ctx, r, volumes)); err != nil {
		// The container is gone for everybody; the rest goes at the next start.
		e.Logger.Error("a removed container left something behind", "container", c.ID, "error", err)
	}
	e.publish(r, "destroy", nil)
	return nil
}

// removeFiles removes what a container wrote and what the engine wrote for it.
func (e *Engine) removeFiles(id string) error {
	if err := os.RemoveAll(e.dir(id)); err != nil {
		return fault.Internal("Unable to remove filesystem for %s: %w", id, err)
	}
	if err := e.Images.RemoveWritable(id); err != nil {
		return fault.Internal("Driver %s failed to remove root filesystem %s: %w", driverName, id, err)
	}
	return nil
}

// removalFailed makes a container dead: something of it may be gone, so that it
// is of no use but to be removed once more.
func (e *Engine) removalFailed(c *container.Container, cause error) error {
	c.Update(func(r *container.Record) { r.State.Status, r.State.Pid = container.Dead, 0 })
	if err := e.save(c); err != nil {
		// Without a record, the rest goes at the next start.
		e.Logger.Error("a dead container could not be recorded", "container", c.ID, "error", err)
	}
	return cause
}

// checkAlive refuses what cannot be done with a dead container.
func checkAlive(r *container.Record, done string) error {
	if r.State.Status == container.Dead {
		return fault.Conflict("Container is marked for removal and cannot be %s.", done)
	}
	return nil
}

// removeLink serves DELETE with link=1: it takes a link, not a container, away.
// name is the path of the link below the container that uses it.
func (e *Engine) removeLink(ctx context.Context, name string) error {
	parent, alias, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok || alias == "" {
		return fault.Conflict("Conflict, cannot remove the default name of the container")
	}
	c, unlock, err := e.operate(ctx, parent)
	if err != nil {
		return err
	}
	defer unlock()
	found := false
	c.Update(func(r *container.Record) {
		h := *r.HostConfig
		h.Links = nil
		for _, l := range r.HostConfig.Links {
			if l[strings.LastIndex(l, ":")+1:] == alias {
				found = true
				continue
			}
			h.Links = append(h.Links, l)
		}
		r.HostConfig = &h
	})
	if !found {
		return fault.NotFound("No such link: %s", name)
	}
	return e.save(c)
}

// sweepDirs removes the directories of containers that do not exist.
func (e *Engine) sweepDirs(known map[string]bool) error {
	dir := filepath.Join(e.DataRoot, "containers")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep container directories: %w", err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("sweep container directories: %w", err)
			}
		}
	}
	return nil
}

// sweepTask ends a process that belongs to no container: its creation was never
// acknowledged, or its removal was.
func (e *Engine) sweepTask(ctx context.Context, id string) {
	task, err := e.Runtime.Load(ctx, id)
	if err != nil {
		e.Logger.Error("a leftover container cannot be loaded", "container", id, "error", err)
		return
	}
	if err := task.KillAll(ctx, syscall.SIGKILL); err != nil && !errdefs.IsConflict(err) {
		e.Logger.Error("a leftover container cannot be killed", "container", id, "error", err)
		return
	}
	if _, err := task.Wait(ctx); err != nil {
		e.Logger.Error("a leftover container does not end", "container", id, "error", err)
		return
	}
	if err := task.Delete(ctx); err != nil {
		e.Logger.Error("a leftover container cannot be removed", "container", id, "error", err)
	}
}

// ContainerRename serves POST /containers/(id or name)/rename.
func (e *Engine) ContainerRename(ctx context.Context, p *hub.ContainerRenameParams) error {
	if p.Name == "" || p.NewName == "" {
		return fault.Invalid("Neither old nor new names may be empty")
	}
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return err
	}
	defer unlock()
	before := c.Record()
	name, err := e.reserveName(p.NewName, c.ID)
	if err != nil {
		if errdefs.IsConflict(err) {
			return fault.Conflict("Error when allocating new name: %w", err)
		}
		return err
	}
	if name == before.Name {
		return fault.Conflict("Renaming a container with the same name as its current name")
	}
	r := c.Update(func(r *container.Record) { r.Name = name })
	if err := e.save(c); err != nil {
		c.Update(func(r *container.Record) { r.Name = before.Name })
		e.containers.Release(name, c.ID)
		return fault.Internal("%w", err)
	}
	e.containers.Release(before.Name, c.ID)
	e.Networks.NamesChanged()
	e.publish(r, "rename", map[string]string{"oldName": before.Name})
	return nil
}
