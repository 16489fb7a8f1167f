package network

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
)

func (e *env) create(spec CreateSpec) Network {
	e.t.Helper()
	n, err := e.CreateNetwork(context.Background(), spec)
	if err != nil {
		e.t.Fatalf("create network %s: %v", spec.Name, err)
	}
	e.t.Cleanup(func() {
		if e.Manager == nil {
			return
		}
		if _, err := e.RemoveNetwork(context.Background(), n.ID); err != nil && !errdefs.IsNotFound(err) {
			e.t.Errorf("remove network %s: %v", n.Name, err)
		}
	})
	return n
}

func pool(subnet string) IPAM {
	return IPAM{Config: []IPAMConfig{{Subnet: netip.MustParsePrefix(subnet)}}}
}

// TestUserDefined: two networks, with packets within and not between them.
func TestUserDefined(t *testing.T) {
	e := newEnv(t)
	red := e.create(CreateSpec{Name: "red", Labels: map[string]string{"a": "b"}})
	blue := e.create(CreateSpec{Name: "blue", IPAM: IPAM{Config: []IPAMConfig{{
		Subnet: netip.MustParsePrefix("10.55.0.0/16"), IPRange: netip.MustParsePrefix("10.55.7.0/24"),
		Gateway: mustAddr("10.55.0.9"), AuxAddresses: map[string]netip.Addr{"router": mustAddr("10.55.7.1")}}}}})
	if !red.IPAM.Config[0].Chosen || red.IPAM.Config[0].Subnet.String() != "172.18.0.0/16" || red.Labels["a"] != "b" || red.Predefined {
		t.Errorf("red %+v", red)
	}
	on := func(id, network string) *Sandbox {
		return e.start(SandboxSpec{ContainerID: id, Endpoints: []EndpointSpec{{Network: network}},
			Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}}})
	}
	r1, r2, b1 := on("r1", "red"), on("r2", red.ID[:8]), on("b1", "blue")
	if got := fmt.Sprint(r1.Endpoints[0].IPv4, " ", b1.Endpoints[0].IPv4, " ", b1.Endpoints[0].IPv4Gateway); got != "172.18.0.2/16 10.55.7.0/16 10.55.0.9" {
		t.Errorf("addresses %s", got)
	}
	for name, s := range map[string]*Sandbox{"r1": r1, "r2": r2, "b1": b1} {
		answer(t, s, TCP, 80, name)
		answer(t, s, TCP, 81, name)
	}
	check := func(when string) {
		t.Helper()
		want(t, when+"neighbour", r1.Key, TCP, at(addr(r2), 81), "r2")
		refuse(t, when+"other network", r1.Key, TCP, at(addr(b1), 81))
		refuse(t, when+"other network", b1.Key, TCP, at(addr(r1), 81))
		refuse(t, when+"other network's published port inside", r1.Key, TCP, at(addr(b1), 80))
		want(t, when+"other network by published port", r1.Key, TCP, at(hostAddr, int(b1.Ports[0].HostPort)), "b1")
		want(t, when+"host", "", TCP, at("127.0.0.1", int(r2.Ports[0].HostPort)), "r2")
	}
	check("")
	e.crash()
	e.open()
	check("after restart: ")
	again, err := e.Network("blue")
	must(t, err)
	if again.ID != blue.ID || fmt.Sprint(again.IPAM) != fmt.Sprint(blue.IPAM) || len(again.Endpoints) != 1 {
		t.Errorf("blue after restart %+v\nbefore %+v", again, blue)
	}
	if _, err := e.RemoveNetwork(context.Background(), "red"); !errdefs.IsConflict(err) || err.Error() != "network red has active endpoints" {
		t.Errorf("remove network in use: %v", err)
	}
	for _, id := range []string{"r1", "r2", "b1"} {
		e.release(id)
	}
	for _, n := range []Network{red, blue} {
		if _, err := e.RemoveNetwork(context.Background(), n.Name); err != nil {
			t.Error(err)
		}
	}
	e.crash()
	e.open()
	if n := len(e.Networks()); n != 3 {
		t.Errorf("%d networks after removal", n)
	}
	links, err := netlink.LinkList()
	must(t, err)
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, devicePrefix) {
			t.Errorf("bridge %s is left", l.Attrs().Name)
		}
	}
}

// TestConnect moves a running container between networks.
func TestConnect(t *testing.T) {
	ctx := context.Background()
	e := newEnv(t)
	e.create(CreateSpec{Name: "red"})
	e.create(CreateSpec{Name: "back", Internal: true, IPAM: pool("10.66.0.0/24")})
	s := e.start(SandboxSpec{ContainerID: "c", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, s, TCP, 80, "c")
	neighbour := e.start(SandboxSpec{ContainerID: "n", Endpoints: []EndpointSpec{{Network: "red"}}})
	inner := e.start(SandboxSpec{ContainerID: "i", Endpoints: []EndpointSpec{{Network: "back"}}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8088}}})
	answer(t, inner, TCP, 80, "i")
	answer(t, &Sandbox{}, TCP, 9000, "host")

	two, err := e.Connect(ctx, "c", EndpointSpec{Network: "red", Aliases: []string{"web"}})
	must(t, err)
	three, err := e.Connect(ctx, "c", EndpointSpec{Network: "back", IPv4: mustAddr("10.66.0.77")})
	must(t, err)
	if len(three.Endpoints) != 3 || three.Endpoints[1].Interface != "eth1" || three.Endpoints[2].IPv4.String() != "10.66.0.77/24" || two.Endpoints[1].Aliases[0] != "web" {
		t.Errorf("connected %+v", three)
	}
	want(t, "neighbour in red", neighbour.Key, TCP, at(two.Endpoints[1].IPv4.Addr(), 80), "c")
	want(t, "neighbour in back", inner.Key, TCP, "10.66.0.77:80", "c")
	want(t, "to the internal network", s.Key, TCP, at(addr(inner), 80), "i")
	refuse(t, "internal to published port", inner.Key, TCP, hostAddr+":8080")
	refuse(t, "host to a port of an internal network", "", TCP, "127.0.0.1:8088")

	for _, c := range []struct {
		spec EndpointSpec
		id   string
		is   func(error) bool
	}{
		{EndpointSpec{Network: "red"}, "c", errdefs.IsConflict},
		{EndpointSpec{Network: "nope"}, "c", errdefs.IsNotFound},
		{EndpointSpec{Network: "red"}, "nobody", errdefs.IsNotFound},
		{EndpointSpec{Network: "back", IPv4: mustAddr("10.66.0.77")}, "n", errdefs.IsConflict},
		{EndpointSpec{Network: "bridge", IPv4: mustAddr("10.66.0.77")}, "n", errdefs.IsInvalidArgument},
	} {
		if _, err := e.Connect(ctx, c.id, c.spec); !c.is(err) {
			t.Errorf("connect %s to %+v: %v", c.id, c.spec, err)
		}
	}

	e.crash()
	e.open()
	one, err := e.Disconnect(ctx, "c", "bridge")
	must(t, err)
	if len(one.Endpoints) != 2 || one.Endpoints[0].NetworkName != "red" {
		t.Errorf("disconnected %+v", one)
	}
	want(t, "published port after the first network went", "", TCP, "127.0.0.1:8080", "c")
	want(t, "way out after the first network went", s.Key, TCP, hostAddr+":9000", "host")
	if _, err := e.Disconnect(ctx, "c", "bridge"); !errdefs.IsNotFound(err) {
		t.Errorf("disconnected twice: %v", err)
	}
	for _, n := range []string{"red", "back"} {
		if _, err := e.Disconnect(ctx, "c", n); err != nil {
			t.Error(err)
		}
	}
	refuse(t, "published port of a container without networks", "", TCP, "127.0.0.1:8080")
	if _, err = e.Connect(ctx, "c", EndpointSpec{Network: "bridge"}); err != nil {
		t.Error(err)
	}
	want(t, "published port after connecting again", "", TCP, "127.0.0.1:8080", "c")
	for _, id := range []string{"c", "n", "i"} {
		e.release(id)
	}
	e.settle()
	if c := e.census(); c.veths != 0 || c.published != 0 || c.held != 0 || c.mounts != 0 || c.states != 0 {
		t.Errorf("after all were released: %+v", c)
	}
}

func TestCreateRefusals(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "taken", EnableIPv6: true, IPAM: IPAM{Config: append(pool("10.44.0.0/16").Config, pool("fd00:44::/64").Config...)}})
	six := func(subnets ...string) CreateSpec {
		s := CreateSpec{Name: "x", EnableIPv6: true}
		for _, subnet := range subnets {
			s.IPAM.Config = append(s.IPAM.Config, pool(subnet).Config...)
		}
		return s
	}
	option := func(k, v string) CreateSpec { return CreateSpec{Name: "x", Options: map[string]string{k: v}} }
	for _, c := range []struct {
		spec CreateSpec
		is   func(error) bool
		text string
	}{
		{CreateSpec{Name: "taken"}, errdefs.IsConflict, "network with name taken already exists"},
		{CreateSpec{Name: "bridge"}, errdefs.IsPermissionDenied, "bridge is a pre-defined network and cannot be created"},
		{CreateSpec{}, errdefs.IsInvalidArgument, "network name cannot be empty"},
		{CreateSpec{Name: "x", Driver: "nope"}, errdefs.IsNotFound, `network plugin "nope" not found`},
		{CreateSpec{Name: "x", Driver: "host"}, errdefs.IsPermissionDenied, `only one instance of "host" network is allowed`},
		{CreateSpec{Name: "x", IPAM: IPAM{Driver: "nope"}}, errdefs.IsNotFound, `IPAM plugin "nope" not found`},
		{CreateSpec{Name: "x", IPAM: pool("10.44.3.0/24")}, errdefs.IsConflict, "Pool overlaps with other one on this address space"},
		{CreateSpec{Name: "x", IPAM: pool("10.43.0.0/31")}, errdefs.IsInvalidArgument, ""},
		{CreateSpec{Name: "x", EnableIPv6: true}, errdefs.IsInvalidArgument, ""},
		{six("fe80::/64"), errdefs.IsInvalidArgument, ""},
		{six("ff05::/64"), errdefs.IsInvalidArgument, ""},
		{six("fd00:43::/127"), errdefs.IsInvalidArgument, ""},
		{six("::ffff:10.43.0.0/112"), errdefs.IsInvalidArgument, ""},
		{six("fd00:43::/64", "fd00:45::/64"), errdefs.IsInvalidArgument, ""},
		{six("fd00:44:0:0:1::/80"), errdefs.IsConflict, "Pool overlaps with other one on this address space"},
		{CreateSpec{Name: "x", IPAM: IPAM{Config: append(pool("10.41.0.0/24").Config, pool("10.42.0.0/24").Config...)}}, errdefs.IsInvalidArgument, ""},
		{CreateSpec{Name: "x", IPAM: IPAM{Config: []IPAMConfig{{Subnet: netip.MustParsePrefix("10.43.0.0/24"), Gateway: mustAddr("10.42.0.1")}}}}, errdefs.IsInvalidArgument, ""},
		{CreateSpec{Name: "x", IPAM: IPAM{Config: []IPAMConfig{{Gateway: mustAddr("10.42.0.1")}}}}, errdefs.IsInvalidArgument, ""},
		{option(optionICC, "perhaps"), errdefs.IsInvalidArgument, ""},
		{option(optionDefaultBridge, "perhaps"), errdefs.IsInvalidArgument, ""},
		{option(optionDefaultBridge, "true"), errdefs.IsConflict, "bridge name berthtest0 is already in use"},
		{option(optionMTU, "9"), errdefs.IsInvalidArgument, ""},
		{option(optionDevice, "a/b"), errdefs.IsInvalidArgument, ""},
		{option(optionDevice, "outer"), errdefs.IsConflict, ""},
		{option(optionHostIP, "here"), errdefs.IsInvalidArgument, ""},
	} {
		_, err := e.CreateNetwork(context.Background(), c.spec)
		if !c.is(err) || (c.text != "" && err.Error() != c.text) {
			t.Errorf("%+v: %v", c.spec, err)
		}
	}
	if n := len(e.Networks()); n != 4 {
		t.Errorf("%d networks", n)
	}
	for _, name := range []string{"bridge", "host", "none"} {
		if _, err := e.RemoveNetwork(context.Background(), name); !errdefs.IsPermissionDenied(err) || err.Error() != name+" is a pre-defined network and cannot be removed" {
			t.Errorf("remove %s: %v", name, err)
		}
	}
}

// TestManyNetworks makes, uses and removes networks from many sides at once.
func TestManyNetworks(t *testing.T) {
	ctx := context.Background()
	e := newEnv(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint("net", i)
			for range 3 {
				n, err := e.CreateNetwork(ctx, CreateSpec{Name: name})
				if err != nil {
					t.Error(err)
					return
				}
				id := "c" + name
				if _, err := e.NewSandbox(ctx, SandboxSpec{ContainerID: id, Mode: ModeBridge}); err != nil {
					t.Error(err)
				}
				if _, err := e.Connect(ctx, id, EndpointSpec{Network: name}); err != nil {
					t.Error(err)
				}
				if _, err := e.Disconnect(ctx, id, "bridge"); err != nil {
					t.Error(err)
				}
				if err := e.Release(ctx, id); err != nil {
					t.Error(err)
				}
				if _, err := e.RemoveNetwork(ctx, n.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e.settle()
	if n, c := len(e.Networks()), e.census(); n != 3 || c.veths != 0 || c.mounts != 0 {
		t.Errorf("%d networks, %+v", n, c)
	}
}

// TestFindByIDFirst: a network that is called like another one's id, or like the
// beginning of it, does not take its place where the id is used.
func TestFindByIDFirst(t *testing.T) {
	const id, other = "aaaa000011112222", "bbbb"
	m := &Manager{networks: map[string]*network{
		id:    {def: definition{ID: id, Name: "victim"}},
		other: {def: definition{ID: other, Name: id}},
		"cc":  {def: definition{ID: "cc", Name: "aaaa"}},
	}}
	for by, want := range map[string]string{id: id, "victim": id, "aaaa0": id, "aaaa": "cc", "bb": other} {
		if n, err := m.find(by); err != nil || n.def.ID != want {
			t.Errorf("%s: %v %v, wanted %s", by, n, err, want)
		}
	}
}
