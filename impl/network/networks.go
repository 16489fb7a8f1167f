package network

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/firewall"
	"github.com/seed-50ced230/berth/impl/network/ipam"
	"github.com/seed-50ced230/berth/impl/network/macvlan"
)

// network is a network at work.
type network struct {
	def definition
	// One of the next is there in a network that works: bridge is nil, too, where
	// the device could not be made at the start.
	bridge  *bridge.Bridge
	macvlan *macvlan.Network
	remote  *remote // the driver, if it is a plugin

	settings
	spaces []*space // of IPv4 first
	// addressSpace is what an IPAM plugin says of a network that is being made.
	addressSpace string
	// leaving are endpoints that the plugin has yet to let go of; begun only
	// while the network is used.
	leaving sync.WaitGroup

	// replay is of a network whose addresses a plugin gives.
	replay replay

	pending bool // being made; guarded by Manager.mu
	users   int  // endpoints made or in the making; guarded by Manager.mu
}

// settings are what a bridge network's options say.
type settings struct {
	device     string
	mtu        int
	isolate    bool
	masquerade bool
	hostIP     netip.Addr // default address of published ports
}

// definition is what networks.json keeps of a network.
type definition struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Driver  string    `json:"driver"`
	Created time.Time `json:"created"`
	// Address is the bridge's own with the subnet's length.
	Address netip.Prefix `json:"address,omitzero"`
	// Address6 is the same for IPv6; zero in networks without.
	Address6 netip.Prefix      `json:"address6,omitzero"`
	Internal bool              `json:"internal,omitempty"`
	IPAM     IPAM              `json:"ipam,omitzero"`
	Options  map[string]string `json:"options,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Leases are the pools of a network whose addresses a plugin keeps.
	Leases []poolDef `json:"leases,omitempty"`
	// Made says that the engine made the parent device of a macvlan network.
	Made bool `json:"made,omitempty"`

	ipv6 bool // asked for at the creation; afterwards Address6 tells
}

// networksFile is networks.json.
type networksFile struct {
	Version  int          `json:"version"`
	Networks []definition `json:"networks"`
}

const networksVersion = 1

func (d definition) predefined() bool {
	return d.Name == NameBridge || d.Name == NameHost || d.Name == NameNone
}

// openNetworks loads the definitions, completes the predefined ones and brings
// the bridges up.
func (m *Manager) openNetworks() error {
	// A write that was cut short; on a read-only disk it stays.
	_ = os.Remove(m.networksPath() + atomicfile.Unfinished)
	var file networksFile
	if err := readJSON(m.networksPath(), &file); errdefs.IsDataLoss(err) {
		aside := m.networksPath() + ".damaged-" + time.Now().UTC().Format("20060102T150405.000")
		m.log.Error("the file of the networks is damaged and kept aside; only the predefined networks are served", "path", aside, "error", err)
		if err := os.Rename(m.networksPath(), aside); err != nil {
			return fmt.Errorf("put the damaged file of the networks aside: %w", err)
		}
		file = networksFile{}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if file.Version > networksVersion {
		return fmt.Errorf("%s has version %d; this engine knows %d", m.networksPath(), file.Version, networksVersion)
	}
	names := make(map[string]bool)
	for _, d := range file.Networks {
		if d.Name == NameBridge && m.opts.NoDefault {
			continue
		}
		m.networks[d.ID] = &network{def: d}
		names[d.Name] = true
	}
	for name, driver := range map[string]string{NameBridge: "bridge", NameHost: "host", NameNone: "null"} {
		if !names[name] && !(name == NameBridge && m.opts.NoDefault) {
			d := definition{ID: newID(), Name: name, Driver: driver, Created: time.Now().UTC()}
			m.networks[d.ID] = &network{def: d}
		}
	}
	for _, n := range m.networks {
		switch {
		case n.def.Name == NameBridge:
			if err := m.openDefault(n); err != nil {
				return err
			}
		case !n.def.predefined():
			// The others, and the engine, work without this one.
			if err := m.openUserDefined(n); err != nil {
				m.log.Error("network cannot be used", "network", n.def.Name, "err", err)
			}
		}
	}
	if err := m.saveNetworks(); err != nil { // a full or read-only disk
		m.log.Error("the networks cannot be written down; after the next start they may have other ids", "error", err)
	}
	return nil
}

func (m *Manager) networksPath() string { return filepath.Join(m.opts.Root, "networks.json") }

// saveNetworks writes networks.json unless it says the same already. Open and
// the holder of m.changes call it.
func (m *Manager) saveNetworks() error {
	file := networksFile{Version: networksVersion}
	m.mu.Lock()
	for _, n := range m.networks {
		if !n.pending {
			file.Networks = append(file.Networks, n.def)
		}
	}
	m.mu.Unlock()
	sort.Slice(file.Networks, func(i, j int) bool { return file.Networks[i].ID < file.Networks[j].ID })
	text, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("encode networks: %w", err)
	}
	if old, err := os.ReadFile(m.networksPath()); err == nil && string(old) == string(text) {
		return nil
	}
	if err := atomicfile.Write(m.networksPath(), text, 0o600, atomicfile.Synced()); err != nil {
		return fmt.Errorf("write networks: %w", err)
	}
	return nil
}

// openDefault settles the default network's address and brings its device up.
// The address is, in this order: the configured one, the one that the device
// has, the one of the last start if still free, a free one.
func (m *Manager) openDefault(n *network) error {
	n.settings = settings{device: m.opts.Bridge, mtu: m.opts.MTU, isolate: m.opts.DisableICC,
		masquerade: !m.opts.DisableMasquerade, hostIP: m.opts.HostIP}
	have, _, err := bridge.Address(n.device)
	if err != nil {
		return err
	}
	taken, err := bridge.Taken(n.device)
	if err != nil {
		return err
	}
	switch {
	case m.opts.BridgeIP.IsValid():
		if !m.opts.BridgeIP.Addr().Is4() || m.opts.BridgeIP.Bits() > 30 {
			return fault.Invalid("bridge address %s is not an IPv4 address with a subnet of four or more", m.opts.BridgeIP)
		}
		n.def.Address = m.opts.BridgeIP
	case have.IsValid():
		n.def.Address = have
	case !n.def.Address.IsValid() || overlaps(n.def.Address.Masked(), taken):
		subnet, err := ipam.Choose(slices.Concat(taken, hostNameservers(), m.ownSubnets(n)))
		if err != nil {
			return err
		}
		n.def.Address = netip.PrefixFrom(ipam.First(subnet), subnet.Bits())
	}
	s := &space{gateway: n.def.Address.Addr()}
	n.spaces = []*space{s}
	if s.Pool, err = ipam.NewPool(n.def.Address.Masked(), m.opts.FixedCIDR); err != nil {
		return err
	}
	if err := s.TakeAddr(n.def.Address.Addr()); err != nil {
		return fmt.Errorf("reserve the bridge's address %s: %w", n.def.Address, err)
	}
	if err := s.routeBy(m.opts.DefaultGateway); err != nil {
		return err
	}
	if err := m.openDefault6(n); err != nil {
		return err
	}
	return n.up()
}

// openDefault6 settles the default network's IPv6 address: the first one of the
// configured subnet.
func (m *Manager) openDefault6(n *network) error {
	before := n.def.Address6
	n.def.Address6 = netip.Prefix{}
	if p := m.opts.FixedCIDR6; p.IsValid() {
		if err := checkSubnet6(p); err != nil {
			return err
		}
		n.def.Address6 = netip.PrefixFrom(ipam.First(p), p.Bits())
		s := &space{gateway: n.def.Address6.Addr()}
		n.spaces = append(n.spaces, s)
		var err error
		if s.Pool, err = ipam.NewPool(p, netip.Prefix{}); err != nil {
			return err
		}
		if err := s.TakeAddr(s.gateway); err != nil {
			return err
		}
		if err := s.routeBy(m.opts.DefaultGateway6); err != nil {
			return err
		}
	}
	if before.IsValid() && before != n.def.Address6 {
		return bridge.Withdraw(n.device, before)
	}
	return nil
}

// routeBy sets another gateway than the bridge, unless it is invalid.
func (s *space) routeBy(gw netip.Addr) error {
	if !gw.IsValid() || gw == s.gateway {
		return nil
	}
	if err := s.TakeAddr(gw); err != nil {
		return fmt.Errorf("reserve the default gateway %s: %w", gw, err)
	}
	s.gateway = gw
	return nil
}

// up brings the network's device up.
func (n *network) up() (err error) {
	n.bridge, err = bridge.Ensure(n.config(n.def))
	return err
}

// config is what the settings mean for the bridge of a network.
func (s settings) config(d definition) bridge.Config {
	return bridge.Config{Device: s.device, Gateway: d.Address, Gateway6: d.Address6, MTU: s.mtu, Isolate: s.isolate}
}

// makeBridge gives what makes the bridge under another name.
func (s settings) makeBridge(d definition) func(string) error {
	return func(as string) error {
		s.device = as
		return bridge.Create(s.config(d))
	}
}

// ownSubnets are the subnets of the engine's other networks.
func (m *Manager) ownSubnets(but *network) []netip.Prefix {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []netip.Prefix
	for _, n := range m.networks {
		if n != but {
			list = append(list, n.def.subnets()...)
		}
	}
	return list
}

// firewallNetworks are the networks as the nftables table has them.
func (m *Manager) firewallNetworks() []firewall.Network {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []firewall.Network
	for _, n := range m.networks {
		if n.bridge != nil {
			list = append(list, n.rules())
		}
	}
	return list
}

// rules is the network as the nftables table has it.
func (n *network) rules() firewall.Network {
	return firewall.Network{Device: n.device, Subnet: n.def.Address.Masked(), Subnet6: n.def.Address6.Masked(),
		Masquerade: n.masquerade, Isolate: n.isolate, Internal: n.def.Internal}
}

// Networks lists all networks, predefined ones included, by name.
func (m *Manager) Networks() []Network {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Network, 0, len(m.networks))
	at := make(map[string]int)
	for _, n := range m.networks {
		if !n.pending {
			at[n.def.ID] = len(list)
			list = append(list, m.outline(n))
		}
	}
	// Once for all: there may be a thousand networks, and containers.
	for id, s := range m.sandboxes {
		for _, e := range s.Endpoints {
			if i, ok := at[e.NetworkID]; ok {
				list[i].Endpoints[id] = e
			}
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Network finds a network by full id, name or unambiguous id prefix, in this
// order: nobody can take over another network by a name that is its id.
func (m *Manager) Network(nameOrID string) (Network, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(nameOrID)
	if err != nil {
		return Network{}, err
	}
	return m.snapshot(n), nil
}

// find needs m.mu.
func (m *Manager) find(nameOrID string) (*network, error) {
	if n := m.networks[nameOrID]; n != nil && !n.pending {
		return n, nil
	}
	for _, n := range m.networks {
		if n.def.Name == nameOrID && !n.pending {
			return n, nil
		}
	}
	var found *network
	for id, n := range m.networks {
		if nameOrID != "" && strings.HasPrefix(id, nameOrID) && !n.pending {
			if found != nil {
				return nil, fault.Invalid("network %s is ambiguous: several ids begin with it", nameOrID)
			}
			found = n
		}
	}
	if found == nil {
		return nil, fault.NotFound("network %s not found", nameOrID)
	}
	return found, nil
}

// snapshot needs m.mu.
func (m *Manager) snapshot(n *network) Network {
	out := m.outline(n)
	for id, s := range m.sandboxes {
		if i := s.on(n.def.ID); i >= 0 {
			out.Endpoints[id] = s.Endpoints[i]
		}
	}
	return out
}

// outline is a snapshot without the endpoints. It needs m.mu.
func (m *Manager) outline(n *network) Network {
	out := Network{
		ID: n.def.ID, Name: n.def.Name, Driver: n.def.Driver, Scope: "local",
		Internal:   n.def.Internal,
		EnableIPv6: n.def.Address6.IsValid(),
		IPAM:       IPAM{Driver: cmp.Or(n.def.IPAM.Driver, ipamDefault), Options: maps.Clone(n.def.IPAM.Options), Config: slices.Clone(n.def.IPAM.Config)},
		Options:    maps.Clone(n.def.Options),
		Labels:     maps.Clone(n.def.Labels),
		Created:    n.def.Created,
		Predefined: n.def.predefined(),
		Endpoints:  map[string]Endpoint{},
	}
	if out.IPAM.Config == nil {
		out.IPAM.Config = []IPAMConfig{}
	}
	if out.Options == nil {
		out.Options = map[string]string{}
	}
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	if n.def.Name == NameBridge {
		out.IPAM.Config = m.defaultPools(n)
		out.Options = map[string]string{
			optionDefaultBridge: "true",
			optionICC:           strconv.FormatBool(!n.isolate),
			optionMasquerade:    strconv.FormatBool(n.masquerade),
			optionHostIP:        n.hostIP.String(),
			optionDevice:        n.device,
			optionMTU:           strconv.Itoa(n.mtu),
		}
	}
	return out
}

// defaultPools are the default network's pools as engines of this API show them:
// the gateway only where the operator chose it.
func (m *Manager) defaultPools(n *network) []IPAMConfig {
	pool := IPAMConfig{Subnet: n.def.Address.Masked(), IPRange: m.opts.FixedCIDR}
	if m.opts.BridgeIP.IsValid() {
		pool.Gateway = n.def.Address.Addr()
	}
	list := []IPAMConfig{pool}
	for _, s := range n.of(true) {
		list = append(list, IPAMConfig{Subnet: s.Subnet(), Gateway: m.opts.DefaultGateway6})
	}
	return list
}

func overlaps(p netip.Prefix, others []netip.Prefix) bool {
	return slices.ContainsFunc(others, p.Overlaps)
}

// hostNameservers gives the host's resolvers: a container could not reach one
// whose address lies in its own subnet.
func hostNameservers() []netip.Prefix {
	text, err := os.ReadFile(resolvConfPath)
	if err != nil {
		return nil
	}
	var list []netip.Prefix
	for _, a := range nameservers(string(text)) {
		if a.Is4() {
			list = append(list, netip.PrefixFrom(a, 32))
		}
	}
	return list
}

// newID gives 64 random lower-case hex digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
