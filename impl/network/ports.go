package network

import (
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/network/hostport"
	"github.com/seed-50ced230/berth/impl/network/relay"
)

// portKey is a published port on one address family.
type portKey struct {
	hostport.Key
	container uint16
}

// portKeys are the reservations of the sandbox's ports.
func (s *Sandbox) portKeys() []portKey {
	keys := make([]portKey, 0, len(s.Ports))
	for _, p := range s.Ports {
		keys = append(keys, p.keys()...)
	}
	return keys
}

func (p Port) keys() []portKey {
	key := portKey{hostport.Key{Proto: string(p.Proto), IP: p.HostIP, Port: p.HostPort}, p.ContainerPort}
	if !p.Dual {
		return []portKey{key}
	}
	six := key
	six.IP = netip.IPv6Unspecified()
	return []portKey{key, six}
}

// reservePort takes the host's port of a family or, for one that is published on
// every address, the same of both.
func (m *Manager) reservePort(p PortSpec, port Port) ([]hostport.Key, error) {
	first, last := p.HostPort, p.HostPortEnd
	for {
		key, err := m.ports.Reserve(string(p.Proto), port.HostIP, first, last)
		if err != nil || !port.Dual {
			return []hostport.Key{key}, err
		}
		six, err := m.ports.Reserve(string(p.Proto), netip.IPv6Unspecified(), key.Port, 0)
		if err == nil {
			return []hostport.Key{key, six}, nil
		}
		m.ports.Release(key)
		switch {
		case !errdefs.IsConflict(err):
			return nil, err
		case first == 0:
			// The kernel chooses another one, in a range that is not empty.
		case key.Port < last:
			first = key.Port + 1
		default:
			return nil, err
		}
	}
}

func (m *Manager) releaseKeys(keys []hostport.Key) {
	for _, key := range keys {
		m.ports.Release(key)
	}
}

// startRelays serves the sandbox's ports on IPv6 addresses of the host.
func (m *Manager) startRelays(s *Sandbox, undo *undoStack) error {
	undo.push(func() error { m.stopRelays(s); return nil })
	for _, key := range s.portKeys() {
		if err := m.startRelay(s.ContainerID, key); err != nil {
			return err
		}
	}
	return nil
}

// startRelay serves what reaches the port's own socket: of IPv6, that is what
// nftables cannot translate. Who is asked is looked up for every client, because
// the container's networks change.
func (m *Manager) startRelay(containerID string, key portKey) error {
	if !key.IP.Is6() {
		return nil
	}
	fd, err := m.ports.Hand(key.Key)
	if err != nil {
		return err
	}
	target := func() netip.AddrPort {
		m.mu.Lock()
		s := m.sandboxes[containerID]
		m.mu.Unlock()
		if s == nil {
			return netip.AddrPort{}
		}
		to := s.target(true)
		if !to.IsValid() {
			to = s.target(false)
		}
		return netip.AddrPortFrom(to, key.container)
	}
	r, err := relay.Start(key.Proto, fd, target)
	if err != nil {
		return fmt.Errorf("relay for %s: %w", key, err)
	}
	m.relays.Store(key.Key, r)
	return nil
}

// stopRelays ends the relays of the sandbox's ports.
func (m *Manager) stopRelays(s *Sandbox) {
	for _, key := range s.portKeys() {
		if r, ok := m.relays.LoadAndDelete(key.Key); ok {
			r.(*relay.Relay).Close()
		}
	}
}

func (m *Manager) closeRelays() {
	m.relays.Range(func(_, r any) bool {
		r.(*relay.Relay).Close()
		return true
	})
	m.relays.Clear()
}
