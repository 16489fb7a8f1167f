package network

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/firewall"
	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// Connect gives a running container an interface on one more network. Classes:
// NotFound (network; container without sandbox), InvalidArgument (a container
// without bridge networks), Conflict (connected already, address taken).
func (m *Manager) Connect(ctx context.Context, containerID string, spec EndpointSpec) (*Sandbox, error) {
	unlock := m.busy.lock(containerID)
	defer unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := m.Sandbox(containerID)
	if err != nil {
		return nil, err
	}
	if s.Mode != ModeBridge {
		return nil, fault.Invalid("a container in network mode %s cannot be connected to a network", s.Mode)
	}
	var undo undoStack
	if err := m.connect(ctx, s, spec, &undo); err != nil {
		if undoErr := undo.run(); undoErr != nil {
			m.log.Error("undo of a failed connection is incomplete", "container", containerID, "err", undoErr)
		}
		return nil, err
	}
	return m.commit(s), nil
}

// connect changes s, which is the caller's copy.
func (m *Manager) connect(ctx context.Context, s *Sandbox, spec EndpointSpec, undo *undoStack) error {
	n, err := m.use(spec.Network)
	if err != nil {
		return err
	}
	undo.push(func() error { m.unuse(n); return nil })
	if s.on(n.def.ID) >= 0 {
		return fault.Conflict("container %s is already connected to network %s", s.ContainerID, n.def.Name)
	}
	e, owed, err := m.place(ctx, s, n, spec, s.freeInterface())
	if err != nil {
		return err
	}
	undo.push(func() error { m.unplace(s, e, n, owed); return nil })
	was := s.forwards()
	if n.bridge != nil {
		err = m.attach(s, e, n, undo)
	} else {
		s.Endpoints = append(s.Endpoints, e)
		if n.remote != nil {
			err = m.enter(ctx, s, len(s.Endpoints)-1, n, owed, undo)
		} else {
			err = m.branch(s, e, n, undo)
		}
		if err == nil {
			if err = netns.Do(s.Key, s.route); err != nil {
				err = fault.Internal("connect container %s to network %s: %w", s.ContainerID, n.def.Name, err)
			}
		}
	}
	if err != nil {
		return err
	}
	more := slices.DeleteFunc(s.forwards(), func(f firewall.Forward) bool { return slices.Contains(was, f) })
	if err := m.table.Add(more); err != nil {
		return fault.Internal("connect container %s to network %s: %w", s.ContainerID, n.def.Name, err)
	}
	undo.push(func() error { return m.table.Remove(more) })
	if s.Resolver == (resolver.Ports{}) && m.named(s) {
		if err := m.serveNames(s, undo); err != nil {
			return err
		}
	}
	return m.save(s)
}

// attach connects a running container to a bridge.
func (m *Manager) attach(s *Sandbox, e Endpoint, n *network, undo *undoStack) error {
	host, err := bridge.OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	port := e.port(s.exit() < 0, s.exit6() < 0)
	undo.push(func() error { return bridge.Detach(e.HostInterface) })
	if err := netns.Do(s.Key, func() error { return n.bridge.Attach(host, port) }); err != nil {
		return fault.Internal("connect container %s to network %s: %w", s.ContainerID, n.def.Name, err)
	}
	s.Endpoints = append(s.Endpoints, e)
	return nil
}

// letGo gives back what an endpoint without interface has.
func (m *Manager) letGo(s *Sandbox, e Endpoint, n *network) {
	if owed := n.owes(e, s.Key); owed != nil {
		m.depart(s, e, n, owed)
	} else {
		m.rest(s, e, n)
	}
	m.unuse(n)
}

// Disconnect takes a running container's interface on a network away. If it was
// the one with the default route and the published ports, the next one gets
// them. Classes: NotFound (network; container not connected).
func (m *Manager) Disconnect(ctx context.Context, containerID, networkNameOrID string) (*Sandbox, error) {
	unlock := m.busy.lock(containerID)
	defer unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	n, err := m.find(networkNameOrID)
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s, err := m.Sandbox(containerID)
	if err != nil {
		return nil, err
	}
	i := s.on(n.def.ID)
	if i < 0 || !n.working() {
		return nil, fault.NotFound("container %s is not connected to network %s", containerID, n.def.Name)
	}
	e, wasExit := s.Endpoints[i], s.exit() == i || s.exit6() == i
	var errs []error
	if wasExit {
		errs = append(errs, m.table.Remove(s.forwards()))
	}
	if n.bridge != nil {
		err = bridge.Detach(e.HostInterface)
	} else {
		err = m.takeOut(s.Key, e, n)
	}
	if err != nil {
		if wasExit {
			err = errors.Join(err, m.table.Add(s.forwards()))
		}
		return nil, fault.Internal("disconnect container %s from network %s: %w", containerID, n.def.Name, err)
	}
	s.Endpoints = slices.Delete(s.Endpoints, i, i+1)
	if wasExit {
		errs = append(errs, netns.Do(s.Key, s.route), m.table.Add(s.forwards()))
		m.cutFlows(s)
	}
	errs = append(errs, m.save(s))
	out := m.commit(s)
	m.letGo(s, e, n)
	if err := errors.Join(errs...); err != nil {
		return nil, fault.Internal("disconnect container %s from network %s: %w", containerID, n.def.Name, err)
	}
	return out, nil
}

// commit makes a changed copy the container's sandbox.
func (m *Manager) commit(s *Sandbox) *Sandbox {
	m.mu.Lock()
	m.sandboxes[s.ContainerID] = s
	m.mu.Unlock()
	m.names.changed()
	return s.clone()
}

// use finds a network that can have endpoints and keeps it from being removed
// until unuse.
func (m *Manager) use(nameOrID string) (*network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(nameOrID)
	if err != nil {
		return nil, err
	}
	if n.def.driver() == driverMode {
		return nil, fault.Invalid("container cannot be connected to network %s: it is a mode of its own", n.def.Name)
	}
	if !n.working() {
		return nil, fault.Unavailable("network %s has no device since the engine's start", n.def.Name)
	}
	n.users++
	return n, nil
}

func (m *Manager) unuse(n *network) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n.users--
}

// rest gives an endpoint's addresses back when its interface is gone. One that
// has no end on the host's side is gone already.
func (m *Manager) rest(s *Sandbox, e Endpoint, n *network) {
	ports := s.udpPorts()
	n.rests(e)
	m.reap.add(e.HostInterface, func() {
		if len(ports) > 0 {
			m.endFlows(s.ContainerID, e.addresses()...)
		}
		n.give(e)
	})
}

// on gives the index of the endpoint on a network, or -1.
func (s *Sandbox) on(networkID string) int {
	return slices.IndexFunc(s.Endpoints, func(e Endpoint) bool { return e.NetworkID == networkID })
}

// route gives the calling thread's namespace its default routes.
func (s *Sandbox) route() error {
	var errs []error
	if i := s.exit(); i >= 0 {
		errs = append(errs, bridge.Route(s.Endpoints[i].Interface, s.Endpoints[i].IPv4Gateway))
	}
	if i := s.exit6(); i >= 0 {
		errs = append(errs, bridge.Route(s.Endpoints[i].Interface, s.Endpoints[i].IPv6Gateway))
	}
	return errors.Join(errs...)
}

// port is the endpoint as the bridge needs it, with default routes or without.
func (e Endpoint) port(exit, exit6 bool) bridge.Port {
	p := bridge.Port{HostName: e.HostInterface, Name: e.Interface, MAC: []byte(e.MAC), Address: e.IPv4, Address6: e.IPv6}
	if exit {
		p.Gateway = e.IPv4Gateway
	}
	if exit6 {
		p.Gateway6 = e.IPv6Gateway
	}
	return p
}

// exit6 is exit for IPv6.
func (s *Sandbox) exit6() int {
	return slices.IndexFunc(s.Endpoints, func(e Endpoint) bool { return e.IPv6Gateway.IsValid() })
}

// exit gives the index of the endpoint with the default route and the published
// ports, or -1: the first one on a network that is not internal.
func (s *Sandbox) exit() int {
	return slices.IndexFunc(s.Endpoints, func(e Endpoint) bool { return e.IPv4Gateway.IsValid() })
}

// freeInterface gives the first ethN that the sandbox does not have.
func (s *Sandbox) freeInterface() string {
	for i := 0; ; i++ {
		name := "eth" + strconv.Itoa(i)
		if !slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool { return e.Interface == name }) {
			return name
		}
	}
}
