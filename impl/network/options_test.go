package network

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/network/netns"
)

// TestBridgeOptions: what each documented option of a bridge does, before and
// after a restart.
func TestBridgeOptions(t *testing.T) {
	e := newEnv(t)
	far := farHost(t)
	n := e.create(CreateSpec{Name: "own", IPAM: pool("10.61.0.0/24"), Options: map[string]string{
		optionDevice: "mine0", optionMTU: "1400", optionICC: "false", optionMasquerade: "false", optionHostIP: "127.0.0.1"}})
	if n.Options[optionMTU] != "1400" {
		t.Errorf("network %+v", n)
	}
	on := func(id string) *Sandbox {
		return e.start(SandboxSpec{ContainerID: id, Endpoints: []EndpointSpec{{Network: "own"}}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}}})
	}
	one, two := on("one"), on("two")
	answer(t, two, TCP, 80, "two")
	answer(t, two, TCP, 81, "two")
	answer(t, &Sandbox{Key: far}, TCP, 7, "far")
	port := int(two.Ports[0].HostPort)
	check := func(when string) {
		t.Helper()
		link, err := netlink.LinkByName("mine0")
		must(t, err)
		if link.Attrs().MTU != 1400 || link.Type() != "bridge" {
			t.Errorf("%sthe bridge is %+v", when, link.Attrs())
		}
		must(t, netns.Do(one.Key, func() error {
			inner, err := netlink.LinkByName("eth0")
			if err == nil && inner.Attrs().MTU != 1400 {
				t.Errorf("%sthe container's interface has the MTU %d", when, inner.Attrs().MTU)
			}
			return err
		}))
		refuse(t, when+"neighbour without icc", one.Key, TCP, at(addr(two), 81))
		want(t, when+"host binding", "", TCP, at("127.0.0.1", port), "two")
		refuse(t, when+"another address than the host binding", far, TCP, at(hostAddr, port))
		if from := want(t, when+"outside", one.Key, TCP, farAddr+":7", "far"); from != addr(one).String() {
			t.Errorf("%swithout masquerade the outside sees %s", when, from)
		}
	}
	if two.Ports[0].HostIP != mustAddr("127.0.0.1") {
		t.Errorf("ports %+v", two.Ports)
	}
	check("")
	e.crash()
	e.open()
	check("after restart: ")
	e.release("one")
	e.release("two")
}

// TestRandomPort: a port that nobody chose is of the kernel's range, and there is
// a clear error when that is full.
func TestRandomPort(t *testing.T) {
	const sysctl = "/proc/sys/net/ipv4/ip_local_port_range"
	old, err := os.ReadFile(sysctl)
	must(t, err)
	must(t, os.WriteFile(sysctl, []byte("41000 41003"), 0))
	t.Cleanup(func() { must(t, os.WriteFile(sysctl, old, 0)) })
	e := newEnv(t)
	seen := map[uint16]bool{}
	for i := range 4 {
		s := e.start(SandboxSpec{ContainerID: fmt.Sprint("c", i), Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostIP: netip.IPv4Unspecified()}}})
		p := s.Ports[0].HostPort
		if p < 41000 || p > 41003 || seen[p] {
			t.Errorf("port %d of 41000–41003, given are %v", p, seen)
		}
		seen[p] = true
	}
	before := e.census()
	_, err = e.NewSandbox(t.Context(), SandboxSpec{ContainerID: "more", Mode: ModeBridge, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}}})
	if !errdefs.IsConflict(err) || !strings.Contains(err.Error(), "all ports are allocated") {
		t.Errorf("the fifth of four: %v", err)
	}
	e.settle()
	if after := e.census(); after != before {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
}
