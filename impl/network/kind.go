package network

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/macvlan"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// kind is which driver keeps a network.
type kind int

const (
	driverMode    kind = iota // host and null, which are modes of containers
	driverBridge              // bridge
	driverMacvlan             // macvlan
	driverRemote              // a plugin
)

// Names of the engine's own drivers.
const (
	nameMacvlan = "macvlan"
	ipamDefault = "default"
)

// Options of the macvlan driver (network create of Docker Engine 1.12).
const (
	optionParent = "parent"
	optionMode   = "macvlan_mode"
)

func (d definition) driver() kind {
	switch d.Driver {
	case "host", "null":
		return driverMode
	case "bridge":
		return driverBridge
	case nameMacvlan:
		return driverMacvlan
	}
	return driverRemote
}

// working tells whether the network can have endpoints.
func (n *network) working() bool { return n.bridge != nil || n.remote != nil || n.macvlan != nil }

// macvlanOf reads the options of a macvlan network; alone says that it has no
// parent of the host's.
func (d definition) macvlanOf() (v macvlan.Network, alone bool, err error) {
	v = macvlan.Network{Parent: d.Options[optionParent], Mode: d.Options[optionMode]}
	if v.MTU, err = d.mtu(0); err != nil {
		return v, false, err
	}
	alone = v.Parent == ""
	if alone {
		v.Parent = macvlan.Alone(d.ID)
	} else if !validDevice(v.Parent) {
		return v, false, fault.Invalid("invalid value %q of option %s", v.Parent, optionParent)
	}
	return v, alone, v.Check()
}

// openMacvlan brings a macvlan network up. A parent that the host has lost is
// missed when a container starts; one that the host has made meanwhile is the host's.
func (m *Manager) openMacvlan(n *network) error {
	v, alone, err := n.def.macvlanOf()
	if err != nil {
		return err
	}
	if alone || n.def.Made { // it goes with the kernel, or was half-made
		if _, err := m.provide(n.def, noRecord, makeParent(v, alone)); err != nil {
			return err
		}
		if mine, err := m.owns(n.def); err != nil || mine {
			if err = errors.Join(err, v.Up()); err != nil {
				return err
			}
		}
	}
	if alone { // nobody is there to route by
		for _, s := range n.spaces {
			s.gateway = netip.Addr{}
		}
	}
	n.macvlan = &v
	n.settings.hostIP = m.opts.HostIP
	return nil
}

// makeMacvlan is openMacvlan for a new network. It needs m.changes.
func (m *Manager) makeMacvlan(n *network) error {
	v, alone, err := n.def.macvlanOf()
	if err != nil {
		return err
	}
	m.mu.Lock()
	for _, other := range m.networks {
		if other != n && other.macvlan != nil && other.macvlan.Parent == v.Parent {
			err = fault.Conflict("network %s is already using parent interface %s", other.def.Name, v.Parent)
		}
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	if n.def.Made, err = m.provide(n.def, m.noteDevice, makeParent(v, alone)); err != nil {
		return err
	}
	if n.def.Made {
		err = v.Up()
	}
	if err == nil {
		err = v.Try("mv-" + n.def.ID[:12])
	}
	if err != nil {
		return errors.Join(err, m.unmake(n.def))
	}
	return m.openMacvlan(n)
}

func makeParent(v macvlan.Network, alone bool) func(string) error {
	return func(as string) error { return v.Make(as, alone) }
}

// branch brings an endpoint of a macvlan network into the sandbox, whose
// namespace exists.
func (m *Manager) branch(s *Sandbox, e Endpoint, n *network, undo *undoStack) error {
	if err := n.macvlan.Attach(s.Key, e.HostInterface, []byte(e.MAC)); err != nil {
		return fault.Internal("connect container %s to network %s: %w", s.ContainerID, n.def.Name, err)
	}
	undo.push(func() error { return quit(s.Key, e.HostInterface) })
	if err := netns.Do(s.Key, func() error { return bridge.Furnish(e.HostInterface, e.port(false, false), nil) }); err != nil {
		return fault.Internal("connect container %s to network %s: %w", s.ContainerID, n.def.Name, err)
	}
	undo.push(func() error { return quit(s.Key, e.Interface) })
	return nil
}

// quit deletes a macvlan interface in a namespace.
func quit(key, name string) error {
	if !netns.Pinned(key) {
		return nil // gone with the namespace
	}
	return netns.Do(key, func() error { return macvlan.Quit(name) })
}

// takeOut takes an endpoint that is no port of a bridge out of a namespace: a
// plugin's interface returns to the host, a macvlan's is deleted.
func (m *Manager) takeOut(key string, e Endpoint, n *network) error {
	switch {
	case n.remote != nil:
		return m.giveBack(key, e)
	case n.macvlan != nil:
		return quit(key, e.Interface)
	}
	return nil
}

// enterAll brings the endpoints that are no ports of bridges into a new sandbox.
func (m *Manager) enterAll(ctx context.Context, s *Sandbox, networks []*network, owed []*debt, undo *undoStack) error {
	if !slices.ContainsFunc(networks, func(n *network) bool { return n.bridge == nil }) {
		return nil
	}
	for i, n := range networks {
		var err error
		switch {
		case n.remote != nil:
			err = m.enter(ctx, s, i, n, owed[i], undo)
		case n.macvlan != nil:
			err = m.branch(s, s.Endpoints[i], n, undo)
		}
		if err != nil {
			return err
		}
	}
	if err := netns.Do(s.Key, s.route); err != nil {
		return fault.Internal("make the network of container %s: %w", s.ContainerID, err)
	}
	return nil
}
