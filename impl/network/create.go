package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/ipam"
)

// Options of the bridge driver (networks section, v1.21 and later).
const (
	optionDefaultBridge = "com.docker.network.bridge.default_bridge"
	optionICC           = "com.docker.network.bridge.enable_icc"
	optionMasquerade    = "com.docker.network.bridge.enable_ip_masquerade"
	optionHostIP        = "com.docker.network.bridge.host_binding_ipv4"
	optionDevice        = "com.docker.network.bridge.name"
	optionMTU           = "com.docker.network.driver.mtu"
)

// devicePrefix begins the names of user-defined networks' bridges. It is not
// Docker's "br-", whose devices are recognized by that (firewall.Table.Admit).
const devicePrefix = "bb-"

// CreateSpec asks for a user-defined network.
type CreateSpec struct {
	Name string
	// Driver is "bridge", as which empty and "default" count, or a plugin's name.
	Driver     string
	Internal   bool
	EnableIPv6 bool
	// IPAM may have one IPv4 pool; without one a free subnet is chosen. With
	// EnableIPv6 it must have one IPv6 pool, too.
	IPAM    IPAM
	Options map[string]string
	Labels  map[string]string
}

// CreateNetwork makes a network. Classes: InvalidArgument, Forbidden (the name
// of a predefined network), NotFound (driver), Conflict (name or subnet taken),
// Unavailable (no subnet left, no IPv6 in the kernel).
func (m *Manager) CreateNetwork(ctx context.Context, spec CreateSpec) (Network, error) {
	def, err := define(spec)
	if err != nil {
		return Network{}, err
	}
	if def.Driver != "bridge" {
		return m.createRemote(ctx, def)
	}
	m.changes.Lock()
	defer m.changes.Unlock()
	if err := ctx.Err(); err != nil {
		return Network{}, err
	}
	if err := m.nameFree(def.Name); err != nil {
		return Network{}, err
	}
	n := &network{def: def}
	if err := m.chooseSubnet(n); err != nil {
		return Network{}, err
	}
	set, err := n.def.settings(m.opts)
	if err != nil {
		return Network{}, err
	}
	if _, exists, err := bridge.Address(set.device); err != nil {
		return Network{}, err
	} else if exists {
		return Network{}, fault.Conflict("bridge name %s is already in use", set.device)
	}
	if err := m.openUserDefined(n); err != nil {
		return Network{}, errors.Join(err, bridge.Remove(set.device))
	}
	m.mu.Lock()
	m.networks[n.def.ID] = n
	m.mu.Unlock()
	err = m.saveNetworks()
	if err == nil {
		err = m.table.AddNetwork(n.rules())
	}
	if err != nil {
		return Network{}, errors.Join(fmt.Errorf("create network %s: %w", def.Name, err), m.drop(n))
	}
	if err := m.table.Admit(); err != nil {
		m.log.Error("another engine's firewall may drop packets of containers", "network", def.Name, "err", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot(n), nil
}

// RemoveNetwork removes a user-defined network without endpoints. Classes:
// NotFound, Forbidden (predefined), Conflict (endpoints).
func (m *Manager) RemoveNetwork(ctx context.Context, nameOrID string) (Network, error) {
	m.changes.Lock()
	defer m.changes.Unlock()
	if err := ctx.Err(); err != nil {
		return Network{}, err
	}
	m.mu.Lock()
	n, err := m.find(nameOrID)
	if err == nil && n.def.predefined() {
		err = fault.Forbidden("%s is a pre-defined network and cannot be removed", n.def.Name)
	}
	if err == nil && n.users > 0 {
		err = fault.Conflict("network %s has active endpoints", n.def.Name)
	}
	if err != nil {
		m.mu.Unlock()
		return Network{}, err
	}
	was := m.snapshot(n)
	delete(m.networks, n.def.ID) // from here on nobody finds it
	m.mu.Unlock()
	if n.remote != nil {
		// Aside: other networks can be made and removed meanwhile.
		m.leaving.Go(func() {
			n.leaving.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
			defer cancel()
			if err := n.remote.delete(ctx, n.def.ID); err != nil {
				m.log.Warn("a plugin keeps a network that is gone", "network", n.def.Name, "err", err)
			}
		})
	}
	return was, m.drop(n)
}

// drop takes a network back from the kernel and the disk.
func (m *Manager) drop(n *network) error {
	m.mu.Lock()
	delete(m.networks, n.def.ID)
	m.mu.Unlock()
	errs := []error{m.saveNetworks()}
	if n.bridge != nil {
		errs = append(errs, m.table.RemoveNetwork(n.device), bridge.Remove(n.device))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove network %s: %w", n.def.Name, err)
	}
	return nil
}

// define checks a request as far as it can be checked alone.
func define(spec CreateSpec) (definition, error) {
	def := definition{ID: newID(), Name: spec.Name, Driver: "bridge", Created: time.Now().UTC(), Internal: spec.Internal,
		IPAM: spec.IPAM, Options: maps.Clone(spec.Options), Labels: maps.Clone(spec.Labels)}
	def.IPAM.Config = nil
	var pools, pools6 []IPAMConfig
	for _, c := range spec.IPAM.Config {
		if c.is6() {
			pools6 = append(pools6, c)
		} else {
			pools = append(pools, c)
		}
	}
	// A pool that is to be chosen comes first, too. Pools of IPv6 are shown but
	// not used as long as the network has no IPv6, as in Docker Engine.
	def.IPAM.Config = slices.Concat(pools, pools6)
	if spec.Driver != "" && spec.Driver != "default" {
		def.Driver = spec.Driver
	}
	switch {
	case spec.Name == "":
		return def, fault.Invalid("network name cannot be empty")
	case def.predefined():
		return def, fault.Forbidden("%s is a pre-defined network and cannot be created", spec.Name)
	case spec.Driver == "host" || spec.Driver == "null":
		return def, fault.Forbidden("only one instance of %q network is allowed", spec.Driver)
	case spec.IPAM.Driver != "" && spec.IPAM.Driver != "default":
		return def, fault.NotFound("IPAM plugin %q not found", spec.IPAM.Driver)
	case def.Driver != "bridge" && spec.EnableIPv6:
		return def, fault.Unimplemented("EnableIPv6 is not implemented for networks of plugins")
	case len(pools) > 1 || spec.EnableIPv6 && len(pools6) > 1:
		return def, fault.Invalid("bridge driver doesn't support multiple subnets: one of IPv4 and one of IPv6 per network")
	}
	var err error
	if spec.EnableIPv6 {
		if !bridge.HasIPv6() {
			return def, fault.Unavailable("the host's kernel has no IPv6: a network cannot have it")
		}
		if len(pools6) == 0 || !pools6[0].Subnet.IsValid() {
			return def, fault.Invalid("could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network: give an IPv6 subnet in IPAM.Config")
		}
		if err := checkSubnet6(pools6[0].Subnet); err != nil {
			return def, err
		}
		if def.Address6, err = pools6[0].bridgeAddress(); err != nil {
			return def, err
		}
		if _, err := newPool(def.Address6, pools6[0]); err != nil {
			return def, err
		}
	}
	if len(pools) == 0 {
		return def, nil
	}
	c := pools[0]
	if !c.Subnet.IsValid() {
		if c.Gateway.IsValid() || c.IPRange.IsValid() || len(c.AuxAddresses) > 0 {
			return def, fault.Invalid("a gateway, an address range and auxiliary addresses need a subnet")
		}
		def.IPAM.Config = pools6 // the one that is chosen takes its place
		return def, nil
	}
	if c.Subnet.Bits() > 30 {
		return def, fault.Invalid("subnet %s has no room for a gateway and a container", c.Subnet)
	}
	if def.Address, err = c.bridgeAddress(); err != nil {
		return def, err
	}
	_, err = newPool(def.Address, c)
	return def, err
}

// is6 tells whether the pool is one of IPv6 addresses.
func (c IPAMConfig) is6() bool {
	return c.Subnet.Addr().Is6() || !c.Subnet.IsValid() && (c.Gateway.Is6() || c.IPRange.Addr().Is6())
}

// bridgeAddress is the gateway of the pool, or the first address that is no
// other host's, with the subnet's length.
func (c IPAMConfig) bridgeAddress() (netip.Prefix, error) {
	gateway := c.Gateway
	if !gateway.IsValid() {
		span := c.Subnet
		if c.IPRange.IsValid() {
			span = c.IPRange
		}
		gateway = ipam.First(span)
		for slices.Contains(slices.Collect(maps.Values(c.AuxAddresses)), gateway) {
			gateway = gateway.Next()
		}
	}
	if !c.Subnet.Contains(gateway) {
		return netip.Prefix{}, fault.Invalid("invalid gateway %s: not of subnet %s", gateway, c.Subnet)
	}
	return netip.PrefixFrom(gateway, c.Subnet.Bits()), nil
}

// checkSubnet6 refuses what cannot be routed to a network of containers.
func checkSubnet6(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !a.Is6() || a.Is4In6():
		return fault.Invalid("subnet %s is not one of IPv6", p)
	case p.Bits() > 126 || p.Bits() < 8:
		return fault.Invalid("IPv6 subnet %s must have a length from 8 to 126", p)
	case a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsLoopback() || a.IsUnspecified():
		return fault.Invalid("IPv6 subnet %s must be of global or unique local addresses", p)
	}
	return nil
}

// chooseSubnet completes a definition without a subnet and checks one with.
func (m *Manager) chooseSubnet(n *network) error {
	own := m.ownSubnets(n)
	if n.def.Address6.IsValid() && overlaps(n.def.Address6.Masked(), own) {
		return fault.Conflict("Pool overlaps with other one on this address space")
	}
	if n.def.Address.IsValid() {
		if overlaps(n.def.Address.Masked(), own) {
			return fault.Conflict("Pool overlaps with other one on this address space")
		}
		return nil
	}
	taken, err := bridge.Taken("")
	if err != nil {
		return err
	}
	subnet, err := ipam.Choose(slices.Concat(taken, own, hostNameservers()))
	if err != nil {
		return err
	}
	n.def.Address = netip.PrefixFrom(ipam.First(subnet), subnet.Bits())
	chosen := IPAMConfig{Subnet: subnet, Gateway: n.def.Address.Addr(), Chosen: true}
	n.def.IPAM.Config = append([]IPAMConfig{chosen}, n.def.IPAM.Config...)
	return nil
}

// openUserDefined brings a defined network up.
func (m *Manager) openUserDefined(n *network) (err error) {
	if n.pool, err = newPool(n.def.Address, n.def.pool(false)); err != nil {
		return err
	}
	if n.def.Driver != "bridge" {
		n.settings.hostIP = m.opts.HostIP // the options are the plugin's own
		n.remote = &remote{m.opts.Plugins, n.def.Driver}
		return nil
	}
	if n.settings, err = n.def.settings(m.opts); err != nil {
		return err
	}
	if n.def.Address6.IsValid() {
		if n.pool6, err = newPool(n.def.Address6, n.def.pool(true)); err != nil {
			return err
		}
	}
	if !n.def.Internal {
		n.gateway, n.gateway6 = n.def.Address.Addr(), n.def.Address6.Addr()
	}
	return n.up()
}

// pool gives what the definition says of its pool of a family; the zero value
// if it says nothing.
func (d definition) pool(six bool) IPAMConfig {
	for _, c := range d.IPAM.Config {
		if c.is6() == six {
			return c
		}
	}
	return IPAMConfig{}
}

// newPool makes the pool of a bridge's subnet with what containers cannot have.
func newPool(address netip.Prefix, c IPAMConfig) (*ipam.Pool, error) {
	pool, err := ipam.NewPool(address.Masked(), c.IPRange)
	if err != nil {
		return nil, err
	}
	if err := pool.TakeAddr(address.Addr()); err != nil {
		return nil, fault.Invalid("invalid gateway %s of subnet %s: %w", address.Addr(), address.Masked(), err)
	}
	for name, a := range c.AuxAddresses {
		if err := pool.TakeAddr(a); err != nil {
			return nil, fault.Invalid("invalid auxiliary address %s of %s: %w", a, name, err)
		}
	}
	return pool, nil
}

// settings reads the options of a user-defined network.
func (d definition) settings(daemon Options) (settings, error) {
	s := settings{device: devicePrefix + d.ID[:maxDeviceName-len(devicePrefix)], mtu: daemon.MTU, masquerade: true, hostIP: daemon.HostIP}
	flag := func(key string, set func(bool)) error {
		text, ok := d.Options[key]
		if !ok {
			return nil
		}
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fault.Invalid("invalid value %q of option %s", text, key)
		}
		set(v)
		return nil
	}
	if err := errors.Join(
		flag(optionICC, func(v bool) { s.isolate = !v }),
		flag(optionMasquerade, func(v bool) { s.masquerade = v }),
		// As in Docker Engine it names the default network's device, which only
		// another name makes possible.
		flag(optionDefaultBridge, func(v bool) {
			if v {
				s.device = daemon.Bridge
			}
		}),
	); err != nil {
		return s, err
	}
	if name := d.Options[optionDevice]; name != "" {
		if !validDevice(name) {
			return s, fault.Invalid("invalid value %q of option %s", name, optionDevice)
		}
		s.device = name
	}
	if text := d.Options[optionMTU]; text != "" {
		mtu, err := strconv.Atoi(text)
		if err != nil || !validMTU(mtu) {
			return s, fault.Invalid("invalid value %q of option %s", text, optionMTU)
		}
		s.mtu = mtu
	}
	if text := d.Options[optionHostIP]; text != "" {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			return s, fault.Invalid("invalid value %q of option %s", text, optionHostIP)
		}
		s.hostIP = a
	}
	return s, nil
}

// validMTU tells whether IPv4 works with it (RFC 791, section 3.2).
func validMTU(mtu int) bool { return mtu >= 68 && mtu <= 65535 }

// validDevice tells whether the kernel takes it as a device's name
// (net/core/dev.c, dev_valid_name) and it is no pattern of ours.
func validDevice(name string) bool {
	if name == "" || len(name) > maxDeviceName || name == "." || name == ".." {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || r == '/' || r == ':' || r == '%' || r == '+' || r == '*' {
			return false
		}
	}
	return true
}
