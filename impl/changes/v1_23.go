package changes

import (
	"context"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// enableIPv6 is the network option (and label) that asked for IPv6 before
// version 1.23 had a field for it.
const enableIPv6 = "com.docker.network.enable_ipv6"

// Before1_23 gives the API as it was before version 1.23: a container's
// hostname is Hostname.Domainname where both are given, a volume is never mounted
// without its content, IPv6 of a network is asked for with an option, and loading
// images is silent.
func Before1_23(next hub.API) hub.API { return before1_23{next} }

type before1_23 struct{ hub.API }

func (b before1_23) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	if c := &p.Body.ContainerConfig; c.Hostname != "" && c.Domainname != "" {
		c.Hostname, c.Domainname = c.Hostname+"."+c.Domainname, ""
	}
	if err := withoutNoCopy(p.Body.HostConfig); err != nil {
		return nil, err
	}
	return b.API.ContainerCreate(ctx, p)
}

func (b before1_23) ContainerStart(ctx context.Context, p *hub.ContainerStartParams) error {
	if err := withoutNoCopy(p.Body); err != nil {
		return err
	}
	return b.API.ContainerStart(ctx, p)
}

// withoutNoCopy refuses the mode of a bind that came with 1.23.
func withoutNoCopy(h *models.HostConfig) error {
	if h == nil {
		return nil
	}
	for _, bind := range h.Binds {
		parts := strings.Split(bind, ":")
		if mode := parts[len(parts)-1]; len(parts) > 1 && slices.Contains(strings.Split(mode, ","), "nocopy") {
			return fault.Invalid("Invalid bind mount spec %q: invalid mode: %s", bind, mode)
		}
	}
	return nil
}

func (b before1_23) NetworkCreate(ctx context.Context, p *hub.NetworkCreateParams) (*models.NetworkCreateResponse, error) {
	if strings.EqualFold(p.Body.Options[enableIPv6], "true") {
		p.Body.EnableIPv6 = true
	}
	return b.API.NetworkCreate(ctx, p)
}

// ImageLoad answers with an empty body, and therefore with a status that tells
// how the load ended.
func (b before1_23) ImageLoad(ctx context.Context, p *hub.ImageLoadParams, out stream.Output) error {
	silent := func(any) (any, bool) { return nil, false }
	p.Quiet = true
	return b.API.ImageLoad(ctx, p, &rewriter{Output: out, rewrite: silent})
}
