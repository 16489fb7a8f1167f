package engine

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub/models"
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

// checkLinks looks for the containers that a new host configuration links to on
// the default network and writes their ids into it, so that a link follows its
// container when that is renamed. Elsewhere what is linked to need not exist.
func (e *Engine) checkLinks(h *models.HostConfig) error {
	switch h.NetworkMode {
	case "", "default", "bridge":
	default:
		for _, text := range h.Links {
			if _, _, err := parseLink(text); err != nil {
				return err
			}
		}
		return nil
	}
	resolved := make([]string, len(h.Links))
	for i, text := range h.Links {
		name, alias, err := parseLink(text)
		if err != nil {
			return err
		}
		other, err := e.containers.Get(name)
		if err != nil {
			return fault.NotFound("Could not get container for %s", name)
		}
		if other.Record().HostConfig.NetworkMode == "host" {
			return fault.Conflict("Conflicting options: host type networking can't be used with links. This would result in undefined behavior")
		}
		resolved[i] = other.ID + ":" + alias
	}
	if len(resolved) > 0 {
		h.Links = resolved
	}
	return nil
}

// shownHostConfig is the host configuration as inspect has it: links on the
// default network are paths, "/target:/container/alias", and those whose target
// is gone are left out.
func (e *Engine) shownHostConfig(r *container.Record) *models.HostConfig {
	if mode, name := networkMode(r); len(r.HostConfig.Links) == 0 || mode != network.ModeBridge || name != network.NameBridge {
		return r.HostConfig
	}
	h := *r.HostConfig
	h.Links = nil
	for _, text := range r.HostConfig.Links {
		name, alias, err := parseLink(text)
		if err != nil {
			continue // refused at creation
		}
		if other, err := e.containers.Get(name); err == nil {
			h.Links = append(h.Links, other.Record().Name+":"+r.Name+"/"+alias)
		}
	}
	return &h
}

// linkNames are the further names of a container in lists: the links that
// others have to it.
func (e *Engine) linkNames(all []*container.Container) map[string][]string {
	names := map[string][]string{}
	for _, c := range all {
		r := c.Record()
		if len(r.HostConfig.Links) == 0 {
			continue
		}
		if mode, name := networkMode(r); mode != network.ModeBridge || name != network.NameBridge {
			continue
		}
		for _, text := range r.HostConfig.Links {
			name, alias, err := parseLink(text)
			if err != nil {
				continue
			}
			if other, err := e.containers.Get(name); err == nil {
				names[other.ID] = append(names[other.ID], r.Name+"/"+alias)
			}
		}
	}
	return names
}

// link is a link of the default network whose target was found.
type link struct {
	target *container.Record
	alias  string
	// addr is the target's on the default network; zero if it is not there.
	addr netip.Addr
}

// links finds the containers that r is linked to on the default network. In
// user-defined networks the resolver knows the links.
func (e *Engine) links(r *container.Record) ([]link, error) {
	if mode, name := networkMode(r); mode != network.ModeBridge || name != network.NameBridge {
		return nil, nil
	}
	var found []link
	for _, l := range r.HostConfig.Links {
		name, alias, err := parseLink(l)
		if err != nil {
			return nil, err
		}
		other, err := e.containers.Get(name)
		if err != nil {
			continue // removed since, and the link with it
		}
		target := other.Record()
		if !target.State.Live() {
			return nil, fault.Conflict("Cannot link to a non running container: %s AS %s", target.Name, r.Name+"/"+alias)
		}
		found = append(found, newLink(target, alias))
	}
	return found, nil
}

func newLink(target *container.Record, alias string) link {
	l := link{target: target, alias: alias}
	for _, ep := range target.Network.Endpoints {
		if addr, err := netip.ParseAddr(ep.IPAddress); err == nil && ep.Network == network.NameBridge {
			l.addr = addr
		}
	}
	return l
}

// host is the link's line in hosts.
func (l link) host() network.HostEntry {
	names := []string{l.alias}
	for _, n := range []string{l.target.Config.Hostname, l.target.Name[1:]} {
		if n != l.alias {
			names = append(names, n)
		}
	}
	return network.HostEntry{Address: l.addr, Names: names}
}

// linkHosts gives the lines of hosts for the containers that r is linked to,
// which must run.
func (e *Engine) linkHosts(r *container.Record) ([]network.HostEntry, error) {
	links, err := e.links(r)
	if err != nil {
		return nil, err
	}
	var entries []network.HostEntry
	for _, l := range links {
		if l.addr.IsValid() {
			entries = append(entries, l.host())
		}
	}
	return entries, nil
}

// followLinks gives the running containers that are linked to r, which has just
// started, its new address.
func (e *Engine) followLinks(r *container.Record) {
	for _, c := range e.containers.List() {
		from := c.Record()
		if len(from.HostConfig.Links) == 0 || from.ID == r.ID || !from.State.Live() {
			continue
		}
		if mode, name := networkMode(from); mode != network.ModeBridge || name != network.NameBridge {
			continue
		}
		var moved []network.HostEntry
		for _, text := range from.HostConfig.Links {
			name, alias, err := parseLink(text)
			if err != nil {
				continue // refused at creation
			}
			if target, err := e.containers.Get(name); err == nil && target.ID == r.ID {
				if l := newLink(r, alias); l.addr.IsValid() {
					moved = append(moved, l.host())
				}
			}
		}
		if len(moved) == 0 {
			continue
		}
		if err := e.Networks.MoveHosts(e.dir(from.ID)+"/hosts", moved); err != nil {
			e.Logger.Error("a linked container's hosts file is out of date", "container", from.ID, "target", r.ID, "error", err)
		}
	}
}

// linkEnvironment tells a container by its environment where the exposed ports
// of those it is linked to are, and their own environment (user guide, "Legacy
// container links").
func (e *Engine) linkEnvironment(r *container.Record) []string {
	links, err := e.links(r)
	if err != nil {
		return nil // a target has ended since r started
	}
	var env []string
	for _, l := range links {
		if !l.addr.IsValid() {
			continue
		}
		prefix := strings.ReplaceAll(strings.ToUpper(l.alias), "-", "_") + "_"
		env = append(env, l.portEnvironment(prefix)...)
		env = append(env, prefix+"NAME="+r.Name+"/"+l.alias)
		for _, kv := range l.target.Config.Env {
			if key, _, ok := strings.Cut(kv, "="); ok && key != "HOME" && key != "PATH" {
				env = append(env, prefix+"ENV_"+kv)
			}
		}
	}
	return env
}

// portEnvironment has, for each exposed port, its parts; PREFIX_PORT is the
// first one.
func (l link) portEnvironment(prefix string) []string {
	var ports []containerPort
	for key := range l.target.Config.ExposedPorts {
		more, err := expandPort(key)
		if err != nil {
			continue // refused at creation
		}
		ports = append(ports, more...)
	}
	slices.SortFunc(ports, func(a, b containerPort) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.proto, b.proto))
	})
	var env []string
	for i, p := range ports {
		url := p.proto + "://" + netip.AddrPortFrom(l.addr, p.number).String()
		if i == 0 {
			env = append(env, prefix+"PORT="+url)
		}
		name := prefix + "PORT_" + strconv.Itoa(int(p.number)) + "_" + strings.ToUpper(p.proto)
		env = append(env, name+"="+url, name+"_ADDR="+l.addr.String(), name+"_PORT="+strconv.Itoa(int(p.number)), name+"_PROTO="+p.proto)
	}
	return env
}
