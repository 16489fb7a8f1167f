package changes

import (
	"context"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// Before1_21 gives the API as it was before version 1.21: the volume driver is
// part of the configuration and not of the host's, stats show one network that
// is the sum of all, events are not chosen by labels, and starting a command in a
// container that is stopped or paused is a bad request and no conflict.
func Before1_21(next hub.API) hub.API { return before1_21{next} }

type before1_21 struct{ hub.API }

func (b before1_21) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	if driver := p.Body.VolumeDriver; driver != "" {
		hostConfig(p).VolumeDriver = driver
		p.Body.VolumeDriver = ""
	}
	return b.API.ContainerCreate(ctx, p)
}

// hostConfig is the request's host configuration, made if there was none.
func hostConfig(p *hub.ContainerCreateParams) *models.HostConfig {
	if p.Body.HostConfig == nil {
		p.Body.HostConfig = &models.HostConfig{}
	}
	return p.Body.HostConfig
}

func (b before1_21) ContainerInspect(ctx context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	m, err := b.API.ContainerInspect(ctx, p)
	if err != nil || m.Config == nil || m.HostConfig == nil {
		return m, err
	}
	old, config := *m, *m.Config
	config.VolumeDriver = m.HostConfig.VolumeDriver
	old.Config = &config
	return &old, nil
}

// SystemEvents ignores a condition on labels, as engines did with what they did
// not know.
func (b before1_21) SystemEvents(ctx context.Context, p *hub.SystemEventsParams, out stream.Output) error {
	old := *p
	old.Filters = withoutCondition(p.Filters, "label")
	return b.API.SystemEvents(ctx, &old, out)
}

func (b before1_21) ContainerStats(ctx context.Context, p *hub.ContainerStatsParams, out stream.Output) error {
	return b.API.ContainerStats(ctx, p, &rewriter{Output: out, rewrite: oneNetwork})
}

// oneNetwork sums the counters of all interfaces.
func oneNetwork(v any) (any, bool) {
	m, ok := v.(*models.Stats)
	if !ok {
		return v, true
	}
	old := *m
	for _, n := range m.Networks {
		old.Network.RxBytes += n.RxBytes
		old.Network.RxPackets += n.RxPackets
		old.Network.RxErrors += n.RxErrors
		old.Network.RxDropped += n.RxDropped
		old.Network.TxBytes += n.TxBytes
		old.Network.TxPackets += n.TxPackets
		old.Network.TxErrors += n.TxErrors
		old.Network.TxDropped += n.TxDropped
	}
	return &old, true
}

func (b before1_21) ExecStart(ctx context.Context, p *hub.ExecStartParams, w http.ResponseWriter, r *http.Request) error {
	err := b.API.ExecStart(ctx, p, w, r)
	if errdefs.IsConflict(err) {
		return fault.Invalid("%w", err)
	}
	return err
}
