package network

import (
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
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/ipam"
)

// network is a network at work. Its fields do not change after openNetworks.
type network struct {
	def definition
	// The rest is of bridge networks.
	bridge  *bridge.Bridge
	device  string
	pool    *ipam.Pool
	gateway netip.Addr // what containers route to
	isolate bool
	masq    bool
}

// definition is what networks.json keeps of a network.
type definition struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Driver  string    `json:"driver"`
	Created time.Time `json:"created"`
	// Address is the bridge's own with the subnet's length; chosen at the first
	// start for the default network, unless configured.
	Address netip.Prefix `json:"address,omitzero"`
}

// networksFile is networks.json.
type networksFile struct {
	Version  int          `json:"version"`
	Networks []definition `json:"networks"`
}

const networksVersion = 1

// openNetworks loads the definitions, completes the predefined ones and brings
// the default network's bridge up.
func (m *Manager) openNetworks() error {
	path := filepath.Join(m.opts.Root, "networks.json")
	var file networksFile
	if err := readJSON(path, &file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if file.Version > networksVersion {
		return fmt.Errorf("%s has version %d; this engine knows %d", path, file.Version, networksVersion)
	}
	defs := make(map[string]definition)
	for _, d := range file.Networks {
		defs[d.Name] = d
	}
	for name, driver := range map[string]string{NameBridge: "bridge", NameHost: "host", NameNone: "null"} {
		d, ok := defs[name]
		if !ok {
			d = definition{ID: newID(), Name: name, Driver: driver, Created: time.Now().UTC()}
		}
		n := &network{def: d}
		if name == NameBridge {
			if err := m.openBridge(n); err != nil {
				return err
			}
		}
		defs[name] = n.def
		m.networks[d.ID] = n
	}
	old := file
	file = networksFile{Version: networksVersion}
	for _, name := range sortedKeys(defs) {
		file.Networks = append(file.Networks, defs[name])
	}
	before, _ := json.Marshal(old)
	after, err := json.Marshal(file)
	if err != nil {
		return fmt.Errorf("encode networks: %w", err)
	}
	if string(before) == string(after) {
		return nil
	}
	return writeFile(path, after, 0o600, true)
}

// openBridge settles the default network's address and brings its device up.
// The address is, in this order: the configured one, the one that the device
// has, the one of the last start if still free, a free one.
func (m *Manager) openBridge(n *network) error {
	taken, err := bridge.Taken(m.opts.Bridge)
	if err != nil {
		return err
	}
	have, _, err := bridge.Address(m.opts.Bridge)
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
		subnet, err := ipam.Choose(append(taken, hostNameservers()...))
		if err != nil {
			return err
		}
		n.def.Address = netip.PrefixFrom(ipam.First(subnet), subnet.Bits())
	}
	n.device = m.opts.Bridge
	n.isolate, n.masq = m.opts.DisableICC, !m.opts.DisableMasquerade
	n.gateway = n.def.Address.Addr()
	if n.pool, err = ipam.NewPool(n.def.Address.Masked(), m.opts.FixedCIDR); err != nil {
		return err
	}
	if err := n.pool.TakeAddr(n.def.Address.Addr()); err != nil {
		return fmt.Errorf("reserve the bridge's address %s: %w", n.def.Address, err)
	}
	if gw := m.opts.DefaultGateway; gw.IsValid() && gw != n.gateway {
		if err := n.pool.TakeAddr(gw); err != nil {
			return fmt.Errorf("reserve the default gateway %s: %w", gw, err)
		}
		n.gateway = gw
	}
	n.bridge, err = bridge.Ensure(bridge.Config{Device: n.device, Gateway: n.def.Address, MTU: m.opts.MTU, Isolate: n.isolate})
	return err
}

// Networks lists all networks, predefined ones included, by name.
func (m *Manager) Networks() []Network {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Network, 0, len(m.networks))
	for _, n := range m.networks {
		list = append(list, m.snapshot(n))
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Network finds a network by name, id or unambiguous id prefix, in this order.
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
	for _, n := range m.networks {
		if n.def.Name == nameOrID {
			return n, nil
		}
	}
	if n := m.networks[nameOrID]; n != nil {
		return n, nil
	}
	var found *network
	for id, n := range m.networks {
		if nameOrID != "" && strings.HasPrefix(id, nameOrID) {
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
	out := Network{
		ID: n.def.ID, Name: n.def.Name, Driver: n.def.Driver, Scope: "local",
		IPAM:       IPAM{Driver: "default", Config: []IPAMConfig{}},
		Options:    map[string]string{},
		Labels:     map[string]string{},
		Created:    n.def.Created,
		Predefined: true,
		Endpoints:  map[string]Endpoint{},
	}
	if n.bridge != nil {
		out.IPAM.Config = []IPAMConfig{m.defaultPool(n)}
		out.Options = map[string]string{
			"com.docker.network.bridge.default_bridge":       "true",
			"com.docker.network.bridge.enable_icc":           strconv.FormatBool(!n.isolate),
			"com.docker.network.bridge.enable_ip_masquerade": strconv.FormatBool(n.masq),
			"com.docker.network.bridge.host_binding_ipv4":    m.opts.HostIP.String(),
			"com.docker.network.bridge.name":                 n.device,
			"com.docker.network.driver.mtu":                  strconv.Itoa(m.opts.MTU),
		}
	}
	for id, s := range m.sandboxes {
		for _, e := range s.Endpoints {
			if e.NetworkID == n.def.ID {
				out.Endpoints[id] = e
			}
		}
	}
	return out
}

func overlaps(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if p.Overlaps(o) {
			return true
		}
	}
	return false
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range maps.Keys(m) {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// defaultPool is the default network's pool as engines of this API show it: the
// gateway only where the operator chose it.
func (m *Manager) defaultPool(n *network) IPAMConfig {
	pool := IPAMConfig{Subnet: n.def.Address.Masked(), IPRange: m.opts.FixedCIDR}
	if m.opts.BridgeIP.IsValid() {
		pool.Gateway = n.def.Address.Addr()
	}
	return pool
}
