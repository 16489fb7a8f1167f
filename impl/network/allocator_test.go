package network

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// newBooksEnv is an env beside an IPAM plugin, named books.
func newBooksEnv(t *testing.T) (*env, *plugin.Process, string) {
	dir := pluginDir(t)
	return newEnv(t, withPlugins(dir)), startPlugin(t, dir, "address", "books"), dir
}

// outIs waits until the IPAM plugin has as many pools and addresses out.
func outIs(t *testing.T, p *plugin.Process, n int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); p.Out() != fmt.Sprint(n); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the plugin has %s pools and addresses out, not %d: %q", p.Out(), n, p.Calls())
		}
	}
}

// TestIPAMPlugin is the life of a bridge whose addresses a plugin gives, of both
// families, over a restart of the engine.
func TestIPAMPlugin(t *testing.T) {
	e, p, _ := newBooksEnv(t)
	n := e.create(CreateSpec{Name: "kept", EnableIPv6: true, IPAM: IPAM{Driver: "books", Options: map[string]string{"colour": "red"}}})
	if n.IPAM.Driver != "books" || n.Driver != "bridge" || len(n.IPAM.Config) != 2 || n.IPAM.Config[0].Subnet.String() != "10.120.1.0/24" ||
		n.IPAM.Config[1].Subnet.String() != "fd00:120:1::/64" || !n.EnableIPv6 {
		t.Errorf("network %+v", n)
	}
	// The host's own subnet is held until there is another one, then given back.
	calls := strings.Join(p.Calls(), "\n")
	for _, call := range []string{"RequestPool here   false map[colour:red]\nRequestPool here   false map[colour:red]\n",
		"RequestPool here   true map[colour:red]", "ReleasePool pool-" + plugin.Taken,
		"RequestAddress pool-10.120.1.0/24  map[RequestAddressType:com.docker.network.gateway]"} {
		if !strings.Contains(calls, call) {
			t.Errorf("not asked: %q in\n%s", call, calls)
		}
	}
	outIs(t, p, 4) // two pools with a gateway each
	on := func(id, four string) SandboxSpec {
		w := EndpointSpec{Network: "kept"}
		if four != "" {
			w.IPv4 = mustAddr(four)
		}
		return SandboxSpec{ContainerID: id, Mode: ModeBridge, Endpoints: []EndpointSpec{w}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}}}
	}
	one, two := e.start(on("one", "")), e.start(on("two", ""))
	if ep := two.Endpoints[0]; ep.IPv4.String() != "10.120.1.3/24" || ep.IPv6.String() != "fd00:120:1::3/64" || ep.IPv4Gateway.String() != "10.120.1.1" {
		t.Errorf("endpoint %+v", ep)
	}
	answer(t, two, TCP, 80, "two")
	want(t, "neighbour", one.Key, TCP, at(addr(two), 80), "two")
	want(t, "neighbour by IPv6", one.Key, TCP, at(two.Endpoints[0].IPv6.Addr(), 80), "two")
	want(t, "host", "", TCP, at("127.0.0.1", int(two.Ports[0].HostPort)), "two")
	outIs(t, p, 8)
	// A network that the plugin chose takes no wishes; see below for one that was given.
	if _, err := e.NewSandbox(t.Context(), on("three", "10.120.1.77")); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a wish in a chosen pool: %v", err)
	}
	e.crash()
	e.open()
	if again, err := e.Network("kept"); err != nil || fmt.Sprint(again.IPAM) != fmt.Sprint(n.IPAM) {
		t.Errorf("after restart %+v, %v", again, err)
	}
	e.release("one")
	outIs(t, p, 6)
	if s := e.start(on("three", "")); addr(s) != addr(one) {
		t.Errorf("the plugin's next address is %s, the container has %s", addr(one), addr(s))
	}
	if _, err := e.RemoveNetwork(t.Context(), "kept"); !errdefs.IsConflict(err) {
		t.Errorf("removal in use: %v", err)
	}
	e.release("two")
	e.release("three")
	_, err := e.RemoveNetwork(t.Context(), "kept")
	must(t, err)
	outIs(t, p, 0)

	given := IPAM{Driver: "books", Config: []IPAMConfig{{Subnet: netip.MustParsePrefix("10.121.0.0/24"), IPRange: netip.MustParsePrefix("10.121.0.128/25"),
		Gateway: mustAddr("10.121.0.9"), AuxAddresses: map[string]netip.Addr{"router": mustAddr("10.121.0.10")}}}}
	n = e.create(CreateSpec{Name: "given", IPAM: given})
	if fmt.Sprint(n.IPAM) != fmt.Sprint(IPAM{"books", map[string]string{}, given.Config}) && fmt.Sprint(n.IPAM.Config) != fmt.Sprint(given.Config) {
		t.Errorf("network %+v", n)
	}
	outIs(t, p, 3)
	spec := SandboxSpec{ContainerID: "fixed", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "given", IPv4: mustAddr("10.121.0.77")}}}
	for range 3 { // at once: the address rests until the plugin has it back
		if s := e.start(spec); s.Endpoints[0].IPv4.String() != "10.121.0.77/24" || s.Endpoints[0].IPv4Gateway.String() != "10.121.0.9" {
			t.Errorf("endpoint %+v", s.Endpoints[0])
		}
		other := spec
		other.ContainerID = "other"
		if _, err := e.NewSandbox(t.Context(), other); !errdefs.IsConflict(err) {
			t.Errorf("a taken address: %v", err)
		}
		e.release("fixed")
	}
	if _, err := e.CreateNetwork(t.Context(), CreateSpec{Name: "x", IPAM: IPAM{Driver: "nosuch"}}); !errdefs.IsNotFound(err) || err.Error() != `IPAM plugin "nosuch" not found` {
		t.Errorf("no such plugin: %v", err)
	}
	_, err = e.RemoveNetwork(t.Context(), "given")
	must(t, err)
	outIs(t, p, 0)
}

// TestBadIPAMPlugin has an IPAM plugin fail, hang, lie and die: what it harms is
// its own, and what failed leaves nothing.
func TestBadIPAMPlugin(t *testing.T) {
	e, p, _ := newBooksEnv(t)
	make := func() error {
		_, err := e.CreateNetwork(t.Context(), CreateSpec{Name: "bad", IPAM: IPAM{Driver: "books"}})
		return err
	}
	for _, c := range []struct{ method, how, text string }{
		{"RequestPool", "fail", "RequestPool fails as told"},
		{"RequestPool", "hang", "no answer within"},
		{"RequestPool", "lie", "has no room"},
		{"RequestAddress", "fail", "RequestAddress fails as told"},
		{"RequestAddress", "lie", "which is not of"},
	} {
		must(t, p.Behave(c.method, c.how))
		failed, start := run1(make), time.Now()
		e.create(CreateSpec{Name: "good"}) // meanwhile everybody else goes on
		_, err := e.RemoveNetwork(t.Context(), "good")
		must(t, err)
		if took := time.Since(start); took > 1500*time.Millisecond && c.how == "hang" {
			t.Errorf("beside a plugin that hangs: %v", took)
		}
		if err := <-failed; !errdefs.IsInternal(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s %s: %v", c.method, c.how, err)
		}
		must(t, p.Behave(c.method, ""))
		if p.Out() != "" {
			outIs(t, p, 0)
		}
		if _, err := e.Network("bad"); !errdefs.IsNotFound(err) {
			t.Errorf("a network that was not made: %v", err)
		}
	}
	must(t, make())
	outIs(t, p, 2)
	e.settle()
	before := e.census()
	on := SandboxSpec{ContainerID: "one", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "bad"}}}
	start := func() error { _, err := e.NewSandbox(t.Context(), on); return err }
	for _, c := range []struct{ how, text string }{{"fail", "fails as told"}, {"hang", "no answer within"}, {"lie", "which is not of"}} {
		must(t, p.Behave("RequestAddress", c.how))
		if err := start(); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.how, err)
		}
	}
	must(t, p.Behave("RequestAddress", ""))
	e.settle()
	if after := e.census(); after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	// An address that somebody has is given to nobody else, and not taken from
	// who has it.
	must(t, start())
	must(t, p.Behave("RequestAddress", "repeat"))
	other := on
	other.ContainerID = "other"
	if _, err := e.NewSandbox(t.Context(), other); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "which is in use") {
		t.Errorf("the same address again: %v", err)
	}
	must(t, p.Behave("RequestAddress", ""))
	outIs(t, p, 3)
	p.Kill()
	began := time.Now()
	e.release("one")
	if took := time.Since(began); took > time.Second {
		t.Errorf("release beside a dead plugin: %v", took)
	}
	if err := start(); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "cannot connect") {
		t.Errorf("start beside a dead plugin: %v", err)
	}
	e.crash()
	e.open()
	if _, err := e.RemoveNetwork(t.Context(), "bad"); err != nil {
		t.Errorf("a dead plugin keeps a network: %v", err)
	}
}

func run1(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// TestIPAMPluginNeeds: a plugin that wants hardware addresses gets them, and one
// that forgets is told again.
func TestIPAMPluginNeeds(t *testing.T) {
	e, p, dir := newBooksEnv(t)
	must(t, p.Behave("GetCapabilities", "mac"))
	e.create(CreateSpec{Name: "kept", IPAM: IPAM{Driver: "books"}})
	on := SandboxSpec{ContainerID: "one", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "kept"}}}
	s := e.start(on)
	if last := p.Calls()[len(p.Calls())-1]; !strings.Contains(last, "com.docker.network.endpoint.macaddress:"+s.Endpoints[0].MAC.String()) || len(s.Endpoints[0].MAC) != 6 {
		t.Errorf("%q for %s", last, s.Endpoints[0].MAC)
	}
	must(t, p.Behave("GetCapabilities", "replay"))
	p.Kill()
	e.crash()
	p = startPlugin(t, dir, "address", "books")
	must(t, os.WriteFile(p.Dir+"/out", nil, 0o600))
	e.open()
	outIs(t, p, 3) // the pool, its gateway and the container's address
	e.release("one")
	outIs(t, p, 2)
}

// TestNetworkPluginIPv6: a plugin's network with addresses of both families, given
// by another plugin.
func TestNetworkPluginIPv6(t *testing.T) {
	dir := pluginDir(t)
	e := newEnv(t, withPlugins(dir))
	p, books := startPlugin(t, dir, "network", "wires"), startPlugin(t, dir, "address", "books")
	for _, c := range []struct {
		name        string
		ipam        IPAM
		four, six   string
		call        string
		outs, usual int
	}{
		{"given", dual("10.99.7.0/24", "fd00:99:7::/64"), "10.99.7.2/24", "fd00:99:7::2/64", "CreateNetwork map[] 10.99.7.0/24 fd00:99:7::/64", 0, 0},
		{"books", IPAM{Driver: "books"}, "10.120.1.2/24", "fd00:120:1::2/64", "CreateNetwork map[] 10.120.1.0/24 fd00:120:1::/64", 8, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.create(CreateSpec{Name: c.name, Driver: "wires", EnableIPv6: true, IPAM: c.ipam})
			if p.Count(c.call) != 1 {
				t.Errorf("calls %q", p.Calls())
			}
			on := func(id string) SandboxSpec {
				return SandboxSpec{ContainerID: id, Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: c.name}}}
			}
			must(t, p.Behave("CreateEndpoint", "02:99:00:00:00:01"))
			one := e.start(on("one"))
			must(t, p.Behave("CreateEndpoint", ""))
			two := e.start(on("two"))
			ep := one.Endpoints[0]
			gateway6 := ep.IPv6.Masked().Addr().Next()
			if ep.IPv4.String() != c.four || ep.IPv6.String() != c.six || ep.IPv6Gateway != gateway6 || ep.MAC.String() != "02:99:00:00:00:01" {
				t.Errorf("endpoint %+v", ep)
			}
			check := func(when string) {
				t.Helper()
				want(t, when+"one by IPv4", one.Key, TCP, at(addr(two), 80), "two")
				want(t, when+"one by IPv6", one.Key, TCP, at(two.Endpoints[0].IPv6.Addr(), 80), "two")
				must(t, netns.Do(one.Key, func() error {
					link, err := netlink.LinkByName("eth0")
					must(t, err)
					if mac := link.Attrs().HardwareAddr.String(); mac != ep.MAC.String() {
						t.Errorf("%shardware address %s", when, mac)
					}
					routes, err := os.ReadFile("/proc/thread-self/net/ipv6_route")
					for _, to := range []string{"20010db8007700000000000000000000 40", "00000000000000000000000000000000 00"} {
						if !strings.Contains(string(routes), to) {
							t.Errorf("%sno route to %s in\n%s", when, to, routes)
						}
					}
					return err
				}))
			}
			answer(t, two, TCP, 80, "two")
			check("")
			e.crash()
			e.open()
			check("after restart: ")
			if c.outs > 0 {
				outIs(t, books, c.outs)
			}
			for _, id := range []string{"one", "two"} {
				e.release(id)
			}
			if c.outs > 0 {
				outIs(t, books, c.usual)
			}
			_, err := e.RemoveNetwork(context.Background(), c.name)
			must(t, err)
			if c.outs > 0 {
				outIs(t, books, 0)
			}
		})
	}
}

// TestNetworksBesideIPAMPlugin: while a plugin takes its time for the pools of some
// networks others are made, listed and removed (for -race), and none gets a subnet
// of theirs.
func TestNetworksBesideIPAMPlugin(t *testing.T) {
	e, p, _ := newBooksEnv(t)
	must(t, p.Behave("RequestPool", "slow"))
	must(t, p.Behave("RequestAddress", "slow"))
	var leased, others sync.WaitGroup
	for i := range 2 {
		leased.Go(func() {
			name := fmt.Sprint("leased", i)
			n, err := e.CreateNetwork(t.Context(), CreateSpec{Name: name, IPAM: IPAM{Driver: "books"}})
			if err != nil || len(n.IPAM.Config) != 1 || !strings.HasPrefix(n.IPAM.Config[0].Subnet.String(), "10.120.") {
				t.Errorf("%s: %+v %v", name, n, err)
			}
		})
	}
	done := make(chan struct{})
	for i := range 2 {
		others.Go(func() {
			name := fmt.Sprint("other", i)
			for {
				_, err := e.CreateNetwork(t.Context(), CreateSpec{Name: name})
				if err != nil {
					t.Error(err)
					return
				}
				for _, n := range e.Networks() {
					if n.Name != NameHost && n.Name != NameNone && len(n.IPAM.Config) != 1 {
						t.Errorf("network %+v", n)
					}
				}
				if _, err := e.RemoveNetwork(t.Context(), name); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	leased.Wait()
	close(done)
	others.Wait()
	must(t, p.Behave("RequestPool", ""))
	must(t, p.Behave("RequestAddress", ""))
	for i := range 2 {
		_, err := e.RemoveNetwork(t.Context(), fmt.Sprint("leased", i))
		must(t, err)
	}
	outIs(t, p, 0)
}

// TestReplayBeforeAddresses: a container that starts at once after the engine gets its
// address although the plugin has forgotten the pool; so when the plugin comes later.
func TestReplayBeforeAddresses(t *testing.T) {
	e, p, dir := newBooksEnv(t)
	must(t, p.Behave("GetCapabilities", "replay"))
	e.create(CreateSpec{Name: "kept", IPAM: IPAM{Driver: "books"}})
	on := func(id string) SandboxSpec {
		return SandboxSpec{ContainerID: id, Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "kept"}}}
	}
	one := e.start(on("one"))
	p.Kill()
	e.crash()
	must(t, p.Behave("RequestPool", "slow"))
	p = startPlugin(t, dir, "address", "books")
	e.open()
	two := e.start(on("two"))
	if addr(two) == addr(one) {
		t.Errorf("both have %s", addr(one))
	}
	p.Kill()
	e.crash()
	e.open()
	if _, err := e.NewSandbox(t.Context(), on("three")); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "cannot connect") {
		t.Errorf("start beside a dead plugin: %v", err)
	}
	p = startPlugin(t, dir, "address", "books")
	asked := p.Count("RequestPool")
	three := e.start(on("three"))
	if addr(three) == addr(one) || addr(three) == addr(two) {
		t.Errorf("%s, %s and %s", addr(one), addr(two), addr(three))
	}
	e.start(on("four"))
	if n := p.Count("RequestPool") - asked; n != 1 {
		t.Errorf("the pool was replayed %d times: %q", n, p.Calls())
	}
	must(t, p.Behave("RequestPool", ""))
	for _, id := range []string{"one", "two", "three", "four"} {
		e.release(id)
	}
	outIs(t, p, 2)
}
