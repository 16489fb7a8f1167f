package network

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// dunEvery is how often plugins that could not be reached are tried again.
	dunEvery = time.Minute
	// debtAge is how long: a plugin that was not there all the time is gone for good.
	debtAge = 30 * 24 * time.Hour
	// closePatience is how long plugins that are told aside may take when the Manager
	// closes. What they were not told stands written down.
	closePatience = 2 * time.Second
)

// aside is the context of calls that nobody waits for but Close.
func (m *Manager) aside(patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	stop := context.AfterFunc(m.life, func() {
		select {
		case <-time.After(closePatience):
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { stop(); cancel() }
}

// payOrKeep pays a debt, or leaves it to dun: that of a network, too, of which
// endpoints are left.
func (m *Manager) payOrKeep(d *debt) {
	if d.Endpoint == nil && m.keepsEndpoints(d.NetworkID) {
		m.kept.Store(d.ID, d)
		return
	}
	ctx, cancel := m.aside(2 * leavePatience)
	defer cancel()
	if err := m.settleDebt(ctx, d); err != nil && !m.writtenOff(d, err) {
		m.log.Warn("a plugin cannot be told what is gone; it is tried again", "id", d.ID, "err", err)
		m.kept.Store(d.ID, d)
	}
}

// writtenOff forgets a debt that nobody could be told of for too long.
func (m *Manager) writtenOff(d *debt, err error) bool {
	if d.Since.IsZero() || time.Since(d.Since) < debtAge {
		return false
	}
	m.log.Warn("a plugin could not be told what is gone for too long; it is forgotten", "id", d.ID, "driver", d.Driver, "ipam", d.IPAM,
		"since", d.Since, "err", err)
	m.paid(d.ID)
	return true
}

// keepsEndpoints tells whether dun has debts of a network's endpoints.
func (m *Manager) keepsEndpoints(networkID string) (some bool) {
	m.kept.Range(func(_, v any) bool {
		d := v.(*debt)
		some = d.Endpoint != nil && d.NetworkID == networkID
		return !some
	})
	return some
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

// creditors are the plugins that a debt is told to.
type creditors struct{ driver, ipam string }

// dunOnce tries each plugin until it fails, all at once: one that hangs holds up no
// other. It ends early when the Manager closes.
func (m *Manager) dunOnce() {
	due := map[creditors][]*debt{}
	m.kept.Range(func(_, v any) bool {
		d := v.(*debt)
		due[creditors{d.Driver, d.IPAM}] = append(due[creditors{d.Driver, d.IPAM}], d)
		return true
	})
	var round sync.WaitGroup
	for _, list := range due {
		round.Go(func() { m.dunThese(list) })
	}
	round.Wait()
}

// dunThese pays the debts to one plugin until one cannot be paid: those of endpoints
// before networks, and those that failed last after the others.
func (m *Manager) dunThese(list []*debt) {
	slices.SortFunc(list, func(a, b *debt) int {
		if a.Endpoint == nil && b.Endpoint != nil {
			return 1
		} else if a.Endpoint != nil && b.Endpoint == nil {
			return -1
		}
		return a.tried.Compare(b.tried)
	})
	for _, d := range list {
		if d.Endpoint == nil && m.keepsEndpoints(d.NetworkID) {
			continue
		}
		m.mu.Lock()
		n := m.networks[d.NetworkID]
		m.mu.Unlock()
		giveBack := func() {}
		if d.Endpoint != nil {
			giveBack = n.hold(d)
		}
		d.tried = time.Now()
		err := m.settleDebt(m.life, d)
		giveBack()
		if m.life.Err() != nil {
			return
		}
		if err == nil || m.writtenOff(d, err) {
			m.kept.Delete(d.ID)
			continue
		}
		return
	}
}
