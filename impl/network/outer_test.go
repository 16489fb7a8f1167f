package network

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// The addresses of the other host.
const (
	farAddr  = "198.51.100.9"
	farAddr6 = "2001:db8:99::9"
)

// farHost makes a namespace that is another host on the test host's network
// and gives its path. It routes to containers' subnets by way of the test host.
func farHost(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "far")
	must(t, netns.Create(path, bridge.Loopback))
	t.Cleanup(func() { must(t, netns.Remove(path)) })
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	wire, err := netlink.LinkByName("wire")
	must(t, err)
	must(t, netlink.LinkSetNsFd(wire, int(f.Fd())))
	// The device returns when the namespace goes, because tests share it.
	t.Cleanup(func() {
		own, err := os.Open("/proc/self/ns/net")
		must(t, err)
		defer own.Close()
		must(t, netns.Do(path, func() error { return netlink.LinkSetNsFd(wire, int(own.Fd())) }))
	})
	must(t, netns.Do(path, func() error {
		if err := netlink.LinkSetUp(wire); err != nil {
			return err
		}
		if err := netlink.AddrAdd(wire, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(farAddr), Mask: net.CIDRMask(24, 32)}}); err != nil {
			return err
		}
		for _, key := range []string{"disable_ipv6", "accept_dad"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/wire/"+key, []byte("0"), 0); err != nil {
				return err
			}
		}
		if err := netlink.AddrAdd(wire, &netlink.Addr{Flags: unix.IFA_F_NODAD,
			IPNet: &net.IPNet{IP: net.ParseIP(farAddr6), Mask: net.CIDRMask(64, 128)}}); err != nil {
			return err
		}
		for _, gw := range []string{hostAddr, hostAddr6} {
			if err := netlink.RouteAdd(&netlink.Route{LinkIndex: wire.Attrs().Index, Gw: net.ParseIP(gw)}); err != nil {
				return err
			}
		}
		return nil
	}))
	return path
}

// TestOtherHost: published ports from another host, the way out, and what
// another host must not reach.
func TestOtherHost(t *testing.T) {
	for _, masquerade := range []bool{true, false} {
		name := "masquerade"
		if !masquerade {
			name = "no masquerade"
		}
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, func(o *Options) { o.DisableMasquerade = !masquerade })
			far := farHost(t)
			s := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{
				{Proto: TCP, ContainerPort: 80, HostPort: 8080}, {Proto: UDP, ContainerPort: 53, HostPort: 5353},
				{Proto: TCP, ContainerPort: 82, HostIP: mustAddr("127.0.0.1"), HostPort: 8082},
			}})
			for port, proto := range map[int]Protocol{80: TCP, 81: TCP, 82: TCP, 53: UDP} {
				answer(t, s, proto, port, "web")
			}
			for _, proto := range []Protocol{TCP, UDP} {
				port := map[Protocol]int{TCP: 8080, UDP: 5353}[proto]
				want(t, "other host", far, proto, at(hostAddr, port), "web")
			}
			refuse(t, "other host to an unpublished port", far, TCP, at(addr(s), 81))
			refuse(t, "other host to a port of the host's loopback", far, TCP, at(hostAddr, 8082))
			answer(t, &Sandbox{Key: far}, TCP, 7, "far")
			wantFrom := hostAddr
			if !masquerade {
				wantFrom = addr(s).String()
			}
			if from := want(t, "container", s.Key, TCP, at(farAddr, 7), "far"); from != wantFrom {
				t.Errorf("the other host sees %s, want %s", from, wantFrom)
			}
		})
	}
}

// TestBridgeNetfilter repeats the packets with the bridge's frames passing the
// IP hooks and without.
func TestBridgeNetfilter(t *testing.T) {
	const sysctl, sysctl6 = "/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"
	old, err := os.ReadFile(sysctl)
	if os.IsNotExist(err) {
		t.Log("this kernel has no br_netfilter: one way to go, and TestPackets goes it")
		return
	}
	must(t, err)
	defer os.WriteFile(sysctl, old, 0)
	defer os.WriteFile(sysctl6, old, 0)
	for _, value := range []string{"0", "1"} {
		must(t, os.WriteFile(sysctl, []byte(value), 0))
		must(t, os.WriteFile(sysctl6, []byte(value), 0))
		t.Run("call-iptables="+value, func(t *testing.T) {
			t.Run("packets", TestPackets)
			t.Run("isolated", TestIsolated)
			t.Run("packets of IPv6", TestIPv6Packets)
			t.Run("isolated with IPv6", TestIPv6Isolated)
		})
	}
}

// TestIsolated: containers of a network without ICC reach each other by
// published ports only.
func TestIsolated(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.DisableICC = true })
	web := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	other := e.start(SandboxSpec{ContainerID: "other"})
	answer(t, web, TCP, 80, "web")
	answer(t, web, TCP, 81, "web")
	want(t, "host", "", TCP, at(addr(web), 81), "web")
	want(t, "neighbour to published port", other.Key, TCP, hostAddr+":8080", "web")
	refuse(t, "neighbour to unpublished port", other.Key, TCP, at(addr(web), 81))
	e.crash()
	e.open()
	want(t, "neighbour to published port after restart", other.Key, TCP, hostAddr+":8080", "web")
	refuse(t, "neighbour to unpublished port after restart", other.Key, TCP, at(addr(web), 81))
}

// TestSteadyUDP: a client that never pauses reaches the container that has the
// port now, not the host and not the one before.
func TestSteadyUDP(t *testing.T) {
	e := newEnv(t)
	c, err := net.Dial("udp4", hostAddr+":5353")
	must(t, err)
	defer c.Close()
	reach := func(name string) {
		t.Helper()
		buf := make([]byte, 64)
		for range 50 {
			c.Write([]byte("?")) // refused while nobody has the port
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if n, err := c.Read(buf); err == nil {
				if got, _, _ := strings.Cut(string(buf[:n]), " "); got == name {
					return
				}
			}
		}
		t.Errorf("the client does not reach %s", name)
	}
	for range 5 {
		c.Write([]byte("?"))
	}
	for _, name := range []string{"first", "second"} {
		s := e.start(SandboxSpec{ContainerID: name, Ports: []PortSpec{{Proto: UDP, ContainerPort: 53, HostPort: 5353}}})
		answer(t, s, UDP, 53, name)
		reach(name)
		e.release(name)
	}
}

// TestHeld: neither a process in the namespace nor a copy of the mount in
// another mount namespace keeps an address or a namespace.
func TestHeld(t *testing.T) {
	e := newEnv(t)
	e.start(SandboxSpec{ContainerID: "c"})
	// A private mount namespace copies the mount.
	copies := exec.Command("/bin/busybox", "sleep", "1000")
	copies.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	must(t, copies.Start())
	defer func() { copies.Process.Kill(); copies.Wait() }()
	e.release("c")
	e.settle()
	if c := e.census(); c.veths != 0 || c.addresses != 3 {
		t.Errorf("with a copy of the mount: %+v", c)
	}

	s := e.start(SandboxSpec{ContainerID: "c"})
	holds := exec.Command("/bin/busybox", "sleep", "1000")
	must(t, netns.Do(s.Key, func() error {
		holds.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return holds.Start()
	}))
	defer func() { holds.Process.Kill(); holds.Wait() }()
	e.release("c")
	next, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: "next", Mode: ModeBridge})
	must(t, err)
	if addr(next) == addr(s) {
		t.Errorf("address %s is given away while the old interface has it", addr(s))
	}
	e.settle()
	if c := e.census(); c.veths != 1 {
		t.Errorf("with a process in the namespace: %+v", c)
	}
}
