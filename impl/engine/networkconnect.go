package engine

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network"
)

// endpointSpec is a place in the terms of the network manager.
func endpointSpec(p container.Place) (network.EndpointSpec, error) {
	spec := network.EndpointSpec{Network: p.NetworkID, Aliases: p.Aliases}
	var err error
	if spec.Links, err = parseLinks(nil, p.Links); err != nil || p.IPAMConfig == nil {
		return spec, err
	}
	if text := p.IPAMConfig.IPv6Address; text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return spec, fault.Invalid("invalid IPv6 address: %s", text)
		}
		spec.IPv6 = addr
	}
	if text := p.IPAMConfig.IPv4Address; text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil || !addr.Is4() {
			return spec, fault.Invalid("invalid IPv4 address: %s", text)
		}
		spec.IPv4 = addr
	}
	return spec, nil
}

// newPlace makes the place of a container in a network, by name or id.
func (e *Engine) newPlace(nameOrID string, s *models.EndpointSettings) (container.Place, error) {
	n, err := e.Networks.Network(nameOrID)
	if err != nil {
		return container.Place{}, err
	}
	p := container.Place{NetworkID: n.ID, Network: n.Name}
	if s == nil {
		return p, nil
	}
	if s.IPAMConfig != nil && *s.IPAMConfig != (models.EndpointIPAMConfig{}) {
		if n.Predefined {
			return p, fault.Invalid("User specified IP address is supported on user defined networks only")
		}
		p.IPAMConfig = s.IPAMConfig
	}
	if n.Predefined && len(s.Aliases) > 0 {
		return p, fault.Invalid("Network-scoped alias is supported only for containers in user defined networks")
	}
	p.Links, p.Aliases = s.Links, s.Aliases
	return p, checkAddresses(p.IPAMConfig)
}

// checkAddresses refuses what is no address. Whether the network can give it
// shows when the container joins.
func checkAddresses(c *models.EndpointIPAMConfig) error {
	if c == nil {
		return nil
	}
	if a, err := netip.ParseAddr(c.IPv4Address); c.IPv4Address != "" && (err != nil || !a.Is4()) {
		return fault.Invalid("invalid IPv4 address: %s", c.IPv4Address)
	}
	if a, err := netip.ParseAddr(c.IPv6Address); c.IPv6Address != "" && (err != nil || !a.Is6()) {
		return fault.Invalid("invalid IPv6 address: %s", c.IPv6Address)
	}
	return nil
}

// planPlaces works out the networks of a new container: the one of its network
// mode and those of its networking configuration.
func (e *Engine) planPlaces(r *container.Record, c *models.NetworkingConfig) error {
	mode, name := networkMode(r)
	if mode != network.ModeBridge {
		r.Places = nil
		return nil
	}
	given := map[string]models.EndpointSettings{}
	if c != nil {
		for key, s := range c.EndpointsConfig {
			if key == "default" {
				key = name // newer clients repeat the network mode here
			}
			n, err := e.Networks.Network(key)
			if err != nil {
				return err
			}
			given[n.ID] = s
		}
	}
	first, err := e.newPlace(name, nil)
	if errdefs.IsNotFound(err) && len(given) == 0 {
		// The network may be made before the start, which says so if it is not.
		r.Places = []container.Place{{NetworkID: name, Network: name}}
		return nil
	}
	if err != nil {
		return err
	}
	if s, ok := given[first.NetworkID]; ok {
		if first, err = e.newPlace(first.NetworkID, &s); err != nil {
			return err
		}
		delete(given, first.NetworkID)
	}
	r.Places = []container.Place{first}
	for id, s := range given {
		p, err := e.newPlace(id, &s)
		if err != nil {
			return err
		}
		r.Places = append(r.Places, p)
	}
	slices.SortFunc(r.Places[1:], func(a, b container.Place) int { return strings.Compare(a.Network, b.Network) })
	return nil
}

// findPlaces gives the places of a container whose network did not exist at its
// creation their networks' ids.
func (e *Engine) findPlaces(c *container.Container) error {
	if mode, name := networkMode(c.Record()); mode == network.ModeBridge && name == network.NameBridge && !e.Networks.HasDefault() {
		return e.disableNetwork(c)
	}
	found := map[string]container.Place{}
	for _, p := range c.Record().Places {
		if p.NetworkID != p.Network {
			continue
		}
		real, err := e.newPlace(p.Network, nil)
		if err != nil {
			return err
		}
		found[p.NetworkID] = real
	}
	if len(found) == 0 {
		return nil
	}
	c.Update(func(r *container.Record) {
		for i, p := range r.Places {
			if real, ok := found[p.NetworkID]; ok {
				r.Places[i] = real
			}
		}
	})
	// At once: a daemon that is killed during the start takes a container off the
	// networks that its record does not have (leaveUnrecorded).
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	return nil
}

// disableNetwork leaves a container of the default network with its loopback
// device alone, as Docker Engine does when it has no default network.
func (e *Engine) disableNetwork(c *container.Container) error {
	c.Update(func(r *container.Record) {
		config := *r.Config
		config.NetworkDisabled = true
		r.Config = &config
		r.Places = nil
	})
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	return nil
}

// NetworkConnect serves POST /networks/(id)/connect for containers that run and
// for those that do not.
func (e *Engine) NetworkConnect(ctx context.Context, p *hub.NetworkConnectParams) error {
	place, err := e.newPlace(p.ID, p.Body.EndpointConfig)
	if err != nil {
		return err
	}
	c, unlock, err := e.operate(ctx, p.Body.Container)
	if err != nil {
		return err
	}
	defer unlock()
	before := c.Record()
	if err := connectable(before, place.Network); err != nil {
		return err
	}
	if err := checkAlive(before, "connected or disconnected to the network"); err != nil {
		return err
	}
	if slices.ContainsFunc(before.Places, func(o container.Place) bool { return o.NetworkID == place.NetworkID }) {
		return fault.Conflict("container %s is already connected to network %s", c.ID, place.Network)
	}
	var was, sandbox *network.Sandbox
	if before.State.Live() {
		spec, err := endpointSpec(place)
		if err != nil {
			return err
		}
		if was, err = e.Networks.Sandbox(c.ID); err != nil {
			return err
		}
		if sandbox, err = e.Networks.Connect(ctx, c.ID, spec); err != nil {
			return err
		}
	}
	r := c.Update(func(r *container.Record) {
		r.Places = append(r.Places, place)
		if sandbox != nil && r.State.Live() {
			r.Network = e.describeNetwork(r, sandbox)
		}
	})
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	if sandbox != nil {
		e.followNetworks(r, was, sandbox)
		e.endpointEvent(r, "connect", place.NetworkID, place.Network)
	}
	return nil
}

// connectable refuses networks to containers without a network stack of their own.
func connectable(r *container.Record, name string) error {
	mode, _ := networkMode(r)
	switch {
	case mode == network.ModeContainer || mode == network.ModeHost:
		return fault.Forbidden("container sharing network namespace with another container or host cannot be connected to any other network")
	case mode == network.ModeNone:
		return fault.Conflict("container cannot be connected to multiple networks with one of the networks in private (none) mode")
	case name == network.NameHost || name == network.NameNone:
		return fault.Forbidden("container cannot be disconnected from or connected to the network %s", name)
	}
	return nil
}

// NetworkDisconnect serves POST /networks/(id)/disconnect.
func (e *Engine) NetworkDisconnect(ctx context.Context, p *hub.NetworkDisconnectParams) error {
	n, err := e.Networks.Network(p.ID)
	if err != nil {
		return err
	}
	c, unlock, err := e.operate(ctx, p.Body.Container)
	if err != nil {
		return err
	}
	defer unlock()
	before := c.Record()
	connected := slices.ContainsFunc(before.Places, func(o container.Place) bool { return o.NetworkID == n.ID })
	absent := fault.NotFound("container %s is not connected to the network %s", c.ID, n.Name)
	err = connectable(before, n.Name)
	switch {
	case errdefs.IsConflict(err) && !connected:
		return absent
	case errdefs.IsConflict(err): // the documents have no 409 here
		return fault.Forbidden("%s", err.Error())
	case err != nil:
		return err
	}
	if err := checkAlive(before, "connected or disconnected to the network"); err != nil {
		return err
	}
	if !connected {
		return absent
	}
	var was, sandbox *network.Sandbox
	if before.State.Live() {
		was, err = e.Networks.Sandbox(c.ID)
		if err == nil {
			// Without an interface there (a daemon that was killed at it) only the
			// record is to be changed.
			sandbox, err = e.Networks.Disconnect(ctx, c.ID, n.ID)
			if errdefs.IsNotFound(err) {
				err = nil
			}
		}
		if err != nil && !(p.Body.Force && errdefs.IsNotFound(err)) {
			return err
		}
	}
	r := c.Update(func(r *container.Record) {
		r.Places = slices.DeleteFunc(r.Places, func(o container.Place) bool { return o.NetworkID == n.ID })
		if sandbox != nil && r.State.Live() {
			r.Network = e.describeNetwork(r, sandbox)
		}
	})
	if err := e.save(c); err != nil {
		return fault.Internal("%w", err)
	}
	if sandbox != nil {
		e.followNetworks(r, was, sandbox)
	}
	if before.State.Live() {
		e.endpointEvent(r, "disconnect", n.ID, n.Name)
	}
	return nil
}
