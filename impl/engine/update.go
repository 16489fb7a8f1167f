package engine

import (
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
	if _, err := e.checkHostConfig(before.Config, &h); err != nil {
		return err
	}
	if err := e.resolveModes(&h); err != nil {
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
	if err := e.makeVolumes(e.ctx, &next); err != nil {
		return err
	}
	c.Update(func(r *container.Record) {
		r.HostConfig = next.HostConfig
		r.Mounts = next.Mounts
	})
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	return nil
}
