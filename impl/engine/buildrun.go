package engine

import (
	"context"
	"errors"
	"io"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/build"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/stream"
)

// buildContainers are the engine's containers as a build needs them: they are
// containers like all others, in lists and events too.
type buildContainers struct{ e *Engine }

var _ build.Containers = buildContainers{}

// Create makes a container of a step.
func (b buildContainers) Create(ctx context.Context, config *image.Config, r build.Resources) (string, error) {
	c := configModel(config)
	// Those of the container that an image was once committed from.
	c.Hostname, c.Domainname, c.MacAddress = "", "", ""
	c.AttachStdout, c.AttachStderr = false, false
	host := buildHostConfig(r)
	host.PidsLimit = b.e.BuildPids
	made, err := b.e.ContainerCreate(ctx, &hub.ContainerCreateParams{
		Body: &models.ContainerCreateRequest{ContainerConfig: *c, HostConfig: host},
	})
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

func buildHostConfig(r build.Resources) *models.HostConfig {
	h := &models.HostConfig{}
	h.Memory, h.MemorySwap = r.Memory, r.Swap
	h.CPUShares, h.CPUPeriod, h.CPUQuota = r.CPUShares, r.CPUPeriod, r.CPUQuota
	h.CpusetCpus, h.CpusetMems = r.CpusetCpus, r.CpusetMems
	h.ShmSize, h.CgroupParent = r.ShmSize, r.CgroupParent
	for _, u := range r.Ulimits {
		h.Ulimits = append(h.Ulimits, models.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	return h
}

// Run runs the container to its end.
func (b buildContainers) Run(ctx context.Context, id string, output io.Writer) (int, error) {
	e := b.e
	c, err := e.containers.Get(id)
	if err != nil {
		return 0, err
	}
	a, unwait, _, err := e.attachTask(c, runtime.AttachOptions{Stdout: true, Stderr: true})
	if err != nil {
		return 0, err
	}
	defer a.Close()
	defer unwait()
	if err := e.ContainerStart(ctx, &hub.ContainerStartParams{Name: id}); err != nil {
		return 0, err
	}
	whole := context.WithoutCancel(ctx)
	killed := make(chan error, 1)
	kill := func() { killed <- e.killForRemoval(whole, c) }
	stop := context.AfterFunc(ctx, kill)
	copied := stream.Split(output, output, a)
	if copied != nil && !errors.Is(copied, runtime.ErrDropped) && stop() {
		kill() // nobody takes the output
	}
	if !stop() && (ctx.Err() != nil || copied != nil) {
		if err := <-killed; err != nil {
			return 0, err
		}
	}
	r, err := c.Await(whole, func(r *container.Record) bool { return !r.State.Active() })
	if err != nil {
		return 0, err
	}
	if err := e.settle(whole, id); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if copied != nil && !errors.Is(copied, runtime.ErrDropped) {
		return 0, copied
	}
	return r.State.ExitCode, nil
}

// Remove removes the container and its volumes.
func (b buildContainers) Remove(ctx context.Context, id string) error {
	err := b.e.ContainerDelete(ctx, &hub.ContainerDeleteParams{Name: id, Force: true, V: true})
	if errdefs.IsNotFound(err) {
		return nil // the client removed it
	}
	return err
}
