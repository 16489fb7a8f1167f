package network

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/ipam"
)

// space is one pool of a network's addresses.
type space struct {
	// Pool knows which addresses are in use, also where a plugin chooses them.
	*ipam.Pool
	// gateway is what containers route to; zero in internal networks.
	gateway netip.Addr
	// lease is the pool's id at the network's IPAM plugin; "" without one.
	lease string
}

// poolDef is a pool as networks.json has it: with all choices made.
type poolDef struct {
	// Gateway is its address with the subnet's length.
	Gateway netip.Prefix `json:"gateway"`
	// Range and Aux are of the request.
	Range netip.Prefix          `json:"range,omitzero"`
	Aux   map[string]netip.Addr `json:"aux,omitempty"`
	// Lease is the pool's id at the IPAM plugin, Leased says that the plugin gave
	// the gateway as an address.
	Lease  string `json:"lease,omitempty"`
	Leased bool   `json:"leased,omitempty"`
}

func (p poolDef) subnet() netip.Prefix { return p.Gateway.Masked() }

// pools are all pools of the network, of IPv4 first.
func (d definition) pools() ([]poolDef, error) {
	if len(d.Leases) > 0 {
		return d.Leases, nil
	}
	var list []poolDef
	first, first6 := d.Address, d.Address6
	for _, c := range d.IPAM.Config {
		known := &first
		if c.is6() {
			if known = &first6; !d.Address6.IsValid() {
				continue // shown, but not used
			}
		}
		if !known.IsValid() {
			var err error
			if *known, err = c.bridgeAddress(); err != nil {
				return nil, err
			}
		}
		list = append(list, poolDef{Gateway: *known, Range: c.IPRange, Aux: c.AuxAddresses})
		*known = netip.Prefix{}
	}
	return list, nil
}

// pool gives what the definition says of its first pool of a family; the zero
// value if it says nothing.
func (d definition) pool(six bool) IPAMConfig {
	for _, c := range d.IPAM.Config {
		if c.is6() == six {
			return c
		}
	}
	return IPAMConfig{}
}

// subnets are those of all pools.
func (d definition) subnets() []netip.Prefix {
	var list []netip.Prefix
	if pools, err := d.pools(); err == nil {
		for _, p := range pools {
			list = append(list, p.subnet())
		}
	}
	if len(list) == 0 { // the default network has no pools in its definition
		for _, a := range []netip.Prefix{d.Address, d.Address6} {
			if a.IsValid() {
				list = append(list, a.Masked())
			}
		}
	}
	return list
}

// openSpaces makes the network's pools.
func (n *network) openSpaces() error {
	pools, err := n.def.pools()
	if err != nil {
		return err
	}
	n.spaces = nil
	for _, d := range pools {
		s := &space{lease: d.Lease}
		if s.Pool, err = newPool(d); err != nil {
			return err
		}
		if !n.def.Internal {
			s.gateway = d.Gateway.Addr()
		}
		n.spaces = append(n.spaces, s)
	}
	return nil
}

// newPool makes a pool with what containers cannot have.
func newPool(d poolDef) (*ipam.Pool, error) {
	subnet := d.subnet()
	pool, err := ipam.NewPool(subnet, d.Range)
	if err != nil {
		return nil, err
	}
	if err := pool.TakeAddr(d.Gateway.Addr()); err != nil {
		return nil, fault.Invalid("invalid gateway %s of subnet %s: %w", d.Gateway.Addr(), subnet, err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Aux)) {
		if err := pool.TakeAddr(d.Aux[name]); err != nil {
			return nil, fault.Invalid("invalid auxiliary address %s of %s: %w", d.Aux[name], name, err)
		}
	}
	return pool, nil
}

// of gives the network's pools of a family.
func (n *network) of(six bool) []*space {
	var list []*space
	for _, s := range n.spaces {
		if s.Subnet().Addr().Is6() == six {
			list = append(list, s)
		}
	}
	return list
}

// spaceOf gives the pool that an address is of, or nil.
func (n *network) spaceOf(a netip.Addr) *space {
	for _, s := range n.spaces {
		if s.Subnet().Contains(a) {
			return s
		}
	}
	return nil
}

// hasIPv6 tells whether the network's containers get IPv6 addresses.
func (n *network) hasIPv6() bool { return len(n.of(true)) > 0 }

// take takes an address of the network for an endpoint, a certain one where it is
// wanted, with its subnet's length, and gives its pool. Of several pools the
// first counts that has one left.
func (m *Manager) take(ctx context.Context, n *network, six bool, wanted netip.Addr, mac HardwareAddr) (netip.Prefix, *space, error) {
	spaces := n.of(six)
	if wanted.IsValid() {
		s := n.spaceOf(wanted)
		if s == nil {
			return netip.Prefix{}, nil, fault.Invalid("Invalid address %s: It does not belong to any of this network's subnets", wanted)
		}
		spaces = []*space{s}
	}
	err := fault.Unavailable("network %s has no addresses", n.def.Name)
	for _, s := range spaces {
		var a netip.Addr
		if a, err = m.takeFrom(ctx, n, s, wanted, mac); err == nil {
			return netip.PrefixFrom(a, s.Subnet().Bits()), s, nil
		}
		if !errdefs.IsUnavailable(err) {
			break
		}
	}
	return netip.Prefix{}, nil, err
}

func (m *Manager) takeFrom(ctx context.Context, n *network, s *space, wanted netip.Addr, mac HardwareAddr) (netip.Addr, error) {
	if wanted.IsValid() {
		if err := s.AwaitAddr(wanted, restPatience); err != nil {
			return netip.Addr{}, err
		}
	}
	switch {
	case s.lease != "":
		m.replayed(ctx, n)
		a, err := m.allocator(n.def).address(ctx, s, wanted, mac)
		if err != nil && wanted.IsValid() {
			s.Give(wanted)
		}
		return a, err
	case wanted.IsValid():
		return wanted, nil
	}
	return s.Take()
}

// rests says that an endpoint's addresses will soon be given back.
func (n *network) rests(e Endpoint) {
	for _, a := range e.addresses() {
		if s := n.spaceOf(a); s != nil {
			s.Rest(a)
		}
	}
}

// give returns an endpoint's addresses to the network's pools.
func (n *network) give(e Endpoint) {
	for _, a := range e.addresses() {
		if s := n.spaceOf(a); s != nil {
			s.Give(a)
		}
	}
}
