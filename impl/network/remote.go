package network

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/ipam"
	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// Plugins find the network plugins; *plugin.Registry does.
type Plugins interface {
	Get(ctx context.Context, name, protocol string) (*plugin.Plugin, error)
	All(ctx context.Context, protocol string) ([]*plugin.Plugin, []plugin.Failed)
}

const (
	// leavePatience is how long a plugin may take to let go of an endpoint.
	leavePatience = 15 * time.Second
	// optionGeneric is where Docker Engine puts the options of the network.
	optionGeneric = "com.docker.network.generic"
	optionIPv6    = "com.docker.network.enable_ipv6"
	optionInner   = "com.docker.network.internal"
)

// remote is a network driver that is a plugin (protocol NetworkDriver). The
// plugin is looked up at each call: it need not run at the engine's start.
type remote struct {
	plugins Plugins
	name    string
}

func (d remote) call(ctx context.Context, method string, in, out any) error {
	if d.plugins == nil {
		return fault.NotFound("network plugin %q not found", d.name)
	}
	p, err := d.plugins.Get(ctx, d.name, plugin.NetworkDriver)
	if errdefs.IsNotFound(err) {
		return fault.NotFound("network plugin %q not found", d.name)
	}
	if err != nil {
		return err
	}
	return p.Call(ctx, plugin.NetworkDriver+"."+method, in, out)
}

func (d remote) wrong(method, format string, args ...any) error {
	return fault.Internal("plugin %s: %s.%s "+format, append([]any{d.name, plugin.NetworkDriver, method}, args...)...)
}

type addressData struct {
	AddressSpace string
	Pool         string
	Gateway      string            `json:",omitempty"`
	AuxAddresses map[string]string `json:",omitempty"`
}

// create has the plugin make a network.
func (d remote) create(ctx context.Context, n *network) error {
	var can struct{ Scope string }
	if err := d.call(ctx, "GetCapabilities", nil, &can); err != nil {
		return err
	}
	if can.Scope == "global" {
		return fault.Invalid("network plugin %s is for clusters (scope global), which this engine does not form", d.name)
	}
	pools, err := n.def.pools()
	if err != nil {
		return err
	}
	data := map[bool][]addressData{false: {}, true: {}}
	for _, p := range pools {
		a := addressData{AddressSpace: cmp.Or(n.addressSpace, "LocalDefault"), Pool: p.subnet().String(), Gateway: p.Gateway.String()}
		for name, addr := range p.Aux {
			if a.AuxAddresses == nil {
				a.AuxAddresses = map[string]string{}
			}
			a.AuxAddresses[name] = netip.PrefixFrom(addr, p.Gateway.Bits()).String()
		}
		six := p.Gateway.Addr().Is6()
		data[six] = append(data[six], a)
	}
	options := n.def.Options
	if options == nil {
		options = map[string]string{}
	}
	return d.call(ctx, "CreateNetwork", map[string]any{
		"NetworkID": n.def.ID, "IPv4Data": data[false], "IPv6Data": data[true],
		"Options": map[string]any{optionGeneric: options, optionIPv6: len(data[true]) > 0, optionInner: n.def.Internal},
	}, nil)
}

func (d remote) delete(ctx context.Context, networkID string) error {
	return d.call(ctx, "DeleteNetwork", map[string]string{"NetworkID": networkID}, nil)
}

type place struct{ NetworkID, EndpointID string }

// createEndpoint has the plugin make an endpoint with our addresses. The
// hardware address is the plugin's, unless one was asked for or it says none.
func (d remote) createEndpoint(ctx context.Context, e *Endpoint) error {
	type iface struct{ Address, AddressIPv6, MacAddress string }
	var answer struct{ Interface *iface }
	err := d.call(ctx, "CreateEndpoint", map[string]any{
		"NetworkID": e.NetworkID, "EndpointID": e.EndpointID, "Options": map[string]any{},
		"Interface": iface{Address: e.IPv4.String(), AddressIPv6: text(e.IPv6), MacAddress: e.MAC.String()},
	}, &answer)
	if err != nil {
		return err
	}
	// The protocol forbids to answer what was asked for with something else.
	if i := answer.Interface; i != nil {
		if i.Address != "" || i.AddressIPv6 != "" || i.MacAddress != "" && len(e.MAC) > 0 {
			return d.wrong("CreateEndpoint", "changes the address %s to %s %s %s", e.IPv4, i.Address, i.AddressIPv6, i.MacAddress)
		}
		if i.MacAddress != "" {
			if err := e.MAC.UnmarshalText([]byte(i.MacAddress)); err != nil || len(e.MAC) != 6 || e.MAC[0]&1 != 0 {
				return d.wrong("CreateEndpoint", "gives the hardware address %q", i.MacAddress)
			}
		}
	}
	if len(e.MAC) == 0 {
		e.MAC, err = ipam.MAC(e.IPv4.Addr())
	}
	return err
}

func (d remote) deleteEndpoint(ctx context.Context, e Endpoint) error {
	return d.call(ctx, "DeleteEndpoint", place{e.NetworkID, e.EndpointID}, nil)
}

func (d remote) leave(ctx context.Context, e Endpoint) error {
	return d.call(ctx, "Leave", place{e.NetworkID, e.EndpointID}, nil)
}

// joined is what a plugin says of an interface to take into a sandbox.
type joined struct {
	device, prefix    string
	gateway, gateway6 netip.Addr
	routes            []bridge.StaticRoute
}

// join has the plugin make the interface of an endpoint and checks the answer.
func (d remote) join(ctx context.Context, key string, e Endpoint) (j joined, err error) {
	var answer struct {
		InterfaceName struct{ SrcName, DstPrefix string }
		Gateway       string
		GatewayIPv6   string
		StaticRoutes  []struct {
			Destination string
			RouteType   int
			NextHop     string
		}
	}
	err = d.call(ctx, "Join", map[string]any{"NetworkID": e.NetworkID, "EndpointID": e.EndpointID, "SandboxKey": key,
		"Options": map[string]any{}}, &answer)
	if err != nil {
		return j, err
	}
	j.device, j.prefix = answer.InterfaceName.SrcName, answer.InterfaceName.DstPrefix
	if !validDevice(j.device) || !validDevice(j.prefix) || len(j.prefix) > maxDeviceName-3 {
		return j, d.wrong("Join", "gives the interface %q to be named %q…", j.device, j.prefix)
	}
	if answer.Gateway != "" {
		if j.gateway, err = netip.ParseAddr(answer.Gateway); err != nil || !e.IPv4.Contains(j.gateway) {
			return j, d.wrong("Join", "gives the gateway %q for %s", answer.Gateway, e.IPv4)
		}
	}
	if answer.GatewayIPv6 != "" {
		j.gateway6, err = netip.ParseAddr(answer.GatewayIPv6)
		if err != nil || !e.IPv6.Contains(j.gateway6) && !j.gateway6.IsLinkLocalUnicast() || !e.IPv6.IsValid() {
			return j, d.wrong("Join", "gives the gateway %q for %s", answer.GatewayIPv6, e.IPv6)
		}
	}
	for _, r := range answer.StaticRoutes {
		to, err := netip.ParsePrefix(r.Destination)
		if err != nil || to.Addr().Is6() && !e.IPv6.IsValid() || to.Addr().Is4In6() {
			return j, d.wrong("Join", "gives a route to %q", r.Destination)
		}
		s := bridge.StaticRoute{To: to.Masked()}
		if r.RouteType == 0 { // by a next hop; 1 is connected
			if s.By, err = netip.ParseAddr(r.NextHop); err != nil || s.By.Is4() != to.Addr().Is4() {
				return j, d.wrong("Join", "gives a route to %s by %q", to, r.NextHop)
			}
		}
		j.routes = append(j.routes, s)
	}
	return j, nil
}

// enter brings an endpoint of a plugin's network, which has its place, into the
// sandbox, whose namespace exists. i is its index among the endpoints.
func (m *Manager) enter(ctx context.Context, s *Sandbox, i int, n *network, owed *debt, undo *undoStack) error {
	e := s.Endpoints[i]
	e.Interface = "" // the plugin has a say
	untell := func(call func(context.Context, Endpoint) error) {
		undo.push(func() error {
			err := briefly(ctx, e, call)
			owed.stuck = owed.stuck || err != nil && !plugin.Answered(err)
			return err
		})
	}
	err := n.remote.createEndpoint(ctx, &e)
	if !plugin.Undone(err) {
		untell(n.remote.deleteEndpoint)
	}
	if err != nil {
		return err
	}
	j, err := n.remote.join(ctx, s.Key, e)
	if !plugin.Undone(err) {
		untell(n.remote.leave)
	}
	if err != nil {
		return err
	}
	for k := 0; e.Interface == ""; k++ {
		name := j.prefix + strconv.Itoa(k)
		if !slices.ContainsFunc(s.Endpoints, func(o Endpoint) bool { return o.EndpointID != e.EndpointID && o.Interface == name }) {
			e.Interface = name
		}
	}
	if !n.def.Internal {
		e.IPv4Gateway, e.IPv6Gateway = j.gateway, j.gateway6
	}
	e.Source = j.device
	owed.Endpoint = &e
	if err := m.write(owed); err != nil {
		return err
	}
	if err := bridge.Lend(j.device, s.Key); err != nil {
		return fault.Internal("plugin %s: take the interface %q: %w", n.remote.name, j.device, err)
	}
	// Not before: the name may be that of another interface of the container.
	undo.push(func() error { return m.giveBack(s.Key, e) })
	err = netns.Do(s.Key, func() error {
		return bridge.Furnish(j.device, e.port(false, false), j.routes)
	})
	if err != nil {
		return fault.Internal("plugin %s: set the interface %q up: %w", n.remote.name, j.device, err)
	}
	s.Endpoints[i] = e
	return nil
}

// Drivers gives the plugins that keep networks and can be had soon.
func (m *Manager) Drivers(ctx context.Context) []string {
	if m.opts.Plugins == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	plugins, _ := m.opts.Plugins.All(ctx, plugin.NetworkDriver)
	var names []string
	for _, p := range plugins {
		names = append(names, p.Name())
	}
	return names
}

// giveBack returns a plugin's interface under its own name to the host.
func (m *Manager) giveBack(key string, e Endpoint) error {
	host, err := netns.Own()
	if err != nil {
		return err
	}
	defer host.Close()
	return netns.Do(key, func() error { return bridge.GiveBack(e.Interface, e.Source, host) })
}

// briefly makes a call that takes something back, also when ctx is over.
func briefly[T any](ctx context.Context, what T, call func(context.Context, T) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
	defer cancel()
	return call(ctx, what)
}

// nameFree needs m.changes.
func (m *Manager) nameFree(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.networks {
		if other.def.Name == name {
			return fault.Conflict("network with name %s already exists", name)
		}
	}
	return nil
}
