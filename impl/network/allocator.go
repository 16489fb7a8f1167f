package network

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// Words of the IPAM protocol.
const (
	optionAddressType = "RequestAddressType"
	optionGateway     = "com.docker.network.gateway"
	optionMAC         = "com.docker.network.endpoint.macaddress"
)

// mostPools is how many pools in a row that the host uses a plugin may offer.
const mostPools = 64

// allocator is an IPAM driver that is a plugin (protocol IpamDriver), for one
// network. The plugin is looked up at each call.
type allocator struct {
	plugins Plugins
	name    string
	options map[string]string
}

// allocator gives the IPAM plugin of a network.
func (m *Manager) allocator(d definition) allocator {
	return allocator{m.opts.Plugins, d.IPAM.Driver, d.IPAM.Options}
}

// leased tells whether the network's addresses come from a plugin.
func (d definition) leased() bool { return d.IPAM.Driver != "" && d.IPAM.Driver != ipamDefault }

func (a allocator) call(ctx context.Context, method string, in, out any) error {
	if a.plugins == nil {
		return fault.NotFound("IPAM plugin %q not found", a.name)
	}
	p, err := a.plugins.Get(ctx, a.name, plugin.IPAMDriver)
	if errdefs.IsNotFound(err) {
		return fault.NotFound("IPAM plugin %q not found", a.name)
	}
	if err != nil {
		return err
	}
	return p.Call(ctx, plugin.IPAMDriver+"."+method, in, out)
}

func (a allocator) wrong(method, format string, args ...any) error {
	return wrongAnswer{fault.Internal("plugin %s: %s.%s "+format, append([]any{a.name, plugin.IPAMDriver, method}, args...)...)}
}

// wrongAnswer is the error of an answer that breaks the protocol: the plugin was
// reached.
type wrongAnswer struct{ error }

func (w wrongAnswer) Unwrap() error { return w.error }

// abilities are what a plugin says that it needs. Plugins of the protocol's first
// version do not know the question, and need nothing.
type abilities struct{ RequiresMACAddress, RequiresRequestReplay bool }

func (a allocator) abilities(ctx context.Context) (can abilities, err error) {
	if err := a.call(ctx, "GetCapabilities", nil, &can); err != nil && !plugin.Answered(err) {
		return abilities{}, err
	}
	return can, nil
}

// addressSpace is where pools of networks of this host come from.
func (a allocator) addressSpace(ctx context.Context) (string, error) {
	var answer struct{ LocalDefaultAddressSpace string }
	err := a.call(ctx, "GetDefaultAddressSpaces", nil, &answer)
	return answer.LocalDefaultAddressSpace, err
}

// pool asks for one pool; without a subnet the plugin chooses. The gateway is
// invalid if the plugin does not say one.
func (a allocator) pool(ctx context.Context, addressSpace string, six bool, c IPAMConfig) (id string, subnet netip.Prefix, gateway netip.Addr, err error) {
	var answer struct {
		PoolID, Pool string
		Data         map[string]json.RawMessage
	}
	options := a.options
	if options == nil {
		options = map[string]string{}
	}
	err = a.call(ctx, "RequestPool", map[string]any{"AddressSpace": addressSpace, "Pool": text(c.Subnet), "SubPool": text(c.IPRange),
		"Options": options, "V6": six}, &answer)
	if err != nil {
		return "", netip.Prefix{}, netip.Addr{}, err
	}
	if answer.PoolID == "" {
		return "", netip.Prefix{}, netip.Addr{}, a.wrong("RequestPool", "gives no pool id")
	}
	id = answer.PoolID
	subnet, err = netip.ParsePrefix(answer.Pool)
	if err != nil || subnet.Addr().Is6() != six || c.Subnet.IsValid() && subnet.Masked() != c.Subnet {
		return id, netip.Prefix{}, netip.Addr{}, a.wrong("RequestPool", "gives the pool %q for %q", answer.Pool, text(c.Subnet))
	}
	subnet = subnet.Masked()
	var given string
	if raw, ok := answer.Data[optionGateway]; ok && json.Unmarshal(raw, &given) == nil && given != "" {
		p, err := netip.ParsePrefix(given)
		if err != nil || !subnet.Contains(p.Addr()) {
			return id, subnet, netip.Addr{}, a.wrong("RequestPool", "gives the gateway %q for %s", given, subnet)
		}
		gateway = p.Addr()
	}
	return id, subnet, gateway, nil
}

func (a allocator) releasePool(ctx context.Context, id string) error {
	return a.call(ctx, "ReleasePool", map[string]string{"PoolID": id}, nil)
}

// request asks for an address of a pool, any if wanted is invalid.
func (a allocator) request(ctx context.Context, pool string, wanted netip.Addr, options map[string]string) (netip.Addr, error) {
	in := map[string]any{"PoolID": pool, "Address": "", "Options": options}
	if wanted.IsValid() {
		in["Address"] = wanted.String()
	}
	var answer struct{ Address string }
	if err := a.call(ctx, "RequestAddress", in, &answer); err != nil {
		return netip.Addr{}, err
	}
	p, err := netip.ParsePrefix(answer.Address)
	if err != nil {
		var one netip.Addr
		if one, err = netip.ParseAddr(answer.Address); err == nil {
			p = netip.PrefixFrom(one, one.BitLen())
		}
	}
	if err != nil || wanted.IsValid() && p.Addr() != wanted {
		return netip.Addr{}, a.wrong("RequestAddress", "gives the address %q for %q", answer.Address, in["Address"])
	}
	return p.Addr(), nil
}

func (a allocator) release(ctx context.Context, pool string, addr netip.Addr) error {
	return a.call(ctx, "ReleaseAddress", map[string]string{"PoolID": pool, "Address": addr.String()}, nil)
}

// address asks for an endpoint's address and notes it in the pool, where the
// wanted one is noted already.
func (a allocator) address(ctx context.Context, s *space, wanted netip.Addr, mac HardwareAddr) (netip.Addr, error) {
	can, err := a.abilities(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	options := map[string]string{}
	if can.RequiresMACAddress {
		options[optionMAC] = mac.String()
	}
	got, err := a.request(ctx, s.lease, wanted, options)
	if err != nil || wanted.IsValid() {
		return got, err
	}
	if !s.Subnet().Contains(got) {
		return netip.Addr{}, a.wrong("RequestAddress", "gives the address %s, which is not of %s", got, s.Subnet())
	}
	// One that it was told to take back a moment ago may rest here yet.
	if err := s.AwaitAddr(got, restPatience); err != nil {
		return netip.Addr{}, a.wrong("RequestAddress", "gives the address %s, which is in use", got)
	}
	return got, nil
}

// lease asks for the pools of a new network, and for the addresses of them that
// are no container's. What it got is in owed, also when it fails. The others look
// at the network meanwhile: it has none of the pools until it has all.
func (m *Manager) lease(ctx context.Context, n *network, owed *debt) error {
	a := m.allocator(n.def)
	space, err := a.addressSpace(ctx)
	if err != nil {
		return err
	}
	n.addressSpace = space
	var used []netip.Prefix // by the host; only a pool that the plugin chooses must not overlap it
	if taken, err := bridge.Taken(""); err == nil {
		used = append(taken, hostNameservers()...)
	}
	configs := map[bool][]IPAMConfig{}
	for _, c := range n.def.IPAM.Config {
		configs[c.is6()] = append(configs[c.is6()], c)
	}
	families := []bool{false}
	if n.def.ipv6 {
		families = append(families, true)
	}
	var shown []IPAMConfig
	var leases []poolDef
	var first [2]netip.Prefix // of IPv4, of IPv6
	for i, six := range families {
		list := configs[six]
		if len(list) == 0 {
			list = []IPAMConfig{{}}
		}
		for _, c := range list {
			p, err := m.leaseOne(ctx, a, space, six, c, used, owed)
			if err != nil {
				return err
			}
			leases = append(leases, p)
			if !c.Subnet.IsValid() {
				c = IPAMConfig{Subnet: p.subnet(), Gateway: p.Gateway.Addr(), AuxAddresses: c.AuxAddresses, Chosen: true}
			}
			shown = append(shown, c)
			if !first[i].IsValid() {
				first[i] = p.Gateway
			}
		}
	}
	if !n.def.ipv6 {
		shown = append(shown, configs[true]...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n.def.Leases, n.def.IPAM.Config, n.def.Address, n.def.Address6 = leases, shown, first[0], first[1]
	return nil
}

func (m *Manager) leaseOne(ctx context.Context, a allocator, space string, six bool, c IPAMConfig, used []netip.Prefix, owed *debt) (p poolDef, err error) {
	var id string
	var subnet netip.Prefix
	var gateway netip.Addr
	// Those that the host uses are held until another one is found, or the plugin
	// would offer them again.
	var held []string
	defer func() {
		for _, id := range held {
			if e := briefly(ctx, id, a.releasePool); e != nil {
				m.log.Warn("a plugin keeps a pool of addresses", "plugin", a.name, "pool", id, "err", e)
				continue
			}
			owed.Pools = slices.DeleteFunc(owed.Pools, func(o string) bool { return o == id })
		}
	}()
	for {
		id, subnet, gateway, err = a.pool(ctx, space, six, c)
		if id != "" {
			owed.Pools = append(owed.Pools, id)
			if err := m.write(owed); err != nil {
				return p, err
			}
		}
		if err != nil {
			return p, err
		}
		if c.Subnet.IsValid() || !overlaps(subnet, used) {
			break
		}
		if held = append(held, id); len(held) == mostPools {
			return p, fault.Unavailable("IPAM plugin %q offers only subnets that the host uses, the last is %s", a.name, subnet)
		}
	}
	if subnet.Bits() > subnet.Addr().BitLen()-2 {
		return p, a.wrong("RequestPool", "gives the pool %s, which has no room for a gateway and a container", subnet)
	}
	p = poolDef{Range: c.IPRange, Aux: maps.Clone(c.AuxAddresses), Lease: id}
	take := func(wanted netip.Addr, options map[string]string) (netip.Addr, error) {
		got, err := a.request(ctx, id, wanted, options)
		if err == nil {
			owed.Addresses = append(owed.Addresses, leasedAddress{id, got})
			err = m.write(owed)
		}
		if err == nil && !subnet.Contains(got) {
			err = a.wrong("RequestAddress", "gives the address %s, which is not of %s", got, subnet)
		}
		return got, err
	}
	if c.Gateway.IsValid() || !gateway.IsValid() {
		if gateway, err = take(c.Gateway, map[string]string{optionAddressType: optionGateway}); err != nil {
			return p, err
		}
		p.Leased = true
	}
	p.Gateway = netip.PrefixFrom(gateway, subnet.Bits())
	for _, name := range slices.Sorted(maps.Keys(p.Aux)) {
		if _, err := take(p.Aux[name], map[string]string{}); err != nil {
			return p, err
		}
	}
	return p, nil
}

// randomMAC gives a hardware address to endpoints whose IPAM plugin needs one.
func randomMAC() HardwareAddr {
	mac := make(HardwareAddr, 6)
	rand.Read(mac) // never fails (crypto/rand)
	mac[0], mac[1] = 0x02, 0x42
	return mac
}

// text is "" for the zero Prefix.
func text(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
