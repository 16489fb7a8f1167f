package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/ipam"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// CreateSpec asks for a user-defined network.
type CreateSpec struct {
	Name string
	// Driver is "bridge", as which empty and "default" count, "macvlan", or a
	// plugin's name.
	Driver     string
	Internal   bool
	EnableIPv6 bool
	// IPAM has the pools of addresses. Bridges have one of IPv4 and with
	// EnableIPv6 one of IPv6, others may have several. Without one of IPv4 a free
	// subnet is chosen; of IPv6 only an IPAM plugin does.
	IPAM    IPAM
	Options map[string]string
	Labels  map[string]string
}

// CreateNetwork makes a network. Its name is taken while plugins work for it, and
// nobody else waits for them. Classes: InvalidArgument, Forbidden (the name of a
// predefined network), NotFound (driver), Conflict (name, subnet or parent
// taken), Unavailable (no subnet left, no IPv6 or macvlan in the kernel).
func (m *Manager) CreateNetwork(ctx context.Context, spec CreateSpec) (Network, error) {
	def, err := define(spec)
	if err != nil {
		return Network{}, err
	}
	n := &network{def: def, pending: true}
	if err := m.propose(ctx, n); err != nil {
		return Network{}, err
	}
	var undo undoStack
	undo.push(func() error {
		m.mu.Lock()
		delete(m.networks, def.ID)
		m.mu.Unlock()
		return nil
	})
	if err = m.make(ctx, n, &undo); err == nil {
		err = m.accept(n, &undo)
	}
	if err != nil {
		err = errors.Join(err, undo.run())
		if errdefs.IsNotFound(err) || n.def.driver() == driverBridge && !n.def.leased() {
			return Network{}, err
		}
		return Network{}, fmt.Errorf("create network %s: %w", def.Name, err)
	}
	if n.bridge != nil {
		if err := m.table.Admit(); err != nil {
			m.log.Error("another engine's firewall may drop packets of containers", "network", def.Name, "err", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot(n), nil
}

// propose takes the name of a network and, unless a plugin gives them, its
// subnets.
func (m *Manager) propose(ctx context.Context, n *network) error {
	m.changes.Lock()
	defer m.changes.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.nameFree(n.def.Name); err != nil {
		return err
	}
	if !n.def.leased() {
		if err := m.chooseSubnet(n); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.networks[n.def.ID] = n
	m.mu.Unlock()
	return nil
}

// make has plugins and the kernel make a network.
func (m *Manager) make(ctx context.Context, n *network, undo *undoStack) error {
	if n.def.driver() == driverRemote || n.def.leased() {
		owed := n.owesAll()
		owed.Driver = "" // until that plugin is asked
		if err := m.write(owed); err != nil {
			return err
		}
		undo.push(func() error { m.leaving.Go(func() { m.payOrKeep(owed) }); return nil })
		if n.def.leased() {
			if err := m.lease(ctx, n, owed); err != nil {
				return err
			}
			n.replay.done = true // it has just given them
		}
		if err := m.open(n, undo); err != nil || n.remote == nil {
			return err
		}
		owed.Driver = n.def.Driver
		if err := m.write(owed); err != nil {
			return err
		}
		err := n.remote.create(ctx, n)
		if plugin.Undone(err) {
			owed.Driver = ""
		}
		return err
	}
	return m.open(n, undo)
}

// open has the kernel make what the network needs.
func (m *Manager) open(n *network, undo *undoStack) error {
	m.changes.Lock()
	defer m.changes.Unlock()
	if n.def.leased() {
		if err := m.noOverlap(n); err != nil {
			return err
		}
	}
	switch n.def.driver() {
	case driverBridge:
		set, err := n.def.settings(m.opts)
		if err != nil {
			return err
		}
		made, err := m.provide(n.def, m.noteDevice, set.makeBridge(n.def))
		if err != nil {
			return err
		}
		if !made {
			return fault.Conflict("bridge name %s is already in use", set.device)
		}
		undo.push(func() error { return m.unmake(n.def) })
	case driverMacvlan:
		if err := n.openSpaces(); err != nil {
			return err
		}
		if err := m.makeMacvlan(n); err != nil {
			return err
		}
		undo.push(func() error { return m.unmake(n.def) })
		return nil
	}
	return m.openUserDefined(n)
}

// accept writes a network down that is made, and lets its packets pass.
func (m *Manager) accept(n *network, undo *undoStack) error {
	m.changes.Lock()
	defer m.changes.Unlock()
	set := func(pending bool) {
		m.mu.Lock()
		n.pending = pending
		m.mu.Unlock()
	}
	if n.bridge != nil {
		undo.push(func() error { return m.table.RemoveNetwork(n.device) })
		if err := m.table.AddNetwork(n.rules()); err != nil {
			return err
		}
	}
	set(false)
	if err := m.saveNetworks(); err != nil {
		set(true)
		return fmt.Errorf("create network %s: %w", n.def.Name, err)
	}
	if n.def.driver() == driverRemote || n.def.leased() {
		m.paid(n.def.ID)
	}
	m.forgetDevice(n.def.device(m.opts))
	return nil
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
	var owed *debt
	if n.def.driver() == driverRemote || n.def.leased() {
		owed = n.owesAll()
		if err := m.write(owed); err != nil {
			m.log.Warn("plugins may not hear of a network that is gone", "network", n.def.Name, "err", err)
		}
	}
	if err := m.noteOwned(n.def); err != nil {
		m.log.Warn("a device may stay if the engine is killed now", "network", n.def.Name, "err", err)
	}
	errs := []error{m.saveNetworks()}
	if n.bridge != nil {
		errs = append(errs, m.table.RemoveNetwork(n.device))
	}
	errs = append(errs, m.unmake(n.def))
	if owed != nil {
		// Aside: other networks can be made and removed meanwhile.
		m.leaving.Go(func() {
			n.leaving.Wait()
			m.payOrKeep(owed)
		})
	}
	if err := errors.Join(errs...); err != nil {
		return was, fmt.Errorf("remove network %s: %w", n.def.Name, err)
	}
	return was, nil
}

// define checks a request as far as it can be checked alone.
func define(spec CreateSpec) (definition, error) {
	def := definition{ID: newID(), Name: spec.Name, Driver: "bridge", Created: time.Now().UTC(), Internal: spec.Internal,
		IPAM: spec.IPAM, Options: maps.Clone(spec.Options), Labels: maps.Clone(spec.Labels), ipv6: spec.EnableIPv6}
	def.IPAM.Config = nil
	if spec.IPAM.Driver == ipamDefault {
		def.IPAM.Driver = ""
	}
	if spec.Driver != "" && spec.Driver != "default" {
		def.Driver = spec.Driver
	}
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
	switch {
	case spec.Name == "":
		return def, fault.Invalid("network name cannot be empty")
	case def.predefined():
		return def, fault.Forbidden("%s is a pre-defined network and cannot be created", spec.Name)
	case def.driver() == driverMode:
		return def, fault.Forbidden("only one instance of %q network is allowed", spec.Driver)
	case def.driver() == driverBridge && (len(pools) > 1 || spec.EnableIPv6 && len(pools6) > 1):
		return def, fault.Invalid("bridge driver doesn't support multiple subnets: one of IPv4 and one of IPv6 per network")
	case spec.EnableIPv6 && !bridge.HasIPv6():
		return def, fault.Unavailable("the host's kernel has no IPv6: a network cannot have it")
	case def.driver() == driverMacvlan:
		if _, _, err := def.macvlanOf(); err != nil {
			return def, err
		}
	}
	var known []netip.Prefix
	for i, c := range def.IPAM.Config {
		if c.is6() && !spec.EnableIPv6 {
			continue
		}
		if !c.Subnet.IsValid() {
			if c.Gateway.IsValid() || c.IPRange.IsValid() || len(c.AuxAddresses) > 0 {
				return def, fault.Invalid("a gateway, an address range and auxiliary addresses need a subnet")
			}
			if len(def.IPAM.Config) > 1 && !def.leased() && len(pools) > 1 {
				return def, fault.Invalid("of several pools each needs a subnet")
			}
			continue
		}
		address, err := c.check()
		if err != nil {
			return def, err
		}
		if overlaps(c.Subnet, known) {
			return def, fault.Conflict("Pool overlaps with other one on this address space")
		}
		known = append(known, c.Subnet)
		switch {
		case def.leased(): // the plugin has a say
		case !c.is6() && !def.Address.IsValid() && i == 0:
			def.Address = address
		case c.is6() && !def.Address6.IsValid():
			def.Address6 = address
		}
	}
	if def.leased() {
		return def, nil
	}
	if spec.EnableIPv6 && !def.Address6.IsValid() {
		return def, fault.Invalid("could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network: give an IPv6 subnet in IPAM.Config")
	}
	if len(pools) > 0 && !pools[0].Subnet.IsValid() {
		def.IPAM.Config = pools6 // the one that is chosen takes its place
	}
	return def, nil
}

// check refuses a pool with a subnet that cannot be one, and gives its gateway.
func (c IPAMConfig) check() (netip.Prefix, error) {
	if c.is6() {
		if err := checkSubnet6(c.Subnet); err != nil {
			return netip.Prefix{}, err
		}
	} else if c.Subnet.Bits() > 30 {
		return netip.Prefix{}, fault.Invalid("subnet %s has no room for a gateway and a container", c.Subnet)
	}
	address, err := c.bridgeAddress()
	if err != nil {
		return netip.Prefix{}, err
	}
	_, err = newPool(poolDef{Gateway: address, Range: c.IPRange, Aux: c.AuxAddresses})
	return address, err
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
	if !n.def.Address.IsValid() {
		taken, err := bridge.Taken("")
		if err != nil {
			return err
		}
		subnet, err := ipam.Choose(slices.Concat(taken, m.ownSubnets(n), hostNameservers()))
		if err != nil {
			return err
		}
		n.def.Address = netip.PrefixFrom(ipam.First(subnet), subnet.Bits())
		chosen := IPAMConfig{Subnet: subnet, Gateway: n.def.Address.Addr(), Chosen: true}
		n.def.IPAM.Config = append([]IPAMConfig{chosen}, n.def.IPAM.Config...)
	}
	return m.noOverlap(n)
}

// noOverlap refuses the network's subnets where another network has them: one
// whose addresses come from the same place, or, of two bridges, any, since the
// host has a route to each.
func (m *Manager) noOverlap(n *network) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.networks {
		if other == n || other.def.IPAM.Driver != n.def.IPAM.Driver && (other.def.driver() != driverBridge || n.def.driver() != driverBridge) {
			continue
		}
		if other.def.leased() && n.def.driver() != driverBridge {
			continue // the plugin knows what it does
		}
		theirs := other.def.subnets()
		for _, p := range n.def.subnets() {
			if overlaps(p, theirs) {
				return fault.Conflict("Pool overlaps with other one on this address space")
			}
		}
	}
	return nil
}

// openUserDefined brings a defined network up.
func (m *Manager) openUserDefined(n *network) (err error) {
	if err := n.openSpaces(); err != nil {
		return err
	}
	switch n.def.driver() {
	case driverRemote:
		n.settings.hostIP = m.opts.HostIP // the options are the plugin's own
		n.remote = &remote{m.opts.Plugins, n.def.Driver}
		return nil
	case driverMacvlan:
		return m.openMacvlan(n)
	}
	if n.settings, err = n.def.settings(m.opts); err != nil {
		return err
	}
	if _, err := m.provide(n.def, noRecord, n.makeBridge(n.def)); err != nil {
		return err
	}
	return n.up()
}
