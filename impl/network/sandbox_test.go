package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestAddresses: in order from the lowest, no reuse before the kernel let go,
// then the lowest again; the hardware address follows from the address.
func TestAddresses(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.BridgeIP = netip.MustParsePrefix("10.77.0.1/29") })
	var got []string
	for i := range 5 {
		s := e.start(SandboxSpec{ContainerID: fmt.Sprint("c", i)})
		got = append(got, s.Endpoints[0].IPv4.String())
		if i == 0 && s.Endpoints[0].MAC.String() != "02:42:0a:4d:00:02" {
			t.Errorf("hardware address %s", s.Endpoints[0].MAC)
		}
	}
	if text := strings.Join(got, " "); text != "10.77.0.2/29 10.77.0.3/29 10.77.0.4/29 10.77.0.5/29 10.77.0.6/29" {
		t.Errorf("addresses %s", text)
	}
	before := e.census()
	_, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: "full", Mode: ModeBridge})
	if !errdefs.IsUnavailable(err) {
		t.Errorf("full subnet: %v", err)
	}
	if after := e.census(); after != before {
		t.Errorf("failed sandbox left something: %+v, was %+v", after, before)
	}
	e.release("c1")
	e.release("c3")
	e.settle()
	if s := e.start(SandboxSpec{ContainerID: "again"}); addr(s).String() != "10.77.0.3" {
		t.Errorf("lowest free address is %s, want 10.77.0.3", addr(s))
	}
	fixed := SandboxSpec{ContainerID: "fixed", Mode: ModeBridge, Endpoints: []EndpointSpec{
		{Network: NameBridge, IPv4: mustAddr("10.77.0.5"), MAC: HardwareAddr{2, 1, 2, 3, 4, 5}}}}
	s := e.start(fixed)
	if err := netns.Do(s.Key, func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil && i.HardwareAddr.String() != "02:01:02:03:04:05" {
			t.Errorf("hardware address %s", i.HardwareAddr)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	fixed.ContainerID = "taken"
	if _, err := e.NewSandbox(context.Background(), fixed); !errdefs.IsConflict(err) {
		t.Errorf("taken address: %v", err)
	}
	fixed.Endpoints[0].IPv4 = mustAddr("10.9.9.9")
	if _, err := e.NewSandbox(context.Background(), fixed); !errdefs.IsInvalidArgument(err) {
		t.Errorf("foreign address: %v", err)
	}
}

// TestModes looks at what a namespace of each mode contains.
// A container gets the fixed address of one that has just ended, although the
// kernel still has that one's interface.
func TestFixedAddressAtOnce(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "fixed", IPAM: pool("10.67.0.0/24")})
	for i := range 10 {
		id := fmt.Sprint("c", i)
		s := e.start(SandboxSpec{ContainerID: id, Endpoints: []EndpointSpec{{Network: "fixed", IPv4: mustAddr("10.67.0.10")}}})
		if got := s.Endpoints[0].IPv4.String(); got != "10.67.0.10/24" {
			t.Errorf("run %d has %s", i, got)
		}
		e.release(id)
	}
}

func TestModes(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.MTU = 1400 })
	bridged := e.start(SandboxSpec{ContainerID: "bridged"})
	none := e.start(SandboxSpec{ContainerID: "none", Mode: ModeNone})
	host := e.start(SandboxSpec{ContainerID: "host", Mode: ModeHost})
	joined := e.start(SandboxSpec{ContainerID: "joined", Mode: ModeContainer, JoinContainer: "bridged"})
	if joined.Key != bridged.Key || len(joined.Endpoints) != 0 {
		t.Errorf("joined: %+v", joined)
	}
	if host.Key != "" || host.Endpoints[0].NetworkName != NameHost || len(host.Endpoints[0].NetworkID) != 64 {
		t.Errorf("host: %+v", host)
	}
	interfaces := func(s *Sandbox) string {
		var names []string
		must(t, netns.Do(s.Key, func() error {
			list, err := net.Interfaces()
			for _, i := range list {
				if i.Flags&net.FlagUp != 0 {
					names = append(names, fmt.Sprint(i.Name, "/", i.MTU))
				}
			}
			return err
		}))
		return strings.Join(names, " ")
	}
	if got := interfaces(none); got != "lo/65536" {
		t.Errorf("none has %s", got)
	}
	if got := interfaces(bridged); got != "lo/65536 eth0/1400" {
		t.Errorf("bridged has %s", got)
	}
	must(t, netns.Do(bridged.Key, func() error {
		text, err := os.ReadFile("/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
		if os.IsNotExist(err) {
			return nil // a kernel without IPv6
		}
		if strings.TrimSpace(string(text)) != "1" {
			t.Errorf("IPv6 is on in a network without it")
		}
		return err
	}))
	for name, spec := range map[string]SandboxSpec{
		"no such network":    {ContainerID: "x", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "nope"}}},
		"not running":        {ContainerID: "x", Mode: ModeContainer, JoinContainer: "nope"},
		"ports without":      {ContainerID: "x", Mode: ModeNone, Ports: []PortSpec{{Proto: TCP, ContainerPort: 1}}},
		"path in the id":     {ContainerID: "../x", Mode: ModeNone},
		"mode":               {ContainerID: "x", Mode: "fast"},
		"endpoint on host":   {ContainerID: "x", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "host"}}},
		"multicast hardware": {ContainerID: "x", Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "bridge", MAC: HardwareAddr{1, 2, 3, 4, 5, 6}}}},
	} {
		if _, err := e.NewSandbox(context.Background(), spec); err == nil {
			t.Errorf("%s: no error", name)
		} else if errdefs.IsInternal(err) {
			t.Errorf("%s: %v is no error of the caller", name, err)
		}
	}
	nets := e.Networks()
	if len(nets) != 3 || nets[0].Name != "bridge" || nets[1].Name != "host" || nets[2].Name != "none" {
		t.Fatalf("networks %+v", nets)
	}
	if ep := nets[0].Endpoints["bridged"]; ep.IPv4 != bridged.Endpoints[0].IPv4 || len(nets[0].Endpoints) != 1 {
		t.Errorf("bridge's endpoints %+v", nets[0].Endpoints)
	}
	for _, name := range []string{"bridge", nets[0].ID, nets[0].ID[:12]} {
		if n, err := e.Network(name); err != nil || n.ID != nets[0].ID {
			t.Errorf("network %s: %v %v", name, n.ID, err)
		}
	}
	if _, err := e.Network("nope"); !errdefs.IsNotFound(err) || err.Error() != "network nope not found" {
		t.Errorf("missing network: %v", err)
	}
}

// TestTakenPort: by a container, by another program, and what stays after.
func TestTakenPort(t *testing.T) {
	e := newEnv(t)
	e.start(SandboxSpec{ContainerID: "first", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	l, err := net.Listen("tcp4", "127.0.0.1:8081")
	must(t, err)
	defer l.Close()
	before := e.census()
	for _, c := range []struct {
		port PortSpec
		text string
	}{
		{PortSpec{Proto: TCP, ContainerPort: 80, HostPort: 8080}, "Bind for 0.0.0.0:8080 failed: port is already allocated"},
		{PortSpec{Proto: TCP, ContainerPort: 80, HostIP: mustAddr("127.0.0.1"), HostPort: 8080}, "Bind for 127.0.0.1:8080 failed: port is already allocated"},
		{PortSpec{Proto: TCP, ContainerPort: 80, HostPort: 8081}, "listen tcp 0.0.0.0:8081: bind: address already in use"},
		{PortSpec{Proto: TCP, ContainerPort: 80, HostIP: mustAddr("203.0.113.9"), HostPort: 8082}, "listen tcp 203.0.113.9:8082: bind: cannot assign requested address"},
		{PortSpec{Proto: TCP, ContainerPort: 80, HostPort: 8080, HostPortEnd: 8081}, "Bind for 0.0.0.0:8080-8081 failed: all ports are allocated"},
	} {
		_, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: "second", ContainerName: "two", Mode: ModeBridge,
			Ports: []PortSpec{{Proto: UDP, ContainerPort: 53, HostPort: 8080}, c.port}})
		if !errdefs.IsConflict(err) || !strings.Contains(err.Error(), c.text) ||
			!strings.HasPrefix(err.Error(), "driver failed programming external connectivity on endpoint two (") {
			t.Errorf("%v\nwant %s", err, c.text)
		}
	}
	e.settle()
	if after := e.census(); after != before {
		t.Errorf("failures left something: %+v, was %+v", after, before)
	}
	// A range skips what is taken; other programs cannot take what is ours.
	s := e.start(SandboxSpec{ContainerID: "third", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080, HostPortEnd: 8082}}})
	if s.Ports[0].HostPort != 8082 {
		t.Errorf("port %d of the range", s.Ports[0].HostPort)
	}
	if l, err := net.Listen("tcp4", ":8082"); err == nil {
		l.Close()
		t.Error("another program could take a published port")
	}
	if c, err := net.ListenPacket("udp4", ":8080"); err != nil {
		t.Errorf("UDP port of a failed sandbox is still held: %v", err)
	} else {
		c.Close()
	}
}

// TestRestore: what a new Manager finds after the old one was killed.
func TestRestore(t *testing.T) {
	e := newEnv(t)
	ids := func() (s string) {
		for _, n := range e.Networks() {
			s += n.Name + n.ID
		}
		return s
	}
	before := ids()
	live := e.start(SandboxSpec{ContainerID: "live", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}, {Proto: UDP, ContainerPort: 53}}})
	answer(t, live, TCP, 80, "live")
	e.start(SandboxSpec{ContainerID: "dead", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8081}}})
	// An interruption before the state was written, and one during a Release.
	e.start(SandboxSpec{ContainerID: "halfmade", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8082}}})
	must(t, os.Remove(e.statePath("halfmade")))
	half := e.start(SandboxSpec{ContainerID: "halfgone"})
	must(t, netns.Remove(half.Key))
	must(t, os.WriteFile(e.statePath("torn")+atomicfile.Unfinished, []byte("{"), 0o600))
	must(t, os.WriteFile(e.statePath("lost"), nil, 0o600))
	unfinished := e.networksPath() + atomicfile.Unfinished
	must(t, os.WriteFile(unfinished, []byte("{"), 0o600))

	e.crash()
	want(t, "host while no engine runs", "", TCP, "127.0.0.1:8080", "live")
	e.open()
	if _, err := os.Lstat(unfinished); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a write that was cut short left %s: %v", unfinished, err)
	}
	if after := ids(); after != before {
		t.Errorf("network ids changed:\n%s\n%s", before, after)
	}
	must(t, e.Reconcile(context.Background(), func(id string) bool { return id == "live" }))
	e.settle()
	again, err := e.Sandbox("live")
	must(t, err)
	if fmt.Sprint(*again) != fmt.Sprint(*live) {
		t.Errorf("sandbox after restart %+v\nbefore %+v", again, live)
	}
	for _, id := range []string{"dead", "halfmade", "halfgone"} {
		if _, err := e.Sandbox(id); !errdefs.IsNotFound(err) {
			t.Errorf("%s: %v", id, err)
		}
	}
	c := e.census()
	if c.mounts != 1 || c.files != 1 || c.states != 1 || c.veths != 1 || c.published != 2 || c.held != 4 || c.addresses != 4 {
		t.Errorf("after restart: %+v", c)
	}
	want(t, "host after restart", "", TCP, "127.0.0.1:8080", "live")
	if _, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: "new", Mode: ModeBridge,
		Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}}); !errdefs.IsConflict(err) {
		t.Errorf("port of an adopted sandbox: %v", err)
	}
	if l, err := net.Listen("tcp4", ":8080"); err == nil {
		l.Close()
		t.Error("another program could take an adopted port")
	}
	next := e.start(SandboxSpec{ContainerID: "next", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8081}}})
	if addr(next) == addr(live) {
		t.Error("address of an adopted sandbox given away")
	}
	want(t, "neighbour to adopted", next.Key, TCP, at(addr(live), 80), "live")
	e.release("live")
	e.release("next")
	e.settle()
	if c := e.census(); c != (census{addresses: 3}) {
		t.Errorf("after all were released: %+v", c)
	}
}

// TestMany starts and releases 64 sandboxes at once, again and again.
func TestMany(t *testing.T) {
	e := newEnv(t)
	empty := e.census()
	for round := range 3 {
		var wg sync.WaitGroup
		seen := make(chan netip.Addr, 64)
		for i := range 64 {
			wg.Go(func() {
				id := fmt.Sprint("c", i)
				s, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: id, Mode: ModeBridge,
					Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}, {Proto: UDP, ContainerPort: 53, HostPort: uint16(20000 + i)}}})
				if err != nil {
					t.Error(err)
					return
				}
				seen <- addr(s)
				if i%2 == round%2 {
					if err := e.Release(context.Background(), id); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		close(seen)
		if n := len(seen); n != 64 {
			t.Errorf("%d sandboxes", n)
		}
		if c := e.census(); c.mounts != 32 || c.published != 64 || c.held != 128 {
			t.Errorf("with 32 running: %+v", c)
		}
		for i := range 64 {
			wg.Go(func() {
				if err := e.Release(context.Background(), fmt.Sprint("c", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	e.settle()
	if c := e.census(); c != empty {
		t.Errorf("after all were released: %+v, was %+v", c, empty)
	}
}

// TestUnfinishedStateOfALostInterface: a write that was cut short stands beside the state
// of a container that has lost its interface, which is written anew at the start.
func TestUnfinishedStateOfALostInterface(t *testing.T) {
	e := newEnv(t)
	s := e.start(SandboxSpec{ContainerID: "live"})
	must(t, os.WriteFile(e.statePath("live")+atomicfile.Unfinished, []byte("{"), 0o600))
	e.crash()
	link, err := netlink.LinkByName(s.Endpoints[0].HostInterface)
	must(t, err)
	must(t, netlink.LinkDel(link))
	e.open() // fails the test if it cannot
	again, err := e.Sandbox("live")
	must(t, err)
	if len(again.Endpoints) != 0 {
		t.Errorf("it has an interface that is not there: %+v", again)
	}
	if _, err := os.Lstat(e.statePath("live") + atomicfile.Unfinished); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unfinished write is left: %v", err)
	}
}
