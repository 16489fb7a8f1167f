package network

import (
	"testing"

	"github.com/vishvananda/netlink"
)

// TestHostRoutes: a subnet that nobody asked for overlaps no address, route or
// name server of the host; one that was asked for may, as in Docker Engine.
func TestHostRoutes(t *testing.T) {
	run(t, "ip", "route", "add", "172.17.5.0/24", "via", farAddr)
	t.Cleanup(func() { run(t, "ip", "route", "del", "172.17.5.0/24") })
	run(t, "ip", "route", "add", "172.18.0.0/15", "via", farAddr, "table", "77") // policy routing's
	t.Cleanup(func() { run(t, "ip", "route", "del", "172.18.0.0/15", "table", "77") })
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "taken0"}, PeerName: "taken1"}
	must(t, netlink.LinkAdd(link)) // down: its address has no route
	t.Cleanup(func() { must(t, netlink.LinkDel(link)) })
	run(t, "ip", "addr", "add", "172.20.200.1/30", "dev", "taken0")
	hostResolvers(t, "nameserver 172.22.0.53\n")

	e := newEnv(t)
	if n, err := e.Network(NameBridge); err != nil || n.IPAM.Config[0].Subnet.String() != "172.21.0.0/16" {
		t.Errorf("default network %+v, %v", n.IPAM, err)
	}
	if n := e.create(CreateSpec{Name: "chosen"}); n.IPAM.Config[0].Subnet.String() != "172.23.0.0/16" {
		t.Errorf("chosen %+v", n.IPAM)
	}
	if n := e.create(CreateSpec{Name: "given", IPAM: pool("172.17.5.0/26")}); n.IPAM.Config[0].Subnet.String() != "172.17.5.0/26" {
		t.Errorf("given %+v", n.IPAM)
	}
	// A route that comes later moves the default network at the next start, unless
	// its device is there: containers may be on it.
	run(t, "ip", "route", "add", "172.21.9.0/24", "via", farAddr)
	t.Cleanup(func() { run(t, "ip", "route", "del", "172.21.9.0/24") })
	for _, want := range []string{"172.21.0.0/16", "172.24.0.0/16"} {
		e.crash()
		e.open()
		if n, err := e.Network(NameBridge); err != nil || n.IPAM.Config[0].Subnet.String() != want {
			t.Errorf("default network after restart %+v, %v; want %s", n.IPAM, err, want)
		}
		run(t, "ip", "link", "del", e.opts.Bridge)
	}
	e.crash()
	e.open()
}
