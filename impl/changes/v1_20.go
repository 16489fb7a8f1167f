package changes

import (
	"context"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
)

// Before1_20 gives the API as it was before version 1.20: mounts are two maps
// by path in the container, Volumes and VolumesRW, and limits may stand in the
// configuration instead of the host's.
func Before1_20(next hub.API) hub.API { return before1_20{next} }

type before1_20 struct{ hub.API }

// ContainerCreate takes the limits of the configuration where the host's has
// none.
func (b before1_20) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	c, h := &p.Body.ContainerConfig, hostConfig(p)
	if h.Memory == 0 {
		h.Memory = c.Memory
	}
	if h.MemorySwap == 0 {
		h.MemorySwap = c.MemorySwap
	}
	if h.CPUShares == 0 {
		h.CPUShares = c.CPUShares
	}
	if h.CpusetCpus == "" {
		h.CpusetCpus = c.Cpuset
	}
	c.Memory, c.MemorySwap, c.CPUShares, c.Cpuset = 0, 0, 0, ""
	return b.API.ContainerCreate(ctx, p)
}

// ContainerKill has nothing to do where nothing runs, and says so with success;
// 1.20 made it an error (Docker Engine 1.11.2, which spoke both).
func (b before1_20) ContainerKill(ctx context.Context, p *hub.ContainerKillParams) error {
	err := b.API.ContainerKill(ctx, p)
	if !errdefs.IsConflict(err) {
		return err
	}
	m, lookErr := b.API.ContainerInspect(ctx, &hub.ContainerInspectParams{Name: p.Name})
	if lookErr == nil && m.State != nil && !m.State.Running {
		return nil
	}
	return err
}

func (b before1_20) ContainerInspect(ctx context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	m, err := b.API.ContainerInspect(ctx, p)
	if err != nil {
		return nil, err
	}
	old := *m
	old.Volumes, old.VolumesRW = volumes(m.Mounts)
	if m.Config != nil && m.HostConfig != nil {
		config := *m.Config
		config.Memory, config.MemorySwap = m.HostConfig.Memory, m.HostConfig.MemorySwap
		config.CPUShares, config.Cpuset = m.HostConfig.CPUShares, m.HostConfig.CpusetCpus
		old.Config = &config
	}
	return &old, nil
}

func (b before1_20) ExecInspect(ctx context.Context, p *hub.ExecInspectParams) (*models.ExecInspect, error) {
	m, err := b.API.ExecInspect(ctx, p)
	if err != nil || m.Container == nil {
		return m, err
	}
	old, container := *m, *m.Container
	container.Volumes, container.VolumesRW = volumes(container.Mounts)
	old.Container = &container
	return &old, nil
}

// volumes are mounts by their path in the container: the source on the host
// and whether it may be written. Both are never nil.
func volumes(mounts []models.MountPoint) (map[string]string, map[string]bool) {
	source := make(map[string]string, len(mounts))
	writable := make(map[string]bool, len(mounts))
	for _, m := range mounts {
		source[m.Destination] = m.Source
		writable[m.Destination] = m.RW
	}
	return source, writable
}
