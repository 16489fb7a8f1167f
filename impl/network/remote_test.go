package network

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/netns"
	registry "github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// newPluginEnv is an env beside a network plugin, named wires, in a process of
// its own.
func newPluginEnv(t *testing.T) (*env, *plugin.Process) {
	dir := pluginDir(t)
	return newEnv(t, withPlugins(dir)), startPlugin(t, dir, "network", "wires")
}

func pluginDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "wires") // short enough for a socket
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startPlugin starts a plugin with a desk of its own.
func startPlugin(t *testing.T, dir, kind, name string) *plugin.Process {
	desk := filepath.Join(dir, "desk-"+name)
	must(t, os.MkdirAll(desk, 0o700))
	p, err := plugin.Start(kind, filepath.Join(dir, name+".sock"), desk)
	must(t, err)
	t.Cleanup(p.Kill)
	return p
}

func withPlugins(dir string) func(*Options) {
	plugins := registry.New(registry.Options{Sockets: dir, Connect: 200 * time.Millisecond, Call: 2 * time.Second})
	return func(o *Options) { o.Plugins = plugins }
}

// within waits until the plugin has been asked as often as that.
func within(t *testing.T, p *plugin.Process, method string, n int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); p.Count(method) != n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s was called %d times, not %d: %q", method, p.Count(method), n, p.Calls())
		}
	}
}

// TestNetworkPlugin is the life of a network that a plugin keeps, with packets,
// over a restart of the engine.
func TestNetworkPlugin(t *testing.T) {
	e, p := newPluginEnv(t)
	n := e.create(CreateSpec{Name: "remote", Driver: "wires", Options: map[string]string{"colour": "red"},
		IPAM: IPAM{Config: []IPAMConfig{{Subnet: netip.MustParsePrefix("10.99.7.0/24")}}}})
	if n.Driver != "wires" || p.Count("CreateNetwork map[colour:red] 10.99.7.0/24") != 1 {
		t.Errorf("%+v, calls %q", n, p.Calls())
	}
	on := func(id string) SandboxSpec {
		return SandboxSpec{ContainerID: id, ContainerName: id, Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "remote"}}}
	}
	one, two := e.start(on("one")), e.start(on("two"))
	if ep := one.Endpoints[0]; ep.Interface != "eth0" || ep.IPv4.String() != "10.99.7.2/24" || ep.IPv4Gateway.String() != "10.99.7.1" {
		t.Errorf("endpoint %+v", ep)
	}
	answer(t, two, TCP, 80, "two")
	want(t, "one", one.Key, TCP, at(addr(two), 80), "two")
	must(t, netns.Do(one.Key, func() error {
		routes, err := os.ReadFile("/proc/thread-self/net/route")
		for _, to := range []string{"000200C0", "006433C6", "00000000"} { // 192.0.2.0, 198.51.100.0, default
			if !strings.Contains(string(routes), "eth0\t"+to) {
				t.Errorf("no route to %s in\n%s", to, routes)
			}
		}
		return err
	}))
	if got, err := e.Network("remote"); err != nil || len(got.Endpoints) != 2 {
		t.Errorf("%+v %v", got, err)
	}

	// A container of a bridge joins and leaves.
	e.start(SandboxSpec{ContainerID: "three", ContainerName: "three", Mode: ModeBridge})
	three, err := e.Connect(t.Context(), "three", EndpointSpec{Network: "remote"})
	must(t, err)
	if three.Endpoints[1].Interface != "eth1" {
		t.Errorf("endpoints %+v", three.Endpoints)
	}
	want(t, "three", three.Key, TCP, at(addr(two), 80), "two")
	three, err = e.Disconnect(t.Context(), "three", "remote")
	must(t, err)
	if len(three.Endpoints) != 1 {
		t.Errorf("endpoints %+v", three.Endpoints)
	}
	within(t, p, "DeleteEndpoint", 1)

	e.crash()
	e.open()
	want(t, "one", one.Key, TCP, at(addr(two), 80), "two")
	if _, err := e.RemoveNetwork(t.Context(), "remote"); !errdefs.IsConflict(err) {
		t.Errorf("removal in use: %v", err)
	}
	for _, id := range []string{"one", "two", "three"} {
		e.release(id)
	}
	within(t, p, "DeleteEndpoint", 3)
	if p.Count("Leave") != 3 {
		t.Errorf("calls %q", p.Calls())
	}
	// At once: what the plugin has not been told yet is no use of the network.
	must(t, p.Behave("Leave", "slow"))
	e.start(on("four"))
	e.release("four")
	_, err = e.RemoveNetwork(t.Context(), "remote")
	must(t, err)
	within(t, p, "DeleteNetwork", 1)
	if calls := p.Calls(); calls[len(calls)-2] != "DeleteEndpoint" {
		t.Errorf("the network goes before its endpoint: %q", calls)
	}
	for end := time.Now().Add(5 * time.Second); bridge.Exists("tpb" + n.ID[:8]); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the plugin still has its bridge")
		}
	}
	if _, err := e.CreateNetwork(t.Context(), CreateSpec{Name: "x", Driver: "nosuch"}); !errdefs.IsNotFound(err) {
		t.Errorf("no such plugin: %v", err)
	}
}

// TestBadNetworkPlugin has a plugin lie, fail, hang and die: what it harms is
// its own, and what failed leaves nothing.
func TestBadNetworkPlugin(t *testing.T) {
	e, p := newPluginEnv(t)
	n := e.create(CreateSpec{Name: "remote", Driver: "wires", IPAM: IPAM{Config: []IPAMConfig{{Subnet: netip.MustParsePrefix("10.99.8.0/24")}}}})
	before := e.census()
	on := SandboxSpec{ContainerID: "bad", ContainerName: "bad", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "remote"}}}
	// What was refused is not undone; what may have been done is.
	leaves, deletions := 0, 0
	for i, c := range []struct {
		method, how, text string
		leave, deletion   int
	}{
		{"CreateEndpoint", "lie", "changes the address", 0, 1},
		{"CreateEndpoint", "fail", "CreateEndpoint fails as told", 0, 0},
		{"CreateEndpoint", "hang", "no answer within", 0, 1},
		{"Join", "fail", "Join fails as told", 0, 1},
		{"Join", "late", "no answer within", 1, 1},
		{"Join", "lie", "the host uses it", 1, 1},
	} {
		must(t, p.Behave(c.method, c.how))
		failed := make(chan error, 1)
		go func() { _, err := e.NewSandbox(t.Context(), on); failed <- err }()
		// Meanwhile everybody else goes on.
		start := time.Now()
		id := fmt.Sprint("good", i)
		e.start(SandboxSpec{ContainerID: id, ContainerName: id, Mode: ModeBridge})
		e.create(CreateSpec{Name: id})
		_, err := e.RemoveNetwork(t.Context(), id)
		must(t, err)
		e.release(id)
		if took := time.Since(start); took > 1500*time.Millisecond && c.how == "hang" {
			t.Errorf("beside a plugin that hangs: %v", took)
		}
		if err := <-failed; !errdefs.IsInternal(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s %s: %v", c.method, c.how, err)
		}
		must(t, p.Behave(c.method, ""))
		leaves, deletions = leaves+c.leave, deletions+c.deletion
		if p.Count("Leave") != leaves || p.Count("DeleteEndpoint") != deletions {
			t.Errorf("%s %s: Leave %d times, DeleteEndpoint %d times, want %d and %d", c.method, c.how,
				p.Count("Leave"), p.Count("DeleteEndpoint"), leaves, deletions)
		}
	}
	links, err := netlink.LinkList()
	must(t, err)
	for _, l := range links {
		if name := l.Attrs().Name; strings.HasPrefix(name, "tpi") || strings.HasPrefix(name, "tpo") {
			t.Errorf("the plugin still has the device %s", name)
		}
	}
	if !bridge.Exists("tpb" + n.ID[:8]) {
		t.Error("the bridge that the plugin lied about is gone")
	}
	e.settle()
	if after := e.census(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	must(t, p.Behave("CreateNetwork", "hang"))
	if _, err := e.CreateNetwork(t.Context(), CreateSpec{Name: "slow", Driver: "wires"}); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("create: %v", err)
	}
	if _, err := e.Network("slow"); !errdefs.IsNotFound(err) {
		t.Errorf("a network that was not made: %v", err)
	}
	within(t, p, "DeleteNetwork", 1) // it may have been made
	e.start(on)
	p.Kill()
	start := time.Now()
	e.release("bad")
	if took := time.Since(start); took > time.Second {
		t.Errorf("release beside a dead plugin: %v", took)
	}
	e.crash()
	e.open() // a dead plugin keeps no engine from starting
	if list := e.Networks(); len(list) != 4 {
		t.Errorf("networks %+v", list)
	}
	if _, err := e.NewSandbox(t.Context(), on); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "cannot connect") {
		t.Errorf("start beside a dead plugin: %v", err)
	}
}

// TestStolenInterface: a plugin that names the container's own interface for
// its one gets nothing, and the container keeps it.
func TestStolenInterface(t *testing.T) {
	e, p := newPluginEnv(t)
	e.create(CreateSpec{Name: "remote", Driver: "wires"})
	one := e.start(SandboxSpec{ContainerID: "one", ContainerName: "one"})
	must(t, p.Behave("Join", "steal"))
	if _, err := e.Connect(t.Context(), "one", EndpointSpec{Network: "remote"}); !errdefs.IsInternal(err) {
		t.Errorf("connect: %v", err)
	}
	must(t, netns.Do(one.Key, func() error {
		if !bridge.Exists("eth0") {
			t.Error("the container has lost its eth0")
		}
		return nil
	}))
	if bridge.Exists("eth0") {
		t.Error("the host has it")
	}
}

// TestAddressAgain: who asks for an address that a plugin is still letting go
// of waits for it (a restart of a container with --ip).
func TestAddressAgain(t *testing.T) {
	e, p := newPluginEnv(t)
	e.create(CreateSpec{Name: "remote", Driver: "wires", IPAM: IPAM{Config: []IPAMConfig{{Subnet: netip.MustParsePrefix("10.99.9.0/24")}}}})
	must(t, p.Behave("Leave", "slow"))
	on := SandboxSpec{ContainerID: "one", ContainerName: "one", Mode: ModeBridge,
		Endpoints: []EndpointSpec{{Network: "remote", IPv4: netip.MustParseAddr("10.99.9.7")}}}
	for range 3 {
		e.start(on)
		e.release("one")
	}
}

// TestLend refuses the devices that the host uses, which an address of either
// family shows.
func TestLend(t *testing.T) {
	e := newEnv(t)
	one := e.start(SandboxSpec{ContainerID: "one", Mode: ModeNone})
	for device, address := range map[string]string{"four": "10.99.1.1/24", "six": "fd00:99::1/64", "local": "fe80::99/64", "bare": ""} {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: device}, PeerName: device + "-peer"}
		must(t, netlink.LinkAdd(link))
		defer netlink.LinkDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: device + "-peer"}})
		if address != "" {
			a, err := netlink.ParseAddr(address)
			must(t, err)
			must(t, netlink.AddrAdd(link, a))
		}
		err := bridge.Lend(device, one.Key)
		if refused := device == "four" || device == "six"; (err != nil) != refused {
			t.Errorf("%s with %q: %v", device, address, err)
		}
	}
}
