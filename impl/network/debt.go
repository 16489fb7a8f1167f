package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/impl/atomicfile"
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

	// Since is when it was written down first.
	Since time.Time `json:"since,omitzero"`

	// tried is when a plugin was dunned for it last.
	tried time.Time
	// stuck says that the network's plugin was asked, and that taking it back failed.
	stuck bool
}

type leasedAddress struct {
	Pool    string     `json:"pool"`
	Address netip.Addr `json:"address"`
}

const debtVersion = 1

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
	if d.Since.IsZero() {
		d.Since = time.Now().UTC()
	}
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode what plugins have: %w", err)
	}
	// Not at the start: that must do with a disk that is read-only or full.
	if err := os.MkdirAll(m.debtsDir(), 0o700); err != nil {
		return fmt.Errorf("write down what plugins have: %w", err)
	}
	// Synced: the plugin's own memory may outlive a crash of the machine.
	if err := atomicfile.Write(m.debtPath(d.ID), text, 0o600, atomicfile.Synced()); err != nil {
		return fmt.Errorf("write down what plugins have: %w", err)
	}
	return nil
}

// paid forgets a debt.
func (m *Manager) paid(id string) {
	if err := os.Remove(m.debtPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("a record of what plugins have stays", "id", id, "err", err)
	}
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
