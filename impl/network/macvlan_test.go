package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// outside makes a device of the host's, parent, whose other end is in a namespace
// that is the network outside: a router with these addresses. It gives its path.
func outside(t *testing.T, parent string, addrs ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outside")
	must(t, netns.Create(path, bridge.Loopback))
	t.Cleanup(func() { must(t, netns.Remove(path)) })
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: parent}, PeerName: "uplink"}
	must(t, netlink.LinkAdd(link))
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	must(t, netlink.LinkSetUp(link))
	uplink, err := netlink.LinkByName("uplink")
	must(t, err)
	ns, err := os.Open(path)
	must(t, err)
	defer ns.Close()
	must(t, netlink.LinkSetNsFd(uplink, int(ns.Fd())))
	must(t, netns.Do(path, func() error {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/uplink/disable_ipv6", []byte("0"), 0); err != nil {
			return err
		}
		for _, text := range addrs {
			a, err := netlink.ParseAddr(text)
			if err != nil {
				return err
			}
			if a.IP.To4() == nil {
				a.Flags = unix.IFA_F_NODAD
			}
			if err := netlink.AddrAdd(uplink, a); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(uplink)
	}))
	return path
}

func macvlanSpec(name, parent string, ipam IPAM, options ...string) CreateSpec {
	spec := CreateSpec{Name: name, Driver: "macvlan", IPAM: ipam, Options: map[string]string{}}
	if parent != "" {
		spec.Options[optionParent] = parent
	}
	for _, o := range options {
		k, v, _ := strings.Cut(o, "=")
		spec.Options[k] = v
	}
	return spec
}

// TestMacvlan: containers that stand in the network of a host's device, of both
// families, with packets from and to what is beyond it.
func TestMacvlan(t *testing.T) {
	out := outside(t, "mvl0", "10.130.0.1/24", "fd00:130::1/64", "10.131.0.1/24")
	e := newEnv(t)
	spec := macvlanSpec("lan", "mvl0", dual("10.130.0.0/24", "fd00:130::/64"))
	spec.EnableIPv6 = true
	spec.IPAM.Config = append(spec.IPAM.Config, IPAMConfig{Subnet: netip.MustParsePrefix("10.131.0.0/24"), Gateway: mustAddr("10.131.0.1")})
	n := e.create(spec)
	if n.Driver != "macvlan" || len(n.IPAM.Config) != 3 || n.Options[optionParent] != "mvl0" {
		t.Errorf("network %+v", n)
	}
	on := func(id, four string) SandboxSpec {
		w := EndpointSpec{Network: "lan"}
		if four != "" {
			w.IPv4 = mustAddr(four)
		}
		// As in Docker Engine ports are published by none of these; two containers
		// may name the same one.
		return SandboxSpec{ContainerID: id, Mode: ModeBridge, Endpoints: []EndpointSpec{w}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}}
	}
	one, two, far := e.start(on("one", "")), e.start(on("two", "")), e.start(on("far", "10.131.0.9"))
	if ep := two.Endpoints[0]; ep.IPv4.String() != "10.130.0.3/24" || ep.IPv6.String() != "fd00:130::3/64" || ep.IPv4Gateway.String() != "10.130.0.1" ||
		ep.IPv6Gateway.String() != "fd00:130::1" || ep.Interface != "eth0" || len(two.Ports) != 0 {
		t.Errorf("sandbox %+v", two)
	}
	if ep := far.Endpoints[0]; ep.IPv4.String() != "10.131.0.9/24" || ep.IPv4Gateway.String() != "10.131.0.1" {
		t.Errorf("endpoint of the second pool %+v", ep)
	}
	answer(t, two, TCP, 80, "two")
	answer(t, two, UDP, 53, "two")
	answer(t, far, TCP, 80, "far")
	answer(t, &Sandbox{Key: out}, TCP, 7, "out")
	answer(t, &Sandbox{}, TCP, 9001, "host")
	six := two.Endpoints[0].IPv6.Addr()
	check := func(when string) {
		t.Helper()
		want(t, when+"neighbour", one.Key, TCP, at(addr(two), 80), "two")
		want(t, when+"neighbour by IPv6", one.Key, TCP, at(six, 80), "two")
		want(t, when+"outside", out, TCP, at(addr(two), 80), "two")
		want(t, when+"outside by UDP", out, UDP, at(addr(two), 53), "two")
		want(t, when+"outside by IPv6", out, TCP, at(six, 80), "two")
		want(t, when+"outside to the second pool", out, TCP, "10.131.0.9:80", "far")
		if from := want(t, when+"way out", one.Key, TCP, "10.130.0.1:7", "out"); from != addr(one).String() {
			t.Errorf("%sthe outside sees %s", when, from)
		}
		want(t, when+"by the default route", one.Key, TCP, "10.131.0.1:7", "out")
		refuse(t, when+"the host", "", TCP, at(addr(two), 80))
		refuse(t, when+"a port that is not published", "", TCP, "127.0.0.1:8080")
		refuse(t, when+"to the host", one.Key, TCP, at(hostAddr, 9001))
	}
	check("")
	e.crash()
	e.open()
	check("after restart: ")

	// A container of a bridge joins and leaves; its ports stay those of the bridge.
	web := e.start(SandboxSpec{ContainerID: "web", Mode: ModeBridge, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, web, TCP, 80, "web")
	joined, err := e.Connect(t.Context(), "web", EndpointSpec{Network: "lan"})
	must(t, err)
	want(t, "outside to a container of two networks", out, TCP, at(joined.Endpoints[1].IPv4.Addr(), 80), "web")
	want(t, "published port", "", TCP, "127.0.0.1:8080", "web")
	left, err := e.Disconnect(t.Context(), "web", "lan")
	must(t, err)
	must(t, netns.Do(web.Key, func() error {
		if bridge.Exists("eth1") || len(left.Endpoints) != 1 {
			t.Errorf("after leaving: %+v", left.Endpoints)
		}
		return nil
	}))
	refuse(t, "outside to one that left", out, TCP, at(joined.Endpoints[1].IPv4.Addr(), 80))

	// The address, and with it the hardware address, at once again.
	for range 3 {
		e.release("two")
		two = e.start(on("two", "10.130.0.3"))
		answer(t, two, TCP, 80, "again")
		want(t, "outside to the same address", out, TCP, "10.130.0.3:80", "again")
	}
	if _, err := e.RemoveNetwork(t.Context(), "lan"); !errdefs.IsConflict(err) {
		t.Errorf("removal in use: %v", err)
	}
	for _, id := range []string{"one", "two", "far", "web"} {
		e.release(id)
	}
	_, err = e.RemoveNetwork(t.Context(), "lan")
	must(t, err)
	e.settle()
	if c := e.census(); c != (census{addresses: 3}) {
		t.Errorf("left: %+v", c)
	}
	if !bridge.Exists("mvl0") {
		t.Error("the host has lost its device")
	}
}

// TestMacvlanModes: who reaches whom in the other modes, and a network that has
// no parent.
func TestMacvlanModes(t *testing.T) {
	out := outside(t, "mvl0", "10.130.0.1/24")
	e := newEnv(t)
	pair := func(name string) (one, two *Sandbox) {
		one = e.start(SandboxSpec{ContainerID: "one", Endpoints: []EndpointSpec{{Network: name}}})
		two = e.start(SandboxSpec{ContainerID: "two", Endpoints: []EndpointSpec{{Network: name}}})
		answer(t, two, TCP, 80, "two")
		return one, two
	}
	end := func(name string) {
		for _, id := range []string{"one", "two"} {
			e.release(id)
		}
		_, err := e.RemoveNetwork(t.Context(), name)
		must(t, err)
	}
	for _, mode := range []string{"private", "vepa"} { // no switch outside sends frames back
		e.create(macvlanSpec(mode, "mvl0", pool("10.130.0.0/24"), optionMode+"="+mode))
		one, two := pair(mode)
		refuse(t, mode+": neighbour", one.Key, TCP, at(addr(two), 80))
		want(t, mode+": outside", out, TCP, at(addr(two), 80), "two")
		end(mode)
	}
	e.create(macvlanSpec("passthru", "mvl0", pool("10.130.0.0/24"), optionMode+"=passthru"))
	s := e.start(SandboxSpec{ContainerID: "one", Endpoints: []EndpointSpec{{Network: "passthru"}}})
	answer(t, s, TCP, 80, "one")
	want(t, "passthru: outside", out, TCP, at(addr(s), 80), "one")
	if _, err := e.NewSandbox(t.Context(), SandboxSpec{ContainerID: "two", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "passthru"}}}); !errdefs.IsInternal(err) {
		t.Errorf("a second container of a parent in passthru mode: %v", err)
	}
	end("passthru")

	for _, internal := range []bool{true, false} {
		spec := macvlanSpec("alone", "", pool("10.132.0.0/24"))
		spec.Internal = internal
		n := e.create(spec)
		one, two := pair("alone")
		if one.Endpoints[0].IPv4Gateway.IsValid() {
			t.Errorf("nobody is at %s", one.Endpoints[0].IPv4Gateway)
		}
		want(t, "neighbour", one.Key, TCP, at(addr(two), 80), "two")
		refuse(t, "host", "", TCP, at(addr(two), 80))
		e.release("one")
		e.release("two")
		parent := "dm-" + n.ID[:12]
		run(t, "ip", "link", "del", parent) // as a reboot
		e.crash()
		e.open()
		one, two = pair("alone")
		want(t, "neighbour after a reboot", one.Key, TCP, at(addr(two), 80), "two")
		end("alone")
		if bridge.Exists(parent) || bridge.Exists("dp-"+n.ID[:12]) {
			t.Errorf("the device %s is left", parent)
		}
	}
}

// TestMacvlanRefusals, and that nothing stays of them.
func TestMacvlanRefusals(t *testing.T) {
	outside(t, "mvl0", "10.130.0.1/24")
	e := newEnv(t)
	e.create(macvlanSpec("taken", "mvl0", pool("10.130.0.0/24")))
	before := run(t, "ip", "-o", "link")
	for _, c := range []struct {
		spec CreateSpec
		is   func(error) bool
		text string
	}{
		{macvlanSpec("x", "mvl0", pool("10.133.0.0/24")), errdefs.IsConflict, "network taken is already using parent interface mvl0"},
		{macvlanSpec("x", "outer", pool("10.130.0.0/25")), errdefs.IsConflict, "Pool overlaps"},
		{macvlanSpec("x", "lo", pool("10.133.0.0/24")), errdefs.IsInvalidArgument, "loopback interface is not a valid macvlan parent link"},
		{macvlanSpec("x", "nosuch", pool("10.133.0.0/24")), errdefs.IsInvalidArgument, "parent interface nosuch was not found on the host"},
		{macvlanSpec("x", "nosuch.10", pool("10.133.0.0/24")), errdefs.IsInvalidArgument, "nor nosuch to make its VLAN 10"},
		{macvlanSpec("x", "outer.4095", pool("10.133.0.0/24")), errdefs.IsInvalidArgument, "was not found on the host"},
		{macvlanSpec("x", "a/b", pool("10.133.0.0/24")), errdefs.IsInvalidArgument, "invalid value"},
		{macvlanSpec("x", "outer", pool("10.133.0.0/24"), optionMode+"=strange"), errdefs.IsInvalidArgument, "requested macvlan mode 'strange' is not valid"},
		{macvlanSpec("x", "outer", pool("10.133.0.0/24"), optionMTU+"=9"), errdefs.IsInvalidArgument, "invalid value"},
		{macvlanSpec("x", "outer", IPAM{Config: append(pool("10.133.0.0/24").Config, pool("10.133.0.0/25").Config...)}), errdefs.IsConflict, "Pool overlaps"},
	} {
		if _, err := e.CreateNetwork(t.Context(), c.spec); !c.is(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v", c.spec, err)
		}
	}
	if after := run(t, "ip", "-o", "link"); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	// A VLAN of a device is made where the kernel has VLANs.
	n, err := e.CreateNetwork(t.Context(), macvlanSpec("vlan", "mvl0.10", pool("10.134.0.0/24")))
	if errdefs.IsUnavailable(err) {
		if !strings.Contains(err.Error(), "kernel has no VLANs") {
			t.Errorf("without VLANs: %v", err)
		}
		return
	}
	must(t, err)
	if !bridge.Exists("mvl0.10") {
		t.Error("no VLAN was made")
	}
	_, err = e.RemoveNetwork(t.Context(), n.ID)
	must(t, err)
	if bridge.Exists("mvl0.10") {
		t.Error("the VLAN is left")
	}
}
