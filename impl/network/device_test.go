package network

import (
	"context"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/network/bridge"
)

// A device that a killed engine was making or removing goes at the next start;
// one that a network has stays.
func TestDevicesAfterKill(t *testing.T) {
	e := newEnv(t)
	kept, err := e.CreateNetwork(context.Background(), CreateSpec{Name: "kept"})
	must(t, err)
	device := e.networks[kept.ID].device
	gone, err := e.CreateNetwork(context.Background(), CreateSpec{Name: "gone"})
	must(t, err)
	_, err = e.RemoveNetwork(context.Background(), gone.ID)
	must(t, err)
	notes := func() []os.DirEntry {
		list, err := os.ReadDir(e.devicesDir())
		must(t, err)
		return list
	}
	if left := notes(); len(left) > 0 {
		t.Errorf("notes of what is over: %v", left)
	}

	const half = "bb-half"
	must(t, e.note(half))
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: half}}))
	must(t, e.note(device))
	must(t, e.note("bb-never-made"))
	e.crash()
	e.open()
	if bridge.Exists(half) || !bridge.Exists(device) {
		t.Errorf("the half-made device is there: %v, the network's: %v", bridge.Exists(half), bridge.Exists(device))
	}
	if left := notes(); len(left) > 0 {
		t.Errorf("notes after the start: %v", left)
	}
}
