// Package macvlan is the driver of macvlan networks: containers' interfaces are
// children of a device of the host, the parent, and stand in its network beside
// the host (Documentation/networking/ of the kernel; drivers/net/macvlan.c).
// Parent and children do not reach each other.
package macvlan

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// modes say what children of one parent exchange: in bridge mode frames pass
// among them, in vepa by the switch outside, in private not at all; in passthru
// the parent has one child.
var modes = map[string]netlink.MacvlanMode{
	"bridge":   netlink.MACVLAN_MODE_BRIDGE,
	"private":  netlink.MACVLAN_MODE_PRIVATE,
	"vepa":     netlink.MACVLAN_MODE_VEPA,
	"passthru": netlink.MACVLAN_MODE_PASSTHRU,
}

// Network is what a network's interfaces have in common.
type Network struct {
	// Parent is a device of the host.
	Parent string
	// Mode is bridge (also ""), private, vepa or passthru.
	Mode string
	// MTU of the interfaces; 0 for the parent's.
	MTU int
}

// Check refuses what no kernel can do: class InvalidArgument.
func (n Network) Check() error {
	if _, ok := modes[n.mode()]; !ok {
		return fault.Invalid("requested macvlan mode '%s' is not valid, 'bridge' mode is the macvlan driver default", n.Mode)
	}
	if n.Parent == "lo" {
		return fault.Invalid("loopback interface is not a valid macvlan parent link")
	}
	return nil
}

func (n Network) mode() string {
	if n.Mode == "" {
		return "bridge"
	}
	return n.Mode
}

// Alone gives the name of the parent of a network that has none of the host's,
// from 12 hex digits of its id.
func Alone(id string) string { return AlonePrefix + id[:12] }

// AlonePrefix begins the names that Alone gives.
const AlonePrefix = "dm-"

// Make makes the parent, which must not exist, under another name: one of the form
// DEVICE.ID as a VLAN of the device, the one that Alone names as a device that leads
// nowhere. It is down. Class InvalidArgument if there is no such parent.
func (n Network) Make(as string, alone bool) error {
	if alone {
		return makeAlone(as)
	}
	return makeVLAN(n.Parent, as)
}

// Up brings a parent up that Make made and that has its own name.
func (n Network) Up() error {
	// The peer is there where the kernel has no dummies.
	if err := up(peerOf(n.Parent)); err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
		return err
	}
	return up(n.Parent)
}

// peerOf names the other end of a pair that stands for a device that leads nowhere.
func peerOf(name string) string { return "dp-" + strings.TrimPrefix(name, AlonePrefix) }

func makeAlone(name string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs})
	if errors.Is(err, unix.EOPNOTSUPP) {
		// A kernel without dummies: one end of a pair whose other end nobody has.
		err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peerOf(name)})
	}
	if err != nil {
		return fmt.Errorf("make the parent interface %s: %w", name, err)
	}
	return nil
}

func makeVLAN(name, as string) error {
	device, text, ok := strings.Cut(name, ".")
	id, err := strconv.Atoi(text)
	if !ok || err != nil || id < 1 || id > 4094 {
		return fault.Invalid("the macvlan parent interface %s was not found on the host", name)
	}
	parent, err := netlink.LinkByName(device)
	if err != nil {
		return fault.Invalid("the macvlan parent interface %s was not found on the host, nor %s to make its VLAN %d", name, device, id)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = as, parent.Attrs().Index
	switch err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: id}); {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fault.Unavailable("the host's kernel has no VLANs: %s cannot be made", name)
	case err != nil:
		return fmt.Errorf("make VLAN %d of %s: %w", id, device, err)
	}
	return nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

// Try makes an interface of a name and deletes it again, which shows whether the
// kernel and the parent can do it. Classes: Unavailable (a kernel without
// macvlan), InvalidArgument (not with this parent).
func (n Network) Try(name string) error {
	err := n.add(name, nil, nil)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return fault.Unavailable("the host's kernel has no macvlan")
	case err != nil:
		return fault.Invalid("the interface %s cannot be a macvlan parent in %s mode: %w", n.Parent, n.mode(), err)
	}
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

// Attach makes an interface of a name in the namespace at a path. It goes with
// the namespace. The calling thread must be in the host's namespace.
func (n Network) Attach(namespace, name string, mac net.HardwareAddr) error {
	ns, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := n.add(name, mac, ns); err != nil {
		return fmt.Errorf("make macvlan interface on %s: %w", n.Parent, err)
	}
	return nil
}

func (n Network) add(name string, mac net.HardwareAddr, ns *os.File) error {
	parent, err := netlink.LinkByName(n.Parent)
	if err != nil {
		return fmt.Errorf("look up the parent interface %s: %w", n.Parent, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.HardwareAddr, attrs.MTU = name, parent.Attrs().Index, mac, n.MTU
	if ns != nil {
		attrs.Namespace = netlink.NsFd(ns.Fd())
	}
	return netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: modes[n.mode()]})
}

// Quit deletes an interface of the calling thread's namespace, rather than have
// the kernel do it some time after the namespace's end: until then its hardware
// address is taken at the parent, and the parent's mode is settled. One that does
// not exist is no error.
func Quit(name string) error {
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	link, err := inside.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = inside.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

// Strays deletes the interfaces of the calling thread's namespace that Attach made
// and that have none of the known names: what a daemon left that was killed. An
// interface that a container made itself has its parent in the same namespace.
func Strays(known func(name string) bool) error {
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	links, err := inside.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var errs []error
	for _, l := range links {
		a := l.Attrs()
		if l.Type() == "macvlan" && a.NetNsID >= 0 && !known(a.Name) {
			if err := inside.LinkDel(l); err != nil {
				errs = append(errs, fmt.Errorf("delete %s: %w", a.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}
