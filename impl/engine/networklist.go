package engine

import (
	"context"
	"net/netip"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/filter"
	"github.com/seed-50ced230/berth/impl/network"
)

// NetworkList serves GET /networks.
func (e *Engine) NetworkList(_ context.Context, p *hub.NetworkListParams) ([]models.Network, error) {
	conditions, err := filter.Parse(p.Filters)
	if err != nil {
		return nil, err
	}
	if err := conditions.Only("name", "id", "type"); err != nil {
		return nil, err
	}
	for _, kind := range conditions["type"] {
		if kind != "custom" && kind != "builtin" {
			return nil, fault.Invalid("Invalid filter: 'type'='%s'", kind)
		}
	}
	list := []models.Network{}
	for _, n := range e.Networks.Networks() {
		kind := "custom"
		if n.Predefined {
			kind = "builtin"
		}
		if conditions.MatchPart("name", n.Name) && conditions.MatchPart("id", n.ID) && conditions.Match("type", kind) {
			list = append(list, e.networkModel(n))
		}
	}
	return list, nil
}

// NetworkInspect serves GET /networks/(id).
func (e *Engine) NetworkInspect(_ context.Context, p *hub.NetworkInspectParams) (*models.Network, error) {
	n, err := e.Networks.Network(p.ID)
	if err != nil {
		return nil, err
	}
	m := e.networkModel(n)
	return &m, nil
}

func (e *Engine) networkModel(n network.Network) models.Network {
	m := models.Network{
		Name:       n.Name,
		ID:         n.ID,
		Scope:      n.Scope,
		Driver:     n.Driver,
		IPAM:       models.IPAM{Driver: n.IPAM.Driver, Options: n.IPAM.Options, Config: []models.IPAMConfig{}},
		Containers: map[string]models.NetworkEndpoint{},
		Options:    n.Options,
		Internal:   n.Internal,
		EnableIPv6: n.EnableIPv6,
		Labels:     n.Labels,
	}
	for _, pool := range n.IPAM.Config {
		m.IPAM.Config = append(m.IPAM.Config, poolModel(pool))
	}
	for id, endpoint := range n.Endpoints {
		place := models.NetworkEndpoint{
			EndpointID:  endpoint.EndpointID,
			MacAddress:  endpoint.MAC.String(),
			IPv4Address: prefixText(endpoint.IPv4),
			IPv6Address: prefixText(endpoint.IPv6),
		}
		if c, err := e.containers.Get(id); err == nil {
			place.Name = c.Record().Name[1:]
		}
		m.Containers[id] = place
	}
	return m
}

func poolModel(pool network.IPAMConfig) models.IPAMConfig {
	m := models.IPAMConfig{Subnet: prefixText(pool.Subnet), IPRange: prefixText(pool.IPRange)}
	if pool.Gateway.IsValid() {
		m.Gateway = pool.Gateway.String()
		if pool.Chosen {
			// Engines of this API show a pool of their own choice like this.
			m.Gateway = netip.PrefixFrom(pool.Gateway, pool.Subnet.Bits()).String()
		}
	}
	for name, addr := range pool.AuxAddresses {
		if m.AuxAddress == nil {
			m.AuxAddress = map[string]string{}
		}
		m.AuxAddress[name] = addr.String()
	}
	m.AuxiliaryAddresses = m.AuxAddress
	return m
}

// prefixText is "" for no prefix.
func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
