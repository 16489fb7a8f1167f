package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/network/bridge"
)

func (e *env) notes() (names []string) {
	e.t.Helper()
	list, err := os.ReadDir(e.devicesDir())
	must(e.t, err)
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

// addBridge makes a bridge that goes with the test.
func addBridge(t *testing.T, name string) (index int) {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}))
	t.Cleanup(func() { must(t, bridge.Remove(name)) })
	index, err := bridge.Index(name)
	must(t, err)
	return index
}

// keepLog has the Manager's next log in the buffer.
func (e *env) keepLog() *bytes.Buffer {
	var log bytes.Buffer
	e.opts.Logger = slog.New(slog.NewTextHandler(io.MultiWriter(&log, testWriter{e.t}), nil))
	return &log
}

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
	if left := e.notes(); len(left) > 0 {
		t.Errorf("notes of what is over: %v", left)
	}

	// Killed before the index was written down, and after.
	const half, chosen = "bb-0123456789ab", "br-chosen"
	must(t, e.noteDevice(half, 0))
	addBridge(t, half)
	must(t, e.noteDevice(chosen, addBridge(t, chosen)))
	index, err := bridge.Index(device)
	must(t, err)
	must(t, e.noteDevice(device, index))
	must(t, e.noteDevice("bb-0123456789ac", 0)) // never made
	e.crash()
	e.open()
	if bridge.Exists(half) || bridge.Exists(chosen) || !bridge.Exists(device) {
		t.Errorf("the half-made devices are there: %v %v, the network's: %v", bridge.Exists(half), bridge.Exists(chosen), bridge.Exists(device))
	}
	if left := e.notes(); len(left) > 0 {
		t.Errorf("notes after the start: %v", left)
	}
}

// TestDevicesOfOthers: a note does not outlive the device that it is of. What has the
// name then, after a reboot or by chance, is somebody else's or a network's.
func TestDevicesOfOthers(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "owner", Options: map[string]string{optionDevice: "br-owned"}, IPAM: pool("10.81.0.0/24")})
	owned, err := bridge.Index("br-owned")
	must(t, err)
	note := func(device string, change func(*deviceNote)) {
		t.Helper()
		n, err := here()
		must(t, err)
		if n.Index = owned; device != "br-owned" {
			n.Index = addBridge(t, device)
		}
		change(&n)
		text, err := json.Marshal(n)
		must(t, err)
		must(t, os.WriteFile(e.notePath(device), text, 0o600))
	}
	note("br-boot", func(n *deviceNote) { n.Boot = "11111111-2222-3333-4444-555555555555" })
	note("br-namespace", func(n *deviceNote) { n.Namespace = "net:[1]" })
	note("br-index", func(n *deviceNote) { n.Index++ })
	note("br-none", func(n *deviceNote) { n.Index = 0 })
	note("br-nothing", func(n *deviceNote) { *n = deviceNote{} })
	note("bb-0123456789ab", func(n *deviceNote) { n.Index, n.Boot = 0, "" })
	note("br-owned", func(*deviceNote) {})
	e.crash()
	// The network does not come up, and has its device all the same.
	run(t, "ip", "addr", "flush", "dev", "br-owned")
	run(t, "ip", "addr", "add", "10.82.0.1/24", "dev", "br-owned")
	logger := e.opts.Logger
	e.opts.Logger = slog.New(slog.DiscardHandler)
	e.open()
	for _, device := range []string{"br-boot", "br-namespace", "br-index", "br-none", "br-nothing", "bb-0123456789ab", "br-owned"} {
		if !bridge.Exists(device) {
			t.Errorf("the start took %s away", device)
		}
	}
	if left := e.notes(); len(left) > 0 {
		t.Errorf("notes after the start: %v", left)
	}
	e.opts.Logger = logger
	_, err = e.RemoveNetwork(t.Context(), "owner")
	must(t, err)
	if bridge.Exists("br-owned") {
		t.Error("the device of a network that did not come up is left")
	}
}

// TestDeviceThatStays: the kernel keeps a device. The engine starts, and the next
// start tries again.
func TestDeviceThatStays(t *testing.T) {
	e := newEnv(t)
	index, err := bridge.Index("lo")
	must(t, err)
	must(t, e.noteDevice("lo", index))
	for range 2 {
		e.crash()
		log := e.keepLog()
		e.open()
		if left := e.notes(); len(left) != 1 || !strings.Contains(log.String(), "level=WARN msg=\"a device stays that no network has") {
			t.Errorf("notes %v, log %s", left, log)
		}
	}
	e.forgetDevice("lo")
}

// TestDeviceOfNoUse: a note that nobody can read removes nothing and goes.
func TestDeviceOfNoUse(t *testing.T) {
	e := newEnv(t)
	names := []string{"br-old", "br-empty.json", "br-half.json", "br-torn.json.new"}
	for _, name := range names {
		device, _, _ := strings.Cut(name, ".")
		addBridge(t, device)
		text := ""
		if device == "br-half" {
			text = `{"boot":"`
		}
		must(t, os.WriteFile(filepath.Join(e.devicesDir(), name), []byte(text), 0o600))
	}
	e.crash()
	log := e.keepLog()
	e.open()
	for _, name := range names {
		device, _, _ := strings.Cut(name, ".")
		if !bridge.Exists(device) || !strings.Contains(log.String(), name) {
			t.Errorf("%s is there: %v, log %s", device, bridge.Exists(device), log)
		}
	}
	if left := e.notes(); len(left) > 0 {
		t.Errorf("notes after the start: %v", left)
	}
}

// TestChosenDevice: a device whose name the user chose is the network's as long as it
// is the one that was made for it. After a reboot it may be the host's own.
func TestChosenDevice(t *testing.T) {
	out := func(device string) string { return run(t, "ip", "-o", "link", "show", device) }
	e := newEnv(t)
	spec := CreateSpec{Name: "chosen", Options: map[string]string{optionDevice: "br-chosen"}, IPAM: pool("10.83.0.0/24")}
	n := e.create(spec)
	if text := out("br-chosen"); !strings.Contains(text, "alias berth network "+n.ID) || !strings.Contains(text, ",UP") {
		t.Errorf("the device is %s", text)
	}
	_, err := e.RemoveNetwork(t.Context(), "chosen")
	must(t, err)
	if bridge.Exists("br-chosen") || len(e.notes()) > 0 {
		t.Errorf("after the removal it is there: %v, notes %v", bridge.Exists("br-chosen"), e.notes())
	}

	// Made again after a reboot.
	n = e.create(spec)
	e.crash()
	must(t, bridge.Remove("br-chosen"))
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: devicePrefix + n.ID[:12]}})) // killed when it did
	e.open()
	if text := out("br-chosen"); !strings.Contains(text, "alias berth network "+n.ID) || bridge.Exists(devicePrefix+n.ID[:12]) {
		t.Errorf("after a reboot the device is %s", text)
	}

	// The host made it first.
	e.crash()
	must(t, bridge.Remove("br-chosen"))
	addBridge(t, "br-chosen")
	e.open()
	_, err = e.RemoveNetwork(t.Context(), "chosen")
	must(t, err)
	if !bridge.Exists("br-chosen") || len(e.notes()) > 0 {
		t.Errorf("the host's bridge is there: %v, notes %v", bridge.Exists("br-chosen"), e.notes())
	}

	// So with the parent of a macvlan, which was a VLAN that the engine had made.
	outside(t, "mvl0.5")
	lan := e.create(macvlanSpec("lan", "mvl0.5", pool("10.84.0.0/24")))
	e.networks[lan.ID].def.Made = true
	must(t, e.saveNetworks())
	e.crash()
	e.open()
	_, err = e.RemoveNetwork(t.Context(), "lan")
	must(t, err)
	if !bridge.Exists("mvl0.5") || len(e.notes()) > 0 {
		t.Errorf("the host's VLAN is there: %v, notes %v", bridge.Exists("mvl0.5"), e.notes())
	}
}

// TestDeviceMadeBySomebodyElse while the engine makes it, and what fails half-way.
func TestDeviceMadeBySomebodyElse(t *testing.T) {
	e := newEnv(t)
	d := definition{ID: newID(), Name: "x", Driver: "bridge", Options: map[string]string{optionDevice: "br-race"}}
	add := func(name string) error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}})
	}
	made, err := e.provide(d, e.noteDevice, func(as string) error { return errors.Join(add(as), add("br-race")) })
	if made || err != nil || !bridge.Exists("br-race") || bridge.Exists(d.ownDevice()) || len(e.notes()) > 0 {
		t.Errorf("made %v, %v; the other's is there: %v, ours: %v, notes %v", made, err, bridge.Exists("br-race"), bridge.Exists(d.ownDevice()), e.notes())
	}
	must(t, e.unmake(d))
	if !bridge.Exists("br-race") {
		t.Error("the other's is gone")
	}
	if _, err := e.CreateNetwork(t.Context(), CreateSpec{Name: "x", Options: d.Options}); !errdefs.IsConflict(err) {
		t.Errorf("create: %v", err)
	}
	must(t, bridge.Remove("br-race"))
	broken := errors.New("broken")
	fails := func(device string, index int) error {
		if device == "br-race" {
			return broken
		}
		return e.noteDevice(device, index)
	}
	if made, err := e.provide(d, fails, add); made || !errors.Is(err, broken) || bridge.Exists(d.ownDevice()) || len(e.notes()) > 0 {
		t.Errorf("made %v, %v; notes %v", made, err, e.notes())
	}
}

// TestLeftoverThatStays: what cannot be removed of an earlier engine keeps this one
// from nothing.
func TestLeftoverThatStays(t *testing.T) {
	e := newEnv(t)
	stuck := filepath.Join(e.netnsDir(), "stuck")
	must(t, os.MkdirAll(filepath.Join(stuck, "inside"), 0o700))
	e.start(SandboxSpec{ContainerID: "gone"})
	must(t, e.forget("gone")) // killed in the middle of its end
	e.crash()
	log := e.keepLog()
	e.open()
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), stuck) {
		t.Errorf("log %s", log)
	}
	must(t, os.RemoveAll(stuck))
	if c := e.census(); c.files != 0 || c.mounts != 0 || c.veths != 0 {
		t.Errorf("left beside it: %+v", c)
	}
}
