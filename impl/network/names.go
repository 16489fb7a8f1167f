package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// Directory knows what containers are called. The engine is one.
type Directory interface {
	// ContainerName gives a container's present name without the slash, "" for
	// an unknown one. It must not call the Manager.
	ContainerName(containerID string) string
}

// names are the resolvers at work and what they know. The zero value is ready.
type names struct {
	mu        sync.Mutex
	directory Directory
	servers   map[string]*resolver.Server // by container id
	// zones are made when they are asked for and dropped at each change.
	zones map[string]*zone // by network id
	// age counts the changes: a zone made meanwhile is already old.
	age uint64
}

// zone is who is called what in one network.
type zone struct {
	addrs map[string][]netip.Addr // by name in lower case
	names map[netip.Addr]string
}

// shortID is how much of an id is a name.
const shortID = 12

// ServeNames tells the Manager how containers are called and serves the
// sandboxes of an earlier Manager again that had a resolver. Whatever starts
// before knows ids and aliases only.
func (m *Manager) ServeNames(d Directory) {
	m.names.mu.Lock()
	m.names.directory = d
	m.names.mu.Unlock()
	m.names.changed()
	m.mu.Lock()
	var adopted []string
	for id, s := range m.sandboxes {
		if s.Resolver != (resolver.Ports{}) {
			adopted = append(adopted, id)
		}
	}
	m.mu.Unlock()
	for _, id := range adopted {
		if err := m.serveAgain(id); err != nil {
			// The container goes on, as it did while there was no engine.
			m.log.Error("container cannot resolve names", "container", id, "err", err)
		}
	}
}

func (m *Manager) serveAgain(id string) error {
	unlock := m.busy.lock(id)
	defer unlock()
	s, err := m.Sandbox(id)
	if err != nil || m.names.serves(id) {
		return nil // released, or started, meanwhile
	}
	before := s.Resolver
	var undo undoStack
	if err := m.serveNames(s, &undo); err != nil || s.Resolver == before {
		return err
	}
	if err := m.save(s); err != nil {
		return errors.Join(err, undo.run())
	}
	m.commit(s)
	return nil
}

// NamesChanged tells that a container's name is another one now.
func (m *Manager) NamesChanged() { m.names.changed() }

// named tells whether the sandbox is on a user-defined network, where
// containers find each other by name.
func (m *Manager) named(s *Sandbox) bool {
	return slices.ContainsFunc(s.Endpoints, Endpoint.named)
}

func (e Endpoint) named() bool {
	return e.NetworkName != NameBridge && e.NetworkName != NameHost && e.NetworkName != NameNone
}

// addresses are those of both families that the endpoint has.
func (e Endpoint) addresses() []netip.Addr {
	list := []netip.Addr{e.IPv4.Addr()}
	if e.IPv6.IsValid() {
		list = append(list, e.IPv6.Addr())
	}
	return list
}

// serveNames starts the sandbox's resolver; s is the caller's copy.
func (m *Manager) serveNames(s *Sandbox, undo *undoStack) error {
	server, err := resolver.Start(s.Key, s.Resolver, view{m, s.ContainerID}, m.log.With("container", s.ContainerID))
	if err != nil {
		return fmt.Errorf("container %s: %w", s.ContainerID, err)
	}
	s.Resolver = server.Ports()
	m.names.mu.Lock()
	if m.names.servers == nil {
		m.names.servers = make(map[string]*resolver.Server)
	}
	m.names.servers[s.ContainerID] = server
	m.names.mu.Unlock()
	undo.push(func() error { return m.stopNames(s.ContainerID) })
	return nil
}

// stopNames ends the container's resolver, which would keep the namespace. It
// is no error if there is none.
func (m *Manager) stopNames(containerID string) error {
	m.names.mu.Lock()
	server := m.names.servers[containerID]
	delete(m.names.servers, containerID)
	m.names.mu.Unlock()
	if server == nil {
		return nil
	}
	return server.Close()
}

func (m *Manager) closeNames() error {
	m.names.mu.Lock()
	servers := m.names.servers
	m.names.servers = nil
	m.names.mu.Unlock()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

func (n *names) serves(containerID string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.servers[containerID] != nil
}

func (n *names) changed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.age++
	n.zones = nil
}

// zone gives the names of a network.
func (m *Manager) zone(networkID string) *zone {
	m.names.mu.Lock()
	z, age, directory := m.names.zones[networkID], m.names.age, m.names.directory
	m.names.mu.Unlock()
	if z != nil {
		return z
	}
	type member struct {
		id string
		Endpoint
	}
	m.mu.Lock()
	var members []member
	for id, s := range m.sandboxes {
		if i := s.on(networkID); i >= 0 {
			members = append(members, member{id, s.Endpoints[i]})
		}
	}
	m.mu.Unlock()
	z = &zone{addrs: make(map[string][]netip.Addr), names: make(map[netip.Addr]string)}
	for _, c := range members {
		name := c.id
		if len(name) > shortID {
			name = name[:shortID]
		}
		all := append([]string{c.id, name}, c.Aliases...)
		if directory != nil {
			if given := directory.ContainerName(c.id); given != "" {
				name = given
				all = append(all, given)
			}
		}
		for _, n := range all {
			n = strings.ToLower(n)
			for _, addr := range c.addresses() {
				if !slices.Contains(z.addrs[n], addr) {
					z.addrs[n] = append(z.addrs[n], addr)
				}
			}
		}
		for _, addr := range c.addresses() {
			z.names[addr] = name + "." + c.NetworkName
		}
	}
	m.names.mu.Lock()
	defer m.names.mu.Unlock()
	if m.names.age == age {
		if m.names.zones == nil {
			m.names.zones = make(map[string]*zone)
		}
		m.names.zones[networkID] = z
	}
	return z
}

// view is what one container may know: the names of the user-defined networks
// that it is on itself.
type view struct {
	m  *Manager
	id string
}

var _ resolver.Source = view{}

// endpoints are the asking container's. They are shared and must not be changed.
func (v view) endpoints() []Endpoint {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	if s := v.m.sandboxes[v.id]; s != nil {
		return s.Endpoints
	}
	return nil
}

// Lookup implements resolver.Source. A link goes before a name, an earlier
// network before a later one. "name.network" is a name too.
func (v view) Lookup(name string) ([]netip.Addr, bool) {
	for _, e := range v.endpoints() {
		if !e.named() {
			continue
		}
		wanted := name
		if own, ok := strings.CutSuffix(name, "."+strings.ToLower(e.NetworkName)); ok {
			wanted = own
		}
		z := v.m.zone(e.NetworkID)
		for _, candidate := range []string{name, wanted} {
			for _, l := range e.Links {
				if strings.EqualFold(l.Alias, candidate) {
					if addrs, ok := z.addrs[strings.ToLower(l.Target)]; ok {
						return addrs, true
					}
				}
			}
			if addrs, ok := z.addrs[candidate]; ok {
				return addrs, true
			}
		}
	}
	return nil, false
}

// Reverse implements resolver.Source.
func (v view) Reverse(addr netip.Addr) (string, bool) {
	for _, e := range v.endpoints() {
		if e.named() {
			if name, ok := v.m.zone(e.NetworkID).names[addr]; ok {
				return name, true
			}
		}
	}
	return "", false
}

// Upstreams implements resolver.Source. They are the container's own name
// servers or the host's; of the latter the host itself asks those that the
// container's namespace cannot reach, unless all the container's networks are
// internal: it may not speak to the outside by this way either.
func (v view) Upstreams() []resolver.Upstream {
	v.m.mu.Lock()
	s := v.m.sandboxes[v.id]
	v.m.mu.Unlock()
	if s == nil {
		return nil
	}
	var list []resolver.Upstream
	if len(s.DNS) > 0 {
		for _, a := range s.DNS {
			if a.String() != resolver.Address { // that is who asks
				list = append(list, resolver.Upstream{Server: resolver.At(a)})
			}
		}
		return list
	}
	text, err := hostResolvConf(ModeBridge)
	if err != nil {
		v.m.log.Warn("the host's name servers are unknown", "err", err)
	}
	servers := nameservers(text)
	if len(servers) == 0 {
		for _, f := range fallbackNameservers {
			servers = append(servers, netip.MustParseAddr(f))
		}
	}
	for _, a := range servers {
		host := a.IsLoopback() || a.Is6()
		if host && s.exit() < 0 {
			continue
		}
		list = append(list, resolver.Upstream{Server: resolver.At(a), Host: host})
	}
	return list
}

// SwitchResolver makes the resolv.conf of a running container name its
// resolver, in place: the file is a mount in the container. A file that the
// container has changed since from is left alone.
func SwitchResolver(path string, from, to FilesSpec) error {
	was, err := resolvText(from)
	if err != nil {
		return err
	}
	text, err := resolvText(to)
	if err != nil {
		return err
	}
	have, err := readSmall(path)
	if err != nil {
		return fmt.Errorf("read the container's resolv.conf: %w", err)
	}
	if string(have) != was || was == text {
		return nil
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the container's resolv.conf: %w", err)
	}
	return nil
}
