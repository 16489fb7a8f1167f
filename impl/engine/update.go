package engine

import (
	"context"
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
)

// replaceHostConfig serves the body of start: it takes the place of the host
// configuration given at creation, as clients from before v1.15 expect. A
// container that has run keeps its volumes.
func (e *Engine) replaceHostConfig(c *container.Container, body *models.HostConfig) error {
	before := c.Record()
	h := *body
	fillHostConfig(&h)
	if _, err := e.checkHostConfig(before.Config, &h); err != nil {
		return err
	}
	if err := e.resolveModes(&h); err != nil {
		return err
	}
	if err := e.checkLinks(&h); err != nil {
		return err
	}
	next := *before
	next.HostConfig = &h
	mounts, err := e.planMounts(&next)
	if err != nil {
		return err
	}
	next.Mounts = mounts
	// Volumes that were made at creation stay what they are.
	for i := range next.Mounts {
		for _, m := range before.Mounts {
			if m.Destination == next.Mounts[i].Destination && m.Anonymous && next.Mounts[i].Anonymous {
				next.Mounts[i] = m
			}
		}
	}
	if h.NetworkMode != before.HostConfig.NetworkMode {
		if err := e.planPlaces(&next, nil); err != nil {
			return err
		}
	}
	if err := e.makeVolumes(e.ctx, &next); err != nil {
		return errors.Join(err, e.releaseOthers(e.ctx, &next, before.Mounts))
	}
	c.Update(func(r *container.Record) {
		r.HostConfig = next.HostConfig
		r.Mounts = next.Mounts
		r.Places = next.Places
	})
	if err := e.save(c); err != nil {
		c.Update(func(r *container.Record) {
			r.HostConfig, r.Mounts, r.Places = before.HostConfig, before.Mounts, before.Places
		})
		return errors.Join(fault.Internal("%w", err), e.releaseOthers(e.ctx, &next, before.Mounts))
	}
	if err := e.releaseOthers(e.ctx, before, next.Mounts); err != nil {
		e.Logger.Error("volumes that a container no longer has could not be let go", "container", c.ID, "error", err)
	}
	return nil
}

// ContainerUpdate serves POST /containers/(id or name)/update: limits and
// restart policy. Values that are not given stay as they are. Either all of it
// holds afterwards or nothing has changed.
func (e *Engine) ContainerUpdate(ctx context.Context, p *hub.ContainerUpdateParams) (*models.ContainerUpdateResponse, error) {
	c, unlock, err := e.operate(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	before := c.Record()
	if err := checkAlive(before, "updated"); err != nil {
		return nil, err
	}
	next := updated(before.HostConfig, p.Body)
	warnings, err := e.checkHostConfig(before.Config, next)
	if err != nil {
		return nil, err
	}
	if before.State.Live() && p.Body.KernelMemory != 0 && p.Body.KernelMemory != before.HostConfig.KernelMemory {
		return nil, fault.Conflict("Can not update kernel memory to a running container, please stop it first.")
	}
	if task, err := e.runningTask(c); err == nil {
		res := &specs.LinuxResources{}
		limits(res, next, e.controls())
		if err := task.Update(ctx, res); err != nil {
			return nil, fault.Invalid("Cannot update container %s: %w", c.ID, err)
		}
	}
	r := c.Update(func(r *container.Record) { r.HostConfig = next })
	if err := e.save(c); err != nil {
		c.Update(func(r *container.Record) { r.HostConfig = before.HostConfig })
		return nil, fault.Internal("%w", err)
	}
	e.publish(r, "update", nil)
	if warnings == nil {
		warnings = []string{}
	}
	return &models.ContainerUpdateResponse{Warnings: warnings}, nil
}

// updated is the host configuration with the request's values in place.
func updated(h *models.HostConfig, u *models.ContainerUpdateRequest) *models.HostConfig {
	next := *h
	for _, v := range []struct{ to, from *int64 }{
		{&next.BlkioWeight, &u.BlkioWeight}, {&next.CPUShares, &u.CPUShares}, {&next.CPUPeriod, &u.CPUPeriod},
		{&next.CPUQuota, &u.CPUQuota}, {&next.Memory, &u.Memory}, {&next.MemorySwap, &u.MemorySwap},
		{&next.MemoryReservation, &u.MemoryReservation}, {&next.KernelMemory, &u.KernelMemory},
	} {
		if *v.from != 0 {
			*v.to = *v.from
		}
	}
	if u.CpusetCpus != "" {
		next.CpusetCpus = u.CpusetCpus
	}
	if u.CpusetMems != "" {
		next.CpusetMems = u.CpusetMems
	}
	if u.RestartPolicy.Name != "" {
		next.RestartPolicy = u.RestartPolicy
	}
	return &next
}
