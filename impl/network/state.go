package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/firewall"
	"github.com/seed-50ced230/berth/impl/network/macvlan"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// sandboxFile is ExecRoot/network/<container id>.json. It is written when the
// sandbox is complete and removed when it is gone, so whatever the kernel has
// and no file tells of is a leftover of an interruption.
type sandboxFile struct {
	Version int     `json:"version"`
	Sandbox Sandbox `json:"sandbox"`
}

const sandboxVersion = 1

func (m *Manager) statePath(containerID string) string {
	return filepath.Join(m.stateDir(), containerID+".json")
}

func (m *Manager) save(s *Sandbox) error {
	text, err := json.Marshal(sandboxFile{Version: sandboxVersion, Sandbox: *s})
	if err != nil {
		return fmt.Errorf("encode sandbox: %w", err)
	}
	// Not synced: after a crash of the machine there is no sandbox to find.
	if err := atomicfile.Write(m.statePath(s.ContainerID), text, 0o600); err != nil {
		return fmt.Errorf("write sandbox state: %w", err)
	}
	return nil
}

func (m *Manager) forget(containerID string) error {
	if err := os.Remove(m.statePath(containerID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove sandbox state: %w", err)
	}
	return nil
}

// restore takes over the sandboxes of an earlier Manager, installs the nftables
// table for them and removes what nobody knows.
func (m *Manager) restore() error {
	if err := m.load(); err != nil {
		return err
	}
	var forwards []firewall.Forward
	for _, s := range m.sandboxes {
		forwards = append(forwards, s.forwards()...)
	}
	if err := m.table.Install(m.firewallNetworks(), forwards); err != nil {
		return err
	}
	owed, err := m.unowned()
	if err != nil {
		return err
	}
	if err := m.sweep(); err != nil {
		return err
	}
	m.sweepDevices()
	m.settleUnowned(owed)
	m.replayAll()
	m.dunning.Add(1)
	go m.dun()
	if m.unwatch, err = firewall.Watch(m.mend); err != nil {
		return err
	}
	if err := m.table.Admit(); err != nil {
		m.log.Error("another engine's firewall may drop packets of containers", "err", err)
	}
	return nil
}

// load reads the state files and takes the addresses and ports that they name.
func (m *Manager) load() error {
	entries, err := os.ReadDir(m.stateDir())
	if err != nil {
		return fmt.Errorf("read sandbox states: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(m.stateDir(), e.Name())
		if !strings.HasSuffix(e.Name(), ".json") {
			// The unfinished half of a write.
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove unfinished sandbox state: %w", err)
			}
			continue
		}
		var file sandboxFile
		if err := readJSON(path, &file); err != nil {
			if !errdefs.IsDataLoss(err) {
				return err
			}
			// The machine stopped before the disk had it; then nothing of the
			// sandbox is left but this.
			m.log.Warn("state of a sandbox is unreadable and dropped", "err", err)
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("remove unreadable sandbox state: %w", err)
			}
			continue
		}
		if file.Version != sandboxVersion {
			m.log.Error("state of a sandbox is left as it is and not used", "path", path, "version", file.Version, "known", sandboxVersion)
			continue
		}
		s := &file.Sandbox
		if (s.Mode == ModeBridge || s.Mode == ModeNone) && !netns.Pinned(s.Key) {
			// A reboot, or an interrupted Release: sweep removes the rest.
			if err := m.forget(s.ContainerID); err != nil {
				return err
			}
			continue
		}
		if err := m.adopt(s); err != nil {
			return err
		}
	}
	return nil
}

// adopt makes a loaded sandbox one of this Manager's. An endpoint without its
// interface goes: a Disconnect was interrupted, or somebody deleted it.
func (m *Manager) adopt(s *Sandbox) error {
	log := m.log.With("container", s.ContainerID)
	had := len(s.Endpoints)
	s.Endpoints = slices.DeleteFunc(s.Endpoints, func(e Endpoint) bool {
		n := m.networks[e.NetworkID]
		gone := n != nil && n.working() && !n.has(s.Key, e)
		if gone {
			log.Warn("running container has lost its interface", "interface", e.Interface, "network", e.NetworkName)
		}
		return gone
	})
	for i, e := range s.Endpoints {
		n := m.networks[e.NetworkID]
		if n == nil || !n.working() {
			continue
		}
		n.users++
		if n.bridge != nil && !n.hasIPv6() {
			// The default network may have lost its IPv6 by the daemon's settings.
			s.Endpoints[i].IPv6, s.Endpoints[i].IPv6Gateway = netip.Prefix{}, netip.Addr{}
		}
		for _, a := range s.Endpoints[i].addresses() {
			err := fault.Invalid("no pool of the network has it")
			if from := n.spaceOf(a); from != nil {
				err = from.TakeAddr(a)
			}
			if err != nil {
				log.Warn("running container has an address outside its network's pool", "address", a, "err", err)
			}
		}
		if n.bridge == nil {
			continue
		}
		if err := n.bridge.Adopt(e.HostInterface); err != nil {
			log.Warn("running container's interface is not on its bridge", "interface", e.HostInterface, "err", err)
		}
	}
	if len(s.Endpoints) < had {
		if err := netns.Do(s.Key, s.route); err != nil {
			log.Warn("running container has no way out", "err", err)
		}
		if err := m.save(s); err != nil {
			return err
		}
	}
	for _, key := range s.portKeys() {
		if err := m.ports.Adopt(key.Key); err != nil {
			log.Warn("published port is translated, but not reserved", "port", key.String(), "err", err)
		} else if err := m.startRelay(s.ContainerID, key); err != nil {
			log.Warn("published port has no relay", "port", key.String(), "err", err)
		}
	}
	m.sandboxes[s.ContainerID] = s
	return nil
}

// has tells whether the interface of an endpoint exists.
func (n *network) has(key string, e Endpoint) (there bool) {
	if n.bridge != nil {
		return bridge.Exists(e.HostInterface)
	}
	err := netns.Do(key, func() error { there = bridge.Exists(e.Interface); return nil })
	return there || err != nil
}

// sweep removes namespaces and interfaces that no sandbox has. One that stays keeps
// the engine from nothing.
func (m *Manager) sweep() error {
	keys := make(map[string]bool)
	interfaces := make(map[string]bool)
	for _, s := range m.sandboxes {
		keys[s.Key] = true
		for _, e := range s.Endpoints {
			interfaces[e.HostInterface] = true
		}
	}
	paths, err := netns.List(m.netnsDir())
	if err != nil {
		return err
	}
	for _, path := range paths {
		if !keys[path] {
			if err := netns.Remove(path); err != nil {
				m.log.Warn("a namespace stays that no container has", "path", path, "err", err)
			}
		}
	}
	m.sweepInside()
	ports, err := bridge.Ports()
	if err != nil {
		return err
	}
	for _, n := range m.networks {
		if n.bridge == nil {
			continue
		}
		for _, name := range ports[n.device] {
			if strings.HasPrefix(name, hostPrefix) && !interfaces[name] {
				if err := bridge.Detach(name); err != nil {
					m.log.Warn("an interface stays that no container has", "interface", name, "err", err)
				}
			}
		}
	}
	return nil
}

// sweepInside removes macvlan interfaces from containers that do not know them;
// there is no end of them on the host's side.
func (m *Manager) sweepInside() {
	if !slices.ContainsFunc(slices.Collect(maps.Values(m.networks)), func(n *network) bool { return n.macvlan != nil }) {
		return
	}
	for _, s := range m.sandboxes {
		if s.Mode != ModeBridge {
			continue
		}
		known := func(name string) bool {
			return slices.ContainsFunc(s.Endpoints, func(e Endpoint) bool { return e.Interface == name })
		}
		if err := netns.Do(s.Key, func() error { return macvlan.Strays(known) }); err != nil {
			m.log.Error("running container has an interface too many", "container", s.ContainerID, "err", err)
		}
	}
}

// readJSON decodes a file; the error names it.
func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode %s: %w: %w", path, err, errdefs.ErrDataLoss)
	}
	return nil
}
