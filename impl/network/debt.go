package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// debt is what plugins have for an endpoint, or for a network that is being made
// or removed, and must be told of when it is gone. It is written down before they
// are asked, in Root/owed/<id>.json, so that they are told also when the engine
// is killed in between or they cannot be reached.
type debt struct {
	Version int `json:"version"`
	// ID is the endpoint's, or the network's own.
	ID        string `json:"id"`
	NetworkID string `json:"networkId"`
	// Driver is the plugin of the network, IPAM that of its addresses; "" for the
	// engine's own.
	Driver string `json:"driver,omitempty"`
	IPAM   string `json:"ipam,omitempty"`
	// Endpoint is nil for a network.
	Endpoint *Endpoint `json:"endpoint,omitempty"`
	// Key is the namespace where the endpoint's interface is.
	Key string `json:"key,omitempty"`
	// Addresses and Pools are what the IPAM plugin gave.
	Addresses []leasedAddress `json:"addresses,omitempty"`
	Pools     []string        `json:"pools,omitempty"`

	// stuck says that the network's plugin was asked, and that taking it back failed.
	stuck bool
}

type leasedAddress struct {
	Pool    string     `json:"pool"`
	Address netip.Addr `json:"address"`
}

const (
	debtVersion = 1
	// dunEvery is how often plugins that could not be reached are tried again.
	dunEvery = time.Minute
)

func (m *Manager) debtsDir() string { return filepath.Join(m.opts.Root, "owed") }

func (m *Manager) debtPath(id string) string { return filepath.Join(m.debtsDir(), id+".json") }

// owes begins the debt of an endpoint, nil if no plugin has a part in it.
func (n *network) owes(e Endpoint, key string) *debt {
	d := &debt{ID: e.EndpointID, NetworkID: n.def.ID, Endpoint: &e, Key: key}
	if n.remote != nil {
		d.Driver = n.def.Driver
	}
	if n.def.leased() {
		d.IPAM = n.def.IPAM.Driver
		for _, a := range e.addresses() {
			if s := n.spaceOf(a); s != nil && s.lease != "" {
				d.Addresses = append(d.Addresses, leasedAddress{s.lease, a})
			}
		}
	}
	if d.Driver == "" && d.IPAM == "" {
		return nil
	}
	return d
}

// owesAll is the debt of the network itself.
func (n *network) owesAll() *debt {
	d := &debt{ID: n.def.ID, NetworkID: n.def.ID}
	if n.def.driver() == driverRemote {
		d.Driver = n.def.Driver
	}
	if n.def.leased() {
		d.IPAM = n.def.IPAM.Driver
	}
	for _, p := range n.def.Leases {
		if p.Leased {
			d.Addresses = append(d.Addresses, leasedAddress{p.Lease, p.Gateway.Addr()})
		}
		for _, a := range p.Aux {
			d.Addresses = append(d.Addresses, leasedAddress{p.Lease, a})
		}
		d.Pools = append(d.Pools, p.Lease)
	}
	return d
}

// write puts a debt on the disk; nil is none.
func (m *Manager) write(d *debt) error {
	if d == nil {
		return nil
	}
	d.Version = debtVersion
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode what plugins have: %w", err)
	}
	// Not at the start: that must do with a disk that is read-only or full.
	if err := os.MkdirAll(m.debtsDir(), 0o700); err != nil {
		return fmt.Errorf("write down what plugins have: %w", err)
	}
	// Synced: the plugin's own memory may outlive a crash of the machine.
	return writeFile(m.debtPath(d.ID), text, 0o600, true)
}

// paid forgets a debt.
func (m *Manager) paid(id string) {
	if err := os.Remove(m.debtPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("a record of what plugins have stays", "id", id, "err", err)
	}
}

// settleDebt tells the plugins of a debt that what they have is gone, and forgets
// it. A plugin that says that it knows nothing of it has been told; one that
// cannot be reached is an error, and the debt stays for another time.
func (m *Manager) settleDebt(ctx context.Context, d *debt) error {
	if d == nil {
		return nil
	}
	var errs []error
	tell := func(call func(context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, leavePatience)
		defer cancel()
		err := call(ctx)
		if plugin.Answered(err) {
			m.log.Warn("a plugin does not let go", "id", d.ID, "err", err)
			err = nil
		}
		errs = append(errs, err)
	}
	r := remote{m.opts.Plugins, d.Driver}
	switch {
	case d.Driver == "":
	case d.Endpoint == nil:
		tell(func(ctx context.Context) error { return r.delete(ctx, d.NetworkID) })
	default:
		if d.Key != "" { // it was joined, or was about to be
			tell(func(ctx context.Context) error { return r.leave(ctx, *d.Endpoint) })
		}
		tell(func(ctx context.Context) error { return r.deleteEndpoint(ctx, *d.Endpoint) })
	}
	a := allocator{plugins: m.opts.Plugins, name: d.IPAM}
	for _, l := range d.Addresses {
		tell(func(ctx context.Context) error { return a.release(ctx, l.Pool, l.Address) })
	}
	for _, p := range d.Pools {
		tell(func(ctx context.Context) error { return a.releasePool(ctx, p) })
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.paid(d.ID)
	return nil
}

// debts reads all records. Unreadable ones are told of and left.
func (m *Manager) debts() ([]*debt, error) {
	entries, err := os.ReadDir(m.debtsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what plugins have: %w", err)
	}
	var list []*debt
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			// The unfinished half of a write.
			if err := os.Remove(filepath.Join(m.debtsDir(), e.Name())); err != nil {
				m.log.Warn("an unfinished record of what plugins have stays", "err", err)
			}
			continue
		}
		d := &debt{}
		err := readJSON(m.debtPath(id), d)
		if err == nil && (d.Version != debtVersion || d.ID != id) {
			err = fmt.Errorf("%s is of version %d and of %q; known is %d", m.debtPath(id), d.Version, d.ID, debtVersion)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // paid meanwhile
		}
		if err != nil {
			m.log.Error("a record of what plugins have is not used", "err", err)
			continue
		}
		list = append(list, d)
	}
	return list, nil
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
	for _, d := range list {
		n := m.networks[d.NetworkID]
		if n == nil || d.Endpoint == nil {
			m.leaving.Go(func() { m.payOrKeep(d) })
			continue
		}
		e := *d.Endpoint
		var mine []netip.Addr
		for _, a := range e.addresses() {
			if s := n.spaceOf(a); s != nil && s.TakeAddr(a) == nil {
				s.Rest(a)
				mine = append(mine, a)
				continue
			}
			// Somebody else has the address: it is not to be released.
			d.Addresses = slices.DeleteFunc(d.Addresses, func(l leasedAddress) bool { return l.Address == a })
		}
		n.leaving.Add(1)
		m.leaving.Go(func() {
			defer n.leaving.Done()
			m.payOrKeep(d)
			for _, a := range mine {
				n.spaceOf(a).Give(a)
			}
		})
	}
}

// payOrKeep pays a debt, or leaves it to dun.
func (m *Manager) payOrKeep(d *debt) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*leavePatience)
	defer cancel()
	if err := m.settleDebt(ctx, d); err != nil {
		m.log.Warn("a plugin cannot be told what is gone; it is tried again", "id", d.ID, "err", err)
		m.kept.Store(d.ID, d)
	}
}

// dun tries plugins again that could not be reached, until the Manager closes.
func (m *Manager) dun() {
	defer m.dunning.Done()
	tick := time.NewTicker(dunEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.life.Done():
			return
		case <-tick.C:
			m.dunOnce()
		}
	}
}

// dunOnce ends early when the Manager closes: a plugin that hangs holds up nothing.
func (m *Manager) dunOnce() {
	m.kept.Range(func(id, d any) bool {
		if err := m.settleDebt(m.life, d.(*debt)); err == nil {
			m.kept.Delete(id)
		}
		return m.life.Err() == nil
	})
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

// replayAll tells IPAM plugins that forget at their end what the networks have.
func (m *Manager) replayAll() {
	endpoints := map[string][]netip.Addr{}
	for _, s := range m.sandboxes {
		for _, e := range s.Endpoints {
			endpoints[e.NetworkID] = append(endpoints[e.NetworkID], e.addresses()...)
		}
	}
	for _, n := range m.networks {
		if !n.def.leased() || len(n.spaces) == 0 {
			continue
		}
		m.leaving.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
			defer cancel()
			if err := m.replay(ctx, n, endpoints[n.def.ID]); err != nil && !errdefs.IsNotFound(err) {
				m.log.Warn("an IPAM plugin may have forgotten a network", "network", n.def.Name, "err", err)
			}
		})
	}
}
