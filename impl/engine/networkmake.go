package engine

import (
	"context"
	"maps"
	"net/netip"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network"
)

// NetworkCreate serves POST /networks/create.
func (e *Engine) NetworkCreate(ctx context.Context, p *hub.NetworkCreateParams) (*models.NetworkCreateResponse, error) {
	spec := network.CreateSpec{
		Name:       p.Body.Name,
		Driver:     p.Body.Driver,
		Internal:   p.Body.Internal,
		EnableIPv6: p.Body.EnableIPv6,
		IPAM:       network.IPAM{Driver: p.Body.IPAM.Driver, Options: p.Body.IPAM.Options},
		Options:    p.Body.Options,
		Labels:     p.Body.Labels,
	}
	for _, given := range p.Body.IPAM.Config {
		pool, err := parsePool(given)
		if err != nil {
			return nil, err
		}
		spec.IPAM.Config = append(spec.IPAM.Config, pool)
	}
	n, err := e.Networks.CreateNetwork(ctx, spec)
	if errdefs.IsUnavailable(err) {
		// Every subnet is taken: the documents have no other status for that.
		return nil, fault.Internal("%s", err.Error())
	}
	if err != nil {
		return nil, err
	}
	e.networkEvent("create", n)
	return &models.NetworkCreateResponse{ID: n.ID}, nil
}

// parsePool reads the addresses of a pool. Auxiliary addresses come under the
// name of the documents and under that of clients.
func parsePool(given models.IPAMConfig) (network.IPAMConfig, error) {
	var pool network.IPAMConfig
	prefix := func(what, text string) (netip.Prefix, error) {
		if text == "" {
			return netip.Prefix{}, nil
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return p, fault.Invalid("invalid %s %q: it must be an address and a length", what, text)
		}
		return p.Masked(), nil
	}
	addr := func(what, text string) (netip.Addr, error) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return a, fault.Invalid("invalid %s %q: it must be an address", what, text)
		}
		return a, nil
	}
	var err error
	if pool.Subnet, err = prefix("subnet", given.Subnet); err != nil {
		return pool, err
	}
	if pool.IPRange, err = prefix("address range", given.IPRange); err != nil {
		return pool, err
	}
	if given.Gateway != "" {
		if pool.Gateway, err = addr("gateway", given.Gateway); err != nil {
			return pool, err
		}
	}
	others := maps.Clone(given.AuxAddress)
	if others == nil {
		others = map[string]string{}
	}
	maps.Copy(others, given.AuxiliaryAddresses)
	for name, text := range others {
		a, err := addr("auxiliary address", text)
		if err != nil {
			return pool, err
		}
		if pool.AuxAddresses == nil {
			pool.AuxAddresses = map[string]netip.Addr{}
		}
		pool.AuxAddresses[name] = a
	}
	return pool, nil
}

// NetworkDelete serves DELETE /networks/(id).
func (e *Engine) NetworkDelete(ctx context.Context, p *hub.NetworkDeleteParams) error {
	n, err := e.Networks.Network(p.ID)
	if err != nil {
		return err
	}
	if n, err = e.Networks.RemoveNetwork(ctx, n.ID); err != nil {
		return err
	}
	e.networkEvent("destroy", n)
	return nil
}

// networkEvent tells that something happened to a network itself.
func (e *Engine) networkEvent(action string, n network.Network) {
	e.Events.Publish(events.Event{
		Type: events.Network, Action: action, ID: n.ID,
		Attributes: map[string]string{"name": n.Name, "type": n.Driver},
	})
}
