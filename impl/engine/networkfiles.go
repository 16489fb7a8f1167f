package engine

import (
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// networkFiles writes the container's hosts, resolv.conf and hostname. A
// container that shares another's network shares its files.
func (e *Engine) networkFiles(r *container.Record, s *network.Sandbox) (network.Files, error) {
	mode, other := networkMode(r)
	if mode == network.ModeContainer {
		dir := e.dir(other)
		return network.Files{Hosts: dir + "/hosts", ResolvConf: dir + "/resolv.conf", Hostname: dir + "/hostname"}, nil
	}
	spec, err := e.filesSpec(r, s)
	if err != nil {
		return network.Files{}, err
	}
	return network.WriteFiles(spec)
}

// shareHostname gives a container that shares another's network the other's
// host name, too, as Docker Engine does: the hosts file that they share says
// so. The result is the configuration for a run; the record's is as it was.
func (e *Engine) shareHostname(r *container.Record) (*models.ContainerConfig, error) {
	mode, id := networkMode(r)
	if mode != network.ModeContainer {
		return r.Config, nil
	}
	other, err := e.containers.Get(id)
	if err != nil {
		return nil, err
	}
	from := other.Record().Config
	config := *r.Config
	config.Hostname, config.Domainname = from.Hostname, from.Domainname
	return &config, nil
}

func (e *Engine) filesSpec(r *container.Record, s *network.Sandbox) (network.FilesSpec, error) {
	h := r.HostConfig
	mode, _ := networkMode(r)
	spec := network.FilesSpec{
		Dir:        e.dir(r.ID),
		Mode:       mode,
		Hostname:   r.Config.Hostname,
		Domainname: r.Config.Domainname,
		ExtraHosts: h.ExtraHosts,
		DNS:        or(h.DNS, e.DNS),
		DNSSearch:  or(h.DNSSearch, e.DNSSearch),
		DNSOptions: or(h.DNSOptions, e.DNSOptions),
		Resolver:   s.Resolver != resolver.Ports{},
	}
	for _, ep := range s.Endpoints {
		spec.Addresses = append(spec.Addresses, addresses(ep)...)
	}
	links, err := e.linkHosts(r)
	spec.Links = links
	return spec, err
}

func addresses(ep network.Endpoint) []netip.Addr {
	var list []netip.Addr
	for _, p := range []netip.Prefix{ep.IPv4, ep.IPv6} {
		if p.IsValid() {
			list = append(list, p.Addr())
		}
	}
	return list
}

// followNetworks brings the files of a running container up to date after its
// networks changed from before to after. A failure is logged: the change itself
// has happened.
func (e *Engine) followNetworks(r *container.Record, before, after *network.Sandbox) {
	had, has := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	var gone, come []netip.Addr
	for _, ep := range before.Endpoints {
		for _, a := range addresses(ep) {
			had[a] = true
		}
	}
	for _, ep := range after.Endpoints {
		for _, a := range addresses(ep) {
			if has[a] = true; !had[a] {
				come = append(come, a)
			}
		}
	}
	for a := range had {
		if !has[a] {
			gone = append(gone, a)
		}
	}
	err := e.Networks.EditHosts(filepath.Join(e.dir(r.ID), "hosts"), gone, come, r.Config.Hostname, r.Config.Domainname)
	if err == nil && before.Resolver != after.Resolver {
		var from, to network.FilesSpec
		if from, err = e.filesSpec(r, before); err == nil {
			if to, err = e.filesSpec(r, after); err == nil {
				err = network.SwitchResolver(filepath.Join(e.dir(r.ID), "resolv.conf"), from, to)
			}
		}
	}
	if err != nil {
		e.Logger.Error("a container's network files are out of date", "container", r.ID, "error", err)
	}
}

// or gives the container's own values, or those of the daemon.
func or(own, daemon []string) []string {
	if len(own) > 0 {
		return own
	}
	return daemon
}

// dnsServers reads the addresses of name servers.
func dnsServers(list []string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, text := range list {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			return nil, fault.Invalid("%s is not an ip address", text)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// ContainerName implements network.Directory.
func (e *Engine) ContainerName(id string) string {
	c, err := e.containers.Get(id)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(c.Record().Name, "/")
}
