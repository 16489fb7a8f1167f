package engine

import (
	"net/netip"
	"strings"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network"
)

// parseLink reads "name:alias" or "name" (the alias is the name then).
func parseLink(s string) (name, alias string, err error) {
	name, alias, ok := strings.Cut(s, ":")
	if !ok {
		alias = name
	}
	name, alias = strings.TrimPrefix(name, "/"), alias[strings.LastIndex(alias, "/")+1:]
	if name == "" || alias == "" || strings.Contains(alias, ":") {
		return "", "", fault.Invalid("bad format for links: %s", s)
	}
	return name, alias, nil
}

// parseLinks adds links in the API's form to those of a place in a network.
// What is linked to need not exist or run: it is looked for at each question.
func parseLinks(links []network.Link, more []string) ([]network.Link, error) {
	for _, l := range more {
		name, alias, err := parseLink(l)
		if err != nil {
			return nil, err
		}
		links = append(links, network.Link{Target: name, Alias: alias})
	}
	return links, nil
}

// linkHosts gives the lines of hosts for the containers that r is linked to,
// which must run.
func (e *Engine) linkHosts(r *container.Record) ([]network.HostEntry, error) {
	var entries []network.HostEntry
	for _, l := range r.HostConfig.Links {
		name, alias, err := parseLink(l)
		if err != nil {
			return nil, err
		}
		other, err := e.containers.Get(name)
		if err != nil {
			return nil, fault.NotFound("Could not get container for %s", name)
		}
		target := other.Record()
		if !target.State.Live() {
			return nil, fault.Conflict("Cannot link to a non running container: %s AS %s", target.Name, r.Name+"/"+alias)
		}
		names := []string{alias}
		for _, n := range []string{target.Config.Hostname, target.Name[1:]} {
			if n != alias {
				names = append(names, n)
			}
		}
		for _, ep := range target.Network.Endpoints {
			if addr, err := netip.ParseAddr(ep.IPAddress); err == nil {
				entries = append(entries, network.HostEntry{Address: addr, Names: names})
				break
			}
		}
	}
	return entries, nil
}
