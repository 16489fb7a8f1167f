package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// StaticRoute is a route beside the default one; without By to what is connected.
type StaticRoute struct {
	To netip.Prefix
	By netip.Addr
}

// Lend moves a device of the host's that somebody else made into the namespace
// at a path. One that the host itself uses, which shows by its addresses, is
// refused.
func Lend(name, namespace string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", name, err)
	}
	// Every device that is up has a link-local address of IPv6.
	addrs = slices.DeleteFunc(addrs, func(a netlink.Addr) bool { return a.IP.To4() == nil && a.IP.IsLinkLocalUnicast() })
	if len(addrs) > 0 || link.Attrs().MasterIndex != 0 || link.Type() == "bridge" {
		return errors.New("the host uses it")
	}
	ns, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer ns.Close()
	return netlink.LinkSetNsFd(link, int(ns.Fd()))
}

// Furnish names a device of the calling thread's namespace that is no end of
// Attach's, gives it the port's addresses and brings it up with its routes.
func Furnish(device string, p Port, routes []StaticRoute) error {
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	link, err := inside.LinkByName(device)
	if err != nil {
		return err
	}
	if err := inside.LinkSetDown(link); err != nil {
		return err
	}
	if err := inside.LinkSetName(link, p.Name); err != nil {
		return fmt.Errorf("name it %s: %w", p.Name, err)
	}
	if err := inside.LinkSetHardwareAddr(link, p.MAC); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("give it the hardware address %s: %w", p.MAC, err)
	}
	if err := inside.AddrAdd(link, &netlink.Addr{IPNet: toIPNet(p.Address)}); err != nil {
		return fmt.Errorf("give it the address %s: %w", p.Address, err)
	}
	if p.Address6.IsValid() {
		if err := enable6(p.Name); err != nil {
			return err
		}
		if err := addAddress6(inside.AddrAdd, &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: link.Attrs().Index, Name: p.Name}}, p.Address6); err != nil {
			return err
		}
	}
	if err := inside.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring it up: %w", err)
	}
	if err := settleHere(p.Name); err != nil {
		return err
	}
	if p.Address6.IsValid() {
		joined(p.Name, p.Address6.Addr())
	}
	for _, r := range routes {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: toIPNet(r.To)}
		if r.By.IsValid() {
			route.Gw = r.By.AsSlice()
		} else {
			route.Scope = netlink.SCOPE_LINK
		}
		if err := inside.RouteReplace(route); err != nil {
			return fmt.Errorf("set the route to %s: %w", r.To, err)
		}
	}
	return nil
}

// GiveBack moves a lent device from the calling thread's namespace under its own
// name to another one; a device that is not there is no error.
func GiveBack(name, device string, to *os.File) error {
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	for _, n := range []string{name, device} {
		link, err := inside.LinkByName(n)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		if err == nil {
			err = inside.LinkSetDown(link)
		}
		if err == nil && n != device {
			err = inside.LinkSetName(link, device)
		}
		if err == nil {
			err = inside.LinkSetNsFd(link, int(to.Fd()))
		}
		if err != nil {
			return fmt.Errorf("give %s back as %s: %w", n, device, err)
		}
		return nil // the other name may be that of another device
	}
	return nil
}
