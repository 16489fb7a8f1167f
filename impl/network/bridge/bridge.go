// Package bridge is the driver of bridge networks: one bridge device on the
// host and one veth pair per container.
package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Config describes the bridge of one network.
type Config struct {
	// Device is the bridge's name.
	Device string
	// Gateway is the bridge's own address with the subnet's length.
	Gateway netip.Prefix
	// Gateway6 is the same for IPv6; zero in a network without.
	Gateway6 netip.Prefix
	MTU      int
	// Isolate keeps the network's containers from each other.
	Isolate bool
}

// Bridge is a bridge device that is up.
type Bridge struct {
	cfg   Config
	index int
	// isolatePorts says that the bridge itself must keep ports apart.
	isolatePorts bool
}

// Address gives the IPv4 address of a device, with its subnet's length, and
// whether the device exists. A device without an address gives the zero Prefix.
func Address(device string) (addr netip.Prefix, exists bool, err error) {
	link, err := netlink.LinkByName(device)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return netip.Prefix{}, false, nil
	}
	if err != nil {
		return netip.Prefix{}, false, fmt.Errorf("look up device %s: %w", device, err)
	}
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, unix.AF_INET) })
	if err != nil {
		return netip.Prefix{}, true, fmt.Errorf("read addresses of %s: %w", device, err)
	}
	if len(addrs) == 0 {
		return netip.Prefix{}, true, nil
	}
	return toPrefix(addrs[0].IPNet), true, nil
}

// Ensure makes the device if it does not exist, gives it the address if it does
// not have it, and brings it up. Class Conflict if a device of another kind has
// the name, or the bridge has another address.
func Ensure(cfg Config) (*Bridge, error) {
	link, err := netlink.LinkByName(cfg.Device)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		if err := Create(cfg); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, err
		}
		if link, err = netlink.LinkByName(cfg.Device); err != nil {
			return nil, fmt.Errorf("look up new bridge %s: %w", cfg.Device, err)
		}
	case err != nil:
		return nil, fmt.Errorf("look up bridge %s: %w", cfg.Device, err)
	case link.Type() != "bridge":
		return nil, fault.Conflict("device %s exists and is no bridge but of type %s", cfg.Device, link.Type())
	}
	have, _, err := Address(cfg.Device)
	if err != nil {
		return nil, err
	}
	if have.IsValid() && have != cfg.Gateway {
		return nil, fault.Conflict("bridge %s has the address %s, not %s", cfg.Device, have, cfg.Gateway)
	}
	if !have.IsValid() {
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: toIPNet(cfg.Gateway)}); err != nil {
			return nil, fmt.Errorf("give bridge %s the address %s: %w", cfg.Device, cfg.Gateway, err)
		}
	}
	// Packets from 127.0.0.1 to a published port leave through the bridge.
	if err := setSysctl("net/ipv4/conf/"+cfg.Device+"/route_localnet", "1"); err != nil {
		return nil, err
	}
	if err := setSysctl("net/ipv4/ip_forward", "1"); err != nil {
		return nil, err
	}
	if cfg.Gateway6.IsValid() {
		if err := routed6(cfg, link); err != nil {
			return nil, err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("bring bridge %s up: %w", cfg.Device, err)
	}
	b := &Bridge{cfg: cfg, index: link.Attrs().Index}
	if cfg.Isolate {
		if err := b.separate(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// separate makes frames between containers pass the firewall's forward chain,
// which knows published ports, where br_netfilter is there for it; this bridge
// alone is told so, not the host. Where it is not, ports are isolated from each
// other, and published ports are reached by routing.
func (b *Bridge) separate() error {
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		b.isolatePorts = true
		return nil
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(b.index)
	req.AddData(msg)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_BR_NF_CALL_IPTABLES, []byte{1})
	data.AddRtAttr(nl.IFLA_BR_NF_CALL_IP6TABLES, []byte{1})
	req.AddData(info)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("let frames of bridge %s pass the firewall: %w", b.cfg.Device, err)
	}
	return nil
}

// Create makes the device, which must not exist, without address and down. It has
// a hardware address of its own; a bridge without one takes that of a port and
// changes it when the port goes, which breaks the containers' neighbour caches.
func Create(cfg Config) error {
	a := cfg.Gateway.Addr().As4()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = cfg.Device
	attrs.MTU = cfg.MTU
	attrs.HardwareAddr = net.HardwareAddr{0x02, 0x42, a[0], a[1], a[2], a[3]}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return fmt.Errorf("make bridge %s: %w", cfg.Device, err)
	}
	return nil
}

// Remove deletes a device; one that does not exist is no error.
func Remove(device string) error {
	link, err := netlink.LinkByName(device)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up device %s: %w", device, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete device %s: %w", device, err)
	}
	return nil
}

// Ports gives the names of the ends of pairs on each of the host's bridges, by
// the bridge's name.
func Ports() (map[string][]string, error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the ports of bridges: %w", err)
	}
	bridges := make(map[int]string)
	for _, l := range links {
		if l.Type() == "bridge" {
			bridges[l.Attrs().Index] = l.Attrs().Name
		}
	}
	ports := make(map[string][]string)
	for _, l := range links {
		if name := bridges[l.Attrs().MasterIndex]; name != "" && l.Type() == "veth" {
			ports[name] = append(ports[name], l.Attrs().Name)
		}
	}
	return ports, nil
}

// Adopt puts a device that exists back on the bridge if it is not (someone may
// have deleted the bridge, which spares its ports).
func (b *Bridge) Adopt(hostName string) error {
	link, err := netlink.LinkByName(hostName)
	if err != nil {
		return fmt.Errorf("look up %s: %w", hostName, err)
	}
	if link.Attrs().MasterIndex == b.index {
		return nil
	}
	if err := netlink.LinkSetMasterByIndex(link, b.index); err != nil {
		return fmt.Errorf("put %s on bridge %s: %w", hostName, b.cfg.Device, err)
	}
	host, err := OpenHost()
	if err != nil {
		return err
	}
	defer host.Close()
	return b.configure(host, hostName)
}

// Taken gives the subnets that the host's addresses and routes use, device's
// own left out. The default route is none.
func Taken(device string) ([]netip.Prefix, error) {
	own := -1
	if link, err := netlink.LinkByName(device); err == nil {
		own = link.Attrs().Index
	}
	var taken []netip.Prefix
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, unix.AF_INET) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if a.LinkIndex != own {
			taken = append(taken, toPrefix(a.IPNet).Masked())
		}
	}
	routes, err := whole(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.LinkIndex == own || r.Type != unix.RTN_UNICAST {
			continue
		}
		if p := toPrefix(r.Dst); p.Bits() > 0 {
			taken = append(taken, p.Masked())
		}
	}
	return taken, nil
}

// whole repeats a list that the kernel says changed while it was read
// (NLM_F_DUMP_INTR); after many times the last one must do.
func whole[T any](list func() ([]T, error)) (result []T, err error) {
	for range 20 {
		if result, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return result, err
		}
	}
	return result, nil
}

// setSysctl writes a value below /proc/sys unless it is there already, so that
// a read-only /proc/sys with the right values will do.
func setSysctl(key, value string) error {
	path := "/proc/sys/" + key
	if have, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(have)) == value {
		return nil
	}
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("set %s to %s: %w", strings.ReplaceAll(key, "/", "."), value, err)
	}
	return nil
}

func toPrefix(n *net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
