package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/firewall"
	"github.com/seed-50ced230/berth/impl/network/ipam"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// hostPrefix begins the names of the host's sides of containers' interfaces.
const hostPrefix = "vethb"

// NewSandbox makes the network of a container. When it fails nothing of it
// stays. A sandbox that the container already has is released first.
//
// Classes: NotFound (network, container to join), InvalidArgument, Conflict
// (port or address taken), Unavailable (no address left), Internal.
func (m *Manager) NewSandbox(ctx context.Context, spec SandboxSpec) (*Sandbox, error) {
	if spec.ContainerID == "" || spec.ContainerID != filepath.Base(spec.ContainerID) {
		return nil, fault.Invalid("invalid container id %q", spec.ContainerID)
	}
	if spec.Mode != ModeBridge && (len(spec.Endpoints) > 0 || len(spec.Ports) > 0) {
		return nil, fault.Invalid("conflicting options: endpoints and published ports are for bridge networks, not for network mode %s", spec.Mode)
	}
	unlock := m.busy.lock(spec.ContainerID)
	defer unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := m.release(spec.ContainerID); err != nil {
		return nil, fmt.Errorf("release the earlier sandbox of %s: %w", spec.ContainerID, err)
	}
	s := &Sandbox{ID: newID(), ContainerID: spec.ContainerID, Mode: spec.Mode, DNS: slices.Clone(spec.DNS)}
	var undo undoStack
	var err error
	switch spec.Mode {
	case ModeBridge:
		err = m.buildBridged(ctx, s, spec, &undo)
	case ModeNone:
		s.Endpoints = []Endpoint{m.placeIn(NameNone)}
		s.Key = m.netnsPath(s.ID)
		err = m.createNamespace(s.Key, spec.Namespace, func() error { return nil })
		undo.push(func() error { return netns.Remove(s.Key) })
	case ModeHost:
		s.Endpoints = []Endpoint{m.placeIn(NameHost)}
	case ModeContainer:
		err = m.join(s, spec.JoinContainer)
	default:
		err = fault.Invalid("invalid network mode %q", spec.Mode)
	}
	if err == nil {
		err = m.save(s)
	}
	if err != nil {
		if undoErr := undo.run(); undoErr != nil {
			m.log.Error("undo of a failed sandbox is incomplete", "container", spec.ContainerID, "err", undoErr)
		}
		return nil, err
	}
	return m.commit(s), nil
}

// buildBridged makes namespace, endpoints and ports.
func (m *Manager) buildBridged(ctx context.Context, s *Sandbox, spec SandboxSpec, undo *undoStack) error {
	wanted := spec.Endpoints
	if len(wanted) == 0 {
		wanted = []EndpointSpec{{Network: NameBridge}}
	}
	networks, owed := make([]*network, len(wanted)), make([]*debt, len(wanted))
	s.Key = m.netnsPath(s.ID)
	for i, w := range wanted {
		n, err := m.use(w.Network)
		if err != nil {
			return err
		}
		undo.push(func() error { m.unuse(n); return nil })
		if s.on(n.def.ID) >= 0 {
			return fault.Invalid("container is to be connected to network %s twice", n.def.Name)
		}
		networks[i] = n
		e, d, err := m.place(ctx, s, n, w, "eth"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		s.Endpoints, owed[i] = append(s.Endpoints, e), d
		// Until the kernel has seen the interface go, the address is not free;
		// an interface that was never made is gone at once.
		undo.push(func() error { m.unplace(s, e, n, d); return nil })
	}
	hostIP := m.opts.HostIP
	if i := s.exit(); i >= 0 {
		hostIP = networks[i].hostIP
	}
	if err := m.reserve(s, spec, hostIP, undo); err != nil {
		return err
	}
	host, err := bridge.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	undo.push(func() error { return netns.Remove(s.Key) })
	err = m.createNamespace(s.Key, spec.Namespace, func() error {
		for i, e := range s.Endpoints {
			if networks[i].bridge == nil {
				continue
			}
			if err := networks[i].bridge.Attach(host, e.port(i == s.exit(), i == s.exit6())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fault.Internal("make the network of container %s: %w", s.ContainerID, err)
	}
	if err := m.enterAll(ctx, s, networks, owed, undo); err != nil {
		return err
	}
	forwards := s.forwards()
	if err := m.table.Add(forwards); err != nil {
		return fault.Internal("make the network of container %s: %w", s.ContainerID, err)
	}
	undo.push(func() error { return m.table.Remove(forwards) })
	m.cutFlows(s)
	if err := m.startRelays(s, undo); err != nil {
		return fault.Internal("make the network of container %s: %w", s.ContainerID, err)
	}
	if m.named(s) {
		return m.serveNames(s, undo)
	}
	return nil
}

// createNamespace makes a sandbox's network namespace, brings its loopback device up
// and calls setup inside; for create see SandboxSpec.Namespace.
func (m *Manager) createNamespace(path string, create func() (*os.File, error), setup func() error) error {
	whole := func() error {
		if err := bridge.Loopback(); err != nil {
			return err
		}
		return setup()
	}
	if create == nil {
		defer m.spare.refill()
		ready := m.spare.take()
		if ready == nil {
			return netns.Create(path, whole)
		}
		defer ready.Close()
		return netns.Pin(path, ready, setup)
	}
	namespace, err := create()
	if err != nil {
		return err
	}
	defer namespace.Close()
	return netns.Pin(path, namespace, whole)
}

// place takes an endpoint's addresses and writes down what plugins have of it.
func (m *Manager) place(ctx context.Context, s *Sandbox, n *network, w EndpointSpec, name string) (_ Endpoint, owed *debt, err error) {
	e := Endpoint{NetworkID: n.def.ID, NetworkName: n.def.Name, EndpointID: newID(), Interface: name, Direct: n.macvlan != nil,
		Aliases: slices.Clone(w.Aliases), Links: slices.Clone(w.Links), MAC: slices.Clone(w.MAC)}
	if n.remote == nil {
		e.HostInterface = hostPrefix + e.EndpointID[:8]
	}
	if len(e.MAC) != 0 && (len(e.MAC) != 6 || e.MAC[0]&1 != 0) {
		return Endpoint{}, nil, fault.Invalid("invalid MAC address %s: not a unicast Ethernet address", e.MAC)
	}
	if w.IPv4.IsValid() && n.def.pool(false).Chosen || w.IPv6.IsValid() && !n.hasIPv6() {
		return Endpoint{}, nil, fault.Invalid("user specified IP address is supported only when connecting to networks with user configured subnets")
	}
	if n.def.leased() && len(e.MAC) == 0 {
		can, err := m.allocator(n.def).abilities(ctx)
		if err != nil {
			return Endpoint{}, nil, err
		}
		if can.RequiresMACAddress {
			e.MAC = randomMAC()
		}
	}
	defer func() {
		if err != nil {
			m.unplace(s, e, n, n.owes(e, ""))
		}
	}()
	if err := m.address(ctx, n, w, &e); err != nil {
		return Endpoint{}, nil, err
	}
	owed = n.owes(e, s.Key)
	return e, owed, m.write(owed)
}

// address takes an endpoint's addresses and, from them, the hardware address.
func (m *Manager) address(ctx context.Context, n *network, w EndpointSpec, e *Endpoint) error {
	prefix, from, err := m.take(ctx, n, false, w.IPv4, e.MAC)
	if err != nil {
		return err
	}
	e.IPv4 = prefix
	if n.remote == nil { // otherwise the plugin has a say
		e.IPv4Gateway = from.gateway
	}
	if len(e.MAC) == 0 && n.remote == nil {
		if e.MAC, err = ipam.MAC(e.IPv4.Addr()); err != nil {
			return err
		}
	}
	if !n.hasIPv6() {
		return nil
	}
	wanted := w.IPv6
	if subnet := n.of(true)[0].Subnet(); n.def.Name == NameBridge && subnet.Bits() <= 80 {
		// On the default network the address follows from the hardware address
		// where there is room (fixed-cidr-v6 in Docker Engine).
		if wanted, err = ipam.Local6(subnet, e.MAC); err != nil {
			return err
		}
	}
	if prefix, from, err = m.take(ctx, n, true, wanted, e.MAC); err != nil {
		return err
	}
	e.IPv6 = prefix
	if n.remote == nil {
		e.IPv6Gateway = from.gateway
	}
	return nil
}

// unplace takes place back.
func (m *Manager) unplace(s *Sandbox, e Endpoint, n *network, owed *debt) {
	if owed == nil {
		m.rest(s, e, n)
		return
	}
	if !owed.stuck {
		owed.Driver = "" // the network's plugin was told, or never asked
	}
	if owed.Driver == "" && len(owed.Addresses) == 0 {
		m.paid(owed.ID)
		m.rest(s, e, n)
		return
	}
	// For the next engine, if this one ends before the plugin has heard of it.
	if err := m.write(owed); err != nil {
		m.log.Warn("a plugin may keep what a failed start had of it", "container", s.ContainerID, "err", err)
	}
	m.depart(s, e, n, owed)
}

// reserve takes the host's ports, on hostIP where the spec says nothing.
func (m *Manager) reserve(s *Sandbox, spec SandboxSpec, hostIP netip.Addr, undo *undoStack) error {
	if !slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool { return !e.Direct }) {
		return nil // as in Docker Engine: the container is reached by its own address
	}
	for _, p := range spec.Ports {
		if p.Proto != TCP && p.Proto != UDP {
			return fault.Invalid("invalid protocol %q of port %d", p.Proto, p.ContainerPort)
		}
		if p.ContainerPort == 0 {
			return fault.Invalid("invalid container port 0")
		}
		ip := p.HostIP
		if !ip.IsValid() {
			ip = hostIP
		}
		ip = ip.Unmap()
		if ip.Is6() && ip.IsLinkLocalUnicast() {
			return fault.Invalid("publish port %d on %s: a link-local address cannot be bound; use ::", p.ContainerPort, ip)
		}
		port := Port{Proto: p.Proto, ContainerPort: p.ContainerPort, HostIP: ip}
		// As in Docker Engine, whose proxy listens on both.
		port.Dual = !p.HostIP.IsValid() && ip == netip.IPv4Unspecified() && bridge.HasIPv6()
		keys, err := m.reservePort(p, port)
		if err != nil {
			return withPrefix(err, "driver failed programming external connectivity on endpoint %s (%s)",
				spec.ContainerName, s.Endpoints[0].EndpointID)
		}
		undo.push(func() error { m.releaseKeys(keys); return nil })
		port.HostPort = keys[0].Port
		s.Ports = append(s.Ports, port)
	}
	return nil
}

// withPrefix puts words before an error's text and keeps its class.
func withPrefix(err error, format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// join shares the namespace of a container that has a sandbox.
func (m *Manager) join(s *Sandbox, target string) error {
	m.mu.Lock()
	other := m.sandboxes[target]
	m.mu.Unlock()
	if other == nil {
		return fault.Conflict("cannot join network of a non running container: %s", target)
	}
	s.JoinContainer, s.Key = target, other.Key
	return nil
}

// placeIn is the endpoint in the networks host and none, which have no devices.
func (m *Manager) placeIn(name string) Endpoint {
	e := Endpoint{NetworkName: name, EndpointID: newID()}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, n := range m.networks {
		if n.def.Name == name {
			e.NetworkID = id
		}
	}
	return e
}

// Release removes the container's sandbox: its ports are free when it returns,
// its addresses as soon as the kernel has let go of the interface. It is no
// error if there is none. It goes on after an error and reports all of them.
func (m *Manager) Release(ctx context.Context, containerID string) error {
	unlock := m.busy.lock(containerID)
	defer unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.release(containerID)
}

// release needs the container's lock.
func (m *Manager) release(containerID string) error {
	m.mu.Lock()
	s := m.sandboxes[containerID]
	networks := make([]*network, 0, 1)
	if s != nil {
		for _, e := range s.Endpoints {
			networks = append(networks, m.networks[e.NetworkID])
		}
	}
	m.mu.Unlock()
	if s == nil {
		return nil
	}
	var errs []error
	errs = append(errs, m.table.Remove(s.forwards()), m.stopNames(containerID))
	for i, e := range s.Endpoints {
		if n := networks[i]; n != nil {
			errs = append(errs, m.takeOut(s.Key, e, n))
		}
	}
	if s.Mode == ModeBridge || s.Mode == ModeNone {
		errs = append(errs, netns.Remove(s.Key))
	}
	errs = append(errs, m.forget(containerID))
	m.stopRelays(s)
	for _, key := range s.portKeys() {
		m.ports.Release(key.Key)
	}
	for i, e := range s.Endpoints {
		if n := networks[i]; n != nil && n.working() {
			m.letGo(s, e, n)
		}
	}
	m.mu.Lock()
	delete(m.sandboxes, containerID)
	m.mu.Unlock()
	m.names.changed()
	return errors.Join(errs...)
}

func (m *Manager) netnsPath(sandboxID string) string {
	return filepath.Join(m.netnsDir(), sandboxID[:12])
}

// forwards are the sandbox's ports as the nftables table has them. Those of a
// family that the container has no way out by are not there: relays serve them.
func (s *Sandbox) forwards() []firewall.Forward {
	var list []firewall.Forward
	for _, key := range s.portKeys() {
		if to := s.target(key.IP.Is6()); to.IsValid() && !key.IP.IsLoopback() || to.Is4() {
			list = append(list, firewall.Forward{Proto: key.Proto, Host: netip.AddrPortFrom(key.IP, key.Port),
				To: netip.AddrPortFrom(to, key.container)})
		}
	}
	return list
}

// target is the container's address of a family for what reaches its published
// ports; the zero Addr if it has none.
func (s *Sandbox) target(six bool) netip.Addr {
	if !six {
		if i := s.exit(); i >= 0 && !s.Endpoints[i].Direct {
			return s.Endpoints[i].IPv4.Addr()
		}
	} else if i := s.exit6(); i >= 0 && !s.Endpoints[i].Direct {
		return s.Endpoints[i].IPv6.Addr()
	}
	return netip.Addr{}
}

func (s *Sandbox) clone() *Sandbox {
	c := *s
	c.Endpoints = slices.Clone(s.Endpoints)
	c.Ports = slices.Clone(s.Ports)
	return &c
}

// undoStack runs what was pushed, last first.
type undoStack []func() error

func (u *undoStack) push(fn func() error) { *u = append(*u, fn) }

func (u *undoStack) run() error {
	var errs []error
	for _, fn := range slices.Backward(*u) {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}
