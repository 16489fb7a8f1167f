package engine

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/wire"
)

// networkMode is the kind of network of a container, with the network's name
// for bridges and the other container's id for shared ones.
func networkMode(r *container.Record) (mode network.Mode, name string) {
	if r.Config.NetworkDisabled {
		return network.ModeNone, ""
	}
	// The whole word counts: a network may be called "host:a".
	switch r.HostConfig.NetworkMode {
	case "", "default", "bridge":
		return network.ModeBridge, network.NameBridge
	case "none":
		return network.ModeNone, ""
	case "host":
		return network.ModeHost, ""
	}
	if other, ok := strings.CutPrefix(r.HostConfig.NetworkMode, "container:"); ok {
		return network.ModeContainer, other
	}
	return network.ModeBridge, r.HostConfig.NetworkMode
}

// makeSandbox makes the network of a run, in a namespace that the function makes
// if there is one.
func (e *Engine) makeSandbox(ctx context.Context, r *container.Record, namespace func() (*os.File, error)) (*network.Sandbox, error) {
	mode, name := networkMode(r)
	spec := network.SandboxSpec{ContainerID: r.ID, ContainerName: r.Name[1:], Mode: mode, Namespace: namespace}
	switch mode {
	case network.ModeContainer:
		other, err := e.containers.Get(name)
		if err != nil {
			return nil, err
		}
		if !other.Record().State.Live() {
			return nil, fault.Conflict("cannot join network of a non running container: %s", other.ID)
		}
		spec.JoinContainer = other.ID
	case network.ModeBridge:
		places := r.Places
		if len(places) == 0 {
			places = []container.Place{{NetworkID: name, Network: name}}
		}
		for i, p := range places {
			ep, err := endpointSpec(p)
			if err != nil {
				return nil, err
			}
			if i == 0 && p.Network != network.NameBridge {
				if ep.Links, err = parseLinks(ep.Links, r.HostConfig.Links); err != nil {
					return nil, err
				}
			}
			if i == 0 {
				if err := ep.MAC.UnmarshalText([]byte(r.Config.MacAddress)); err != nil {
					return nil, fault.Invalid("invalid mac address %q: %w", r.Config.MacAddress, err)
				}
			}
			spec.Endpoints = append(spec.Endpoints, ep)
		}
		ports, err := portSpecs(r)
		if err != nil {
			return nil, err
		}
		spec.Ports = ports
		if spec.DNS, err = dnsServers(or(r.HostConfig.DNS, e.DNS)); err != nil {
			return nil, err
		}
	}
	return e.Networks.NewSandbox(ctx, spec)
}

// portSpecs are the ports to publish: the bindings in the order of the ports,
// then, with PublishAllPorts, the exposed ports that have none.
func portSpecs(r *container.Record) ([]network.PortSpec, error) {
	var specs []network.PortSpec
	bindings := r.HostConfig.PortBindings
	published := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(bindings)) {
		ports, err := expandPort(key)
		if err != nil {
			return nil, err
		}
		for i, p := range ports {
			published[p.key()] = true
			list := bindings[key]
			if len(list) == 0 {
				list = []models.PortBinding{{}}
			}
			for _, b := range list {
				s := network.PortSpec{Proto: network.Protocol(p.proto), ContainerPort: p.number}
				if err := bindHost(&s, b, i, len(ports)); err != nil {
					return nil, err
				}
				specs = append(specs, s)
			}
		}
	}
	if !r.HostConfig.PublishAllPorts {
		return specs, nil
	}
	for _, key := range slices.Sorted(maps.Keys(r.Config.ExposedPorts)) {
		ports, err := expandPort(key)
		if err != nil {
			return nil, err
		}
		for _, p := range ports {
			if !published[p.key()] {
				specs = append(specs, network.PortSpec{Proto: network.Protocol(p.proto), ContainerPort: p.number})
			}
		}
	}
	return specs, nil
}

// bindHost reads one binding. Of a host range as long as the container's range
// the i-th port is meant; of any other range the first free port.
func bindHost(s *network.PortSpec, b models.PortBinding, i, n int) error {
	if b.HostIP != "" {
		addr, err := netip.ParseAddr(b.HostIP)
		if err != nil {
			return fault.Invalid("Invalid ip address: %s", b.HostIP)
		}
		s.HostIP = addr
	}
	if b.HostPort == "" || b.HostPort == "0" {
		return nil
	}
	start, end, err := nat.ParsePortRange(b.HostPort)
	if err != nil || end > 65535 {
		return fault.Invalid("Invalid hostPort: %s", b.HostPort)
	}
	if n > 1 && int(end-start)+1 == n {
		start += uint64(i)
		end = start
	}
	s.HostPort = uint16(start)
	if end > start {
		s.HostPortEnd = uint16(end)
	}
	return nil
}

type containerPort struct {
	number uint16
	proto  string
}

func (p containerPort) key() string { return strconv.Itoa(int(p.number)) + "/" + p.proto }

// expandPort reads "port[-port][/proto]".
func expandPort(spec string) ([]containerPort, error) {
	proto, ports := nat.SplitProtoPort(spec)
	start, end, err := nat.ParsePortRange(ports)
	if err != nil || start == 0 || end > 65535 || proto != "tcp" && proto != "udp" {
		return nil, fault.Invalid("Invalid port specification: %q", spec)
	}
	var all []containerPort
	for n := start; n <= end; n++ {
		all = append(all, containerPort{uint16(n), proto})
	}
	return all, nil
}

// canonicalPort adds the protocol to a port that has none.
func canonicalPort(spec string) string {
	if !strings.Contains(spec, "/") {
		return spec + "/tcp"
	}
	return spec
}

// portsMax is how many ports a container may name: all of both protocols, twice
// over. Ranges make many of a short text.
const portsMax = 4 << 16

// count adds to the ports that were named; class InvalidArgument if there are too many.
func count(ports *int, more int) error {
	if *ports += more; *ports > portsMax {
		return fault.Invalid("Invalid port specification: more than %d ports", portsMax)
	}
	return nil
}

func checkExposed(m map[string]wire.EmptyObject) error {
	n := 0
	for spec := range m {
		ports, err := expandPort(spec)
		if err == nil {
			err = count(&n, len(ports))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkPortBindings(m models.PortMap) error {
	n := 0
	for key, list := range m {
		ports, err := expandPort(key)
		if err == nil {
			err = count(&n, len(ports)*max(1, len(list)))
		}
		if err != nil {
			return err
		}
		for _, b := range list {
			var s network.PortSpec
			if err := bindHost(&s, b, 0, len(ports)); err != nil {
				return err
			}
		}
	}
	return nil
}

// describeNetwork is what the record shows of a sandbox.
func (e *Engine) describeNetwork(r *container.Record, s *network.Sandbox) container.Network {
	n := container.Network{SandboxID: s.ID, SandboxKey: s.Key}
	for _, ep := range s.Endpoints {
		settings := models.EndpointSettings{
			EndpointID: ep.EndpointID,
			NetworkID:  ep.NetworkID,
			MacAddress: ep.MAC.String(),
			Aliases:    ep.Aliases,
		}
		if ep.IPv4.IsValid() {
			settings.IPAddress, settings.IPPrefixLen = ep.IPv4.Addr().String(), int64(ep.IPv4.Bits())
		}
		if ep.IPv4Gateway.IsValid() {
			settings.Gateway = ep.IPv4Gateway.String()
		}
		if ep.IPv6.IsValid() {
			settings.GlobalIPv6Address, settings.GlobalIPv6PrefixLen = ep.IPv6.Addr().String(), int64(ep.IPv6.Bits())
		}
		if ep.IPv6Gateway.IsValid() {
			settings.IPv6Gateway = ep.IPv6Gateway.String()
		}
		for _, p := range r.Places {
			if p.NetworkID == ep.NetworkID {
				settings.IPAMConfig, settings.Links, settings.Aliases = p.IPAMConfig, p.Links, p.Aliases
			}
		}
		n.Endpoints = append(n.Endpoints, container.Endpoint{EndpointSettings: settings, Network: ep.NetworkName})
	}
	for _, p := range s.Ports {
		if n.Ports == nil {
			n.Ports = map[string][]models.PortBinding{}
		}
		key := containerPort{p.ContainerPort, string(p.Proto)}.key()
		n.Ports[key] = append(n.Ports[key], models.PortBinding{HostIP: p.HostIP.String(), HostPort: strconv.Itoa(int(p.HostPort))})
	}
	return n
}

// networkEvents tells that a container's endpoints came or went.
func (e *Engine) networkEvents(r *container.Record, action string) {
	for _, ep := range r.Network.Endpoints {
		e.endpointEvent(r, action, ep.NetworkID, ep.Network)
	}
}

func (e *Engine) endpointEvent(r *container.Record, action, id, name string) {
	kind := "bridge" // of a network that is gone meanwhile
	if n, err := e.Networks.Network(id); err == nil {
		kind = n.Driver
	}
	e.Events.Publish(events.Event{
		Type: events.Network, Action: action, ID: id,
		Attributes: map[string]string{"container": r.ID, "name": name, "type": kind},
	})
}
