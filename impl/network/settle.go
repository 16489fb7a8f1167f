package network

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// settleDebt tells the plugins of a debt that what they have is gone, and forgets
// it. A plugin that says that it knows nothing of it has been told; one that
// cannot be reached is an error, and the rest of the debt stays for another time:
// what a plugin was told of may be somebody else's by then.
func (m *Manager) settleDebt(ctx context.Context, d *debt) error {
	if d == nil {
		return nil
	}
	var errs []error
	some := false
	tell := func(call func(context.Context) error) (told bool) {
		ctx, cancel := context.WithTimeout(ctx, leavePatience)
		defer cancel()
		err := call(ctx)
		if plugin.Answered(err) {
			m.log.Warn("a plugin does not let go", "id", d.ID, "err", err)
			err = nil
		}
		errs = append(errs, err)
		some = some || err == nil
		return err == nil
	}
	r := remote{m.opts.Plugins, d.Driver}
	switch {
	case d.Driver == "":
	case d.Endpoint == nil:
		if tell(func(ctx context.Context) error { return r.delete(ctx, d.NetworkID) }) {
			d.Driver = ""
		}
	default:
		left := true
		if d.Key != "" { // it was joined, or was about to be
			left = tell(func(ctx context.Context) error { return r.leave(ctx, *d.Endpoint) })
		}
		if tell(func(ctx context.Context) error { return r.deleteEndpoint(ctx, *d.Endpoint) }) && left {
			d.Driver = ""
		}
	}
	a := allocator{plugins: m.opts.Plugins, name: d.IPAM}
	d.Addresses = slices.DeleteFunc(d.Addresses, func(l leasedAddress) bool {
		return tell(func(ctx context.Context) error { return a.release(ctx, l.Pool, l.Address) })
	})
	d.Pools = slices.DeleteFunc(d.Pools, func(p string) bool {
		return tell(func(ctx context.Context) error { return a.releasePool(ctx, p) })
	})
	if err := errors.Join(errs...); err != nil {
		if some {
			err = errors.Join(err, m.write(d))
		}
		return err
	}
	m.paid(d.ID)
	return nil
}

// unowned are the debts of endpoints that no container has, and of networks that
// were not made or are removed. They are those of an earlier Manager only: the
// interfaces are given back before the namespaces are swept.
func (m *Manager) unowned() ([]*debt, error) {
	list, err := m.debts()
	if err != nil {
		return nil, err
	}
	owned := map[string]bool{}
	for id := range m.networks {
		owned[id] = true
	}
	for _, s := range m.sandboxes {
		for _, e := range s.Endpoints {
			owned[e.EndpointID] = true
		}
	}
	var left []*debt
	for _, d := range list {
		if !owned[d.ID] {
			left = append(left, d)
			continue
		}
		if d.Endpoint == nil { // killed after the network was written down
			m.paid(d.ID)
		}
	}
	for _, d := range left {
		if d.Endpoint == nil || d.Endpoint.Source == "" || !netns.Pinned(d.Key) {
			continue
		}
		if err := m.giveBack(d.Key, *d.Endpoint); err != nil {
			m.log.Warn("the interface of a plugin is lost", "interface", d.Endpoint.Source, "err", err)
		}
	}
	return left, nil
}

// settleUnowned pays what an earlier Manager owed, aside. Until then addresses
// rest and networks are not removed at their plugin.
func (m *Manager) settleUnowned(list []*debt) {
	ends := map[string]*sync.WaitGroup{} // of endpoints, by the id of the network
	for _, d := range list {
		if d.Endpoint == nil {
			continue
		}
		leaving := ends[d.NetworkID]
		n := m.networks[d.NetworkID]
		if n != nil {
			leaving = &n.leaving
		} else if leaving == nil {
			leaving = &sync.WaitGroup{}
		}
		ends[d.NetworkID] = leaving
		giveBack := n.hold(d)
		leaving.Add(1)
		m.leaving.Go(func() {
			defer leaving.Done()
			m.payOrKeep(d)
			giveBack()
		})
	}
	for _, d := range list {
		if d.Endpoint == nil {
			m.leaving.Go(func() {
				if leaving := ends[d.NetworkID]; leaving != nil {
					leaving.Wait()
				}
				m.payOrKeep(d)
			})
		}
	}
}

// hold takes the addresses of an endpoint's debt, which rest until they are given
// back, so that nobody gets them from the plugin meanwhile. One that somebody else
// has by now is not to be released. There may be no network any more.
func (n *network) hold(d *debt) (giveBack func()) {
	var mine []netip.Addr
	if n != nil {
		for _, a := range d.Endpoint.addresses() {
			if s := n.spaceOf(a); s != nil && s.TakeAddr(a) == nil {
				s.Rest(a)
				mine = append(mine, a)
				continue
			}
			d.Addresses = slices.DeleteFunc(d.Addresses, func(l leasedAddress) bool { return l.Address == a })
		}
	}
	return func() {
		for _, a := range mine {
			n.spaceOf(a).Give(a)
		}
	}
}

// depart tells plugins aside, since they may take their time, that an endpoint is
// gone. Until they know its addresses rest, and a removal of the network is not
// passed on; the endpoint is no use of the network any more.
func (m *Manager) depart(s *Sandbox, e Endpoint, n *network, owed *debt) {
	ports := s.udpPorts()
	n.rests(e)
	gone := make(chan struct{})
	m.reap.add(e.HostInterface, func() { close(gone) })
	n.leaving.Add(1)
	m.leaving.Go(func() {
		defer n.leaving.Done()
		select {
		case <-gone: // its interface answered for the address so far
		case <-time.After(restPatience):
		}
		m.payOrKeep(owed)
		if len(ports) > 0 {
			m.endFlows(s.ContainerID, e.addresses()...)
		}
		n.give(e)
	})
}
