package network

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/plugin"
)

// replay is whether a network's IPAM plugin has been told what the network has since
// the engine's start.
type replay struct {
	mu   sync.Mutex // held while it is told
	done bool
}

// replayed tells the network's IPAM plugin what the network has, if it forgets that
// at its end and was not told yet. One that cannot be reached is told when the next
// address is asked for.
func (m *Manager) replayed(ctx context.Context, n *network) {
	n.replay.mu.Lock()
	defer n.replay.mu.Unlock()
	if n.replay.done {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leavePatience)
	defer cancel()
	err := m.replayNow(ctx, n)
	n.replay.done = err == nil || plugin.Answered(err) || errors.As(err, new(wrongAnswer))
	if err != nil && !errdefs.IsNotFound(err) {
		m.log.Warn("an IPAM plugin may have forgotten a network", "network", n.def.Name, "err", err)
	}
}

// replayAll tells IPAM plugins that forget at their end what the networks have.
func (m *Manager) replayAll() {
	for _, n := range m.networks {
		if !n.def.leased() || len(n.spaces) == 0 {
			continue
		}
		m.leaving.Go(func() {
			ctx, cancel := m.aside(leavePatience)
			defer cancel()
			m.replayed(ctx, n)
		})
	}
}

// replayNow asks for the pools of a network, and for the addresses of them that are in
// use.
func (m *Manager) replayNow(ctx context.Context, n *network) error {
	a := m.allocator(n.def)
	can, err := a.abilities(ctx)
	if err != nil || !can.RequiresRequestReplay {
		return err
	}
	space, err := a.addressSpace(ctx)
	if err != nil {
		return err
	}
	var endpoints []netip.Addr
	m.mu.Lock()
	for _, s := range m.sandboxes {
		for _, e := range s.Endpoints {
			if e.NetworkID == n.def.ID {
				endpoints = append(endpoints, e.addresses()...)
			}
		}
	}
	m.mu.Unlock()
	for _, p := range n.def.Leases {
		id, _, _, err := a.pool(ctx, space, p.Gateway.Addr().Is6(), IPAMConfig{Subnet: p.subnet(), IPRange: p.Range})
		if err != nil {
			return err
		}
		if id != p.Lease {
			return a.wrong("RequestPool", "gives another id, %q, to the pool %s than before, %q", id, p.subnet(), p.Lease)
		}
		if p.Leased {
			if _, err := a.request(ctx, id, p.Gateway.Addr(), map[string]string{optionAddressType: optionGateway}); err != nil {
				return err
			}
		}
		for _, addr := range slices.Concat(slices.Collect(maps.Values(p.Aux)), endpoints) {
			if p.subnet().Contains(addr) {
				if _, err := a.request(ctx, id, addr, map[string]string{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
