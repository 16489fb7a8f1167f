package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

const conf6 = "net/ipv6/conf/"

// HasIPv6 tells whether the kernel has IPv6.
func HasIPv6() bool {
	_, err := os.Stat("/proc/sys/" + conf6 + "all")
	return err == nil
}

// routed6 gives the bridge its IPv6 address and makes the host forward.
func routed6(cfg Config, link netlink.Link) error {
	if !HasIPv6() {
		return fault.Unavailable("the host's kernel has no IPv6, which bridge %s needs", cfg.Device)
	}
	for key, value := range map[string]string{
		"disable_ipv6": "0",
		// A container must not tell the host where to route.
		"accept_ra": "0",
		// Nobody else is on the bridge before it has its address. While an address
		// is examined for duplicates the kernel does not ask for neighbours.
		"accept_dad": "0",
	} {
		if err := setSysctl(conf6+cfg.Device+"/"+key, value); err != nil {
			return err
		}
	}
	if err := forward6(); err != nil {
		return err
	}
	return addAddress6(netlink.AddrReplace, link, cfg.Gateway6)
}

// addAddress6 gives a device an address that is not examined for duplicates.
func addAddress6(add func(netlink.Link, *netlink.Addr) error, link netlink.Link, p netip.Prefix) error {
	if err := add(link, &netlink.Addr{IPNet: toIPNet(p), Flags: unix.IFA_F_NODAD}); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("give %s the address %s: %w", link.Attrs().Name, p, err)
	}
	return nil
}

// forward6 makes the host forward IPv6. As a router it would take no more routes
// from other routers, and forget those that it has; devices that listened to
// them go on doing so (accept_ra 2; Documentation/networking/ip-sysctl.rst).
func forward6() error {
	if on, err := os.ReadFile("/proc/sys/" + conf6 + "all/forwarding"); err == nil && strings.TrimSpace(string(on)) != "0" {
		return nil
	}
	devices, err := os.ReadDir("/proc/sys/" + conf6)
	if err != nil {
		return fmt.Errorf("list devices with IPv6: %w", err)
	}
	for _, d := range devices {
		if d.Name() == "all" || d.Name() == "default" || d.Name() == "lo" {
			continue
		}
		ra, err := os.ReadFile("/proc/sys/" + conf6 + d.Name() + "/accept_ra")
		if err != nil || strings.TrimSpace(string(ra)) != "1" {
			continue // gone meanwhile, or told otherwise
		}
		if err := setSysctl(conf6+d.Name()+"/accept_ra", "2"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return setSysctl(conf6+"all/forwarding", "1")
}

// Withdraw takes an address that the device once had away. It is no error if it
// does not have it, or does not exist.
func Withdraw(device string, p netip.Prefix) error {
	link, err := netlink.LinkByName(device)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.AddrDel(link, &netlink.Addr{IPNet: toIPNet(p)})
	}
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("take the address %s from %s: %w", p, device, err)
	}
	return nil
}

// enable6 turns IPv6 on for a device of the calling thread's namespace, in which
// Loopback has turned it off.
func enable6(name string) error {
	for _, s := range [...]struct{ key, value string }{
		{"lo/disable_ipv6", "0"}, // ::1
		{name + "/accept_ra", "0"},
		{name + "/accept_dad", "0"},
		{name + "/disable_ipv6", "0"},
	} {
		if err := setSysctl(conf6+s.key, s.value); err != nil {
			return err
		}
	}
	return nil
}

// joinPatience is how long joined waits. What is not so then becomes so later,
// and costs a neighbour one repetition, after a second.
const joinPatience = 250 * time.Millisecond

// joined waits until a device of the calling thread's namespace, which is up,
// listens to the group by which neighbours ask for an address (RFC 4291, 2.7.1).
// The kernel lets it join from a work queue (net/ipv6/addrconf.c,
// addrconf_dad_work); a question that comes earlier is lost.
func joined(name string, a netip.Addr) {
	b := a.As16()
	group := fmt.Sprintf("ff0200000000000000000001ff%02x%02x%02x", b[13], b[14], b[15])
	for end := time.Now().Add(joinPatience); time.Now().Before(end); time.Sleep(500 * time.Microsecond) {
		text, err := os.ReadFile("/proc/thread-self/net/igmp6")
		if err != nil {
			return
		}
		for line := range strings.Lines(string(text)) {
			// Index, device, group, …
			if f := strings.Fields(line); len(f) > 2 && f[1] == name && f[2] == group {
				return
			}
		}
	}
}
