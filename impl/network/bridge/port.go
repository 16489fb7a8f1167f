package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Port asks for a container's interface on a bridge.
type Port struct {
	// HostName and Name are the two ends' names.
	HostName string
	Name     string
	MAC      net.HardwareAddr
	// Address with the subnet's length.
	Address netip.Prefix
	// Gateway gets the default route; zero makes none.
	Gateway netip.Addr
	// The same for IPv6; zero where the network has none, and then IPv6 is off.
	Address6 netip.Prefix
	Gateway6 netip.Addr
}

// Host is a route socket in the host's namespace that a thread in another
// namespace can use. It is good for one goroutine at a time.
type Host struct{ socket *nl.NetlinkSocket }

// OpenHost opens the socket; the calling thread must be in the host's namespace.
func OpenHost() (*Host, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route socket: %w", err)
	}
	return &Host{s}, nil
}

// Close closes the socket.
func (h *Host) Close() { h.socket.Close() }

// Attach makes the pair, puts one end on the bridge and the other, configured,
// into the namespace of the calling thread. The pair goes with the namespace;
// when Attach fails it may be there, and Detach removes it.
func (b *Bridge) Attach(host *Host, p Port) error {
	if err := b.pair(host, p); err != nil {
		return err
	}
	if err := b.configure(host, p.HostName); err != nil {
		return err
	}
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	index, err := Index(p.Name)
	if err != nil {
		return fmt.Errorf("look up %s in namespace: %w", p.Name, err)
	}
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index, Name: p.Name}}
	if err := inside.AddrAdd(link, &netlink.Addr{IPNet: toIPNet(p.Address)}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", p.Name, p.Address, err)
	}
	if p.Address6.IsValid() {
		if err := enable6(p.Name); err != nil {
			return err
		}
		if err := addAddress6(inside.AddrAdd, link, p.Address6); err != nil {
			return err
		}
	}
	if err := inside.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring %s up: %w", p.Name, err)
	}
	// The first port brings the bridge itself up.
	for _, name := range []string{p.HostName, b.cfg.Device} {
		if err := settle(host.socket.GetFd(), name); err != nil {
			return err
		}
	}
	if p.Address6.IsValid() {
		// Until the inner end is known to be up it belongs to no multicast group,
		// by which its neighbours ask for it.
		if err := settleHere(p.Name); err != nil {
			return err
		}
		joined(p.Name, p.Address6.Addr())
	}
	return setRoutes(inside, index, []netip.Addr{p.Gateway, p.Gateway6})
}

// Route gives an interface of the calling thread's namespace the default routes
// by these gateways, one per family; zero ones are passed over.
func Route(name string, gateways ...netip.Addr) error {
	index, err := Index(name)
	if err != nil {
		return fmt.Errorf("look up %s in namespace: %w", name, err)
	}
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	return setRoutes(inside, index, gateways)
}

func setRoutes(inside *netlink.Handle, index int, gateways []netip.Addr) error {
	for _, gateway := range gateways {
		if !gateway.IsValid() {
			continue
		}
		if err := inside.RouteReplace(&netlink.Route{LinkIndex: index, Gw: gateway.AsSlice()}); err != nil {
			return fmt.Errorf("set default route to %s: %w", gateway, err)
		}
	}
	return nil
}

// pair makes both ends, named and in their places, with one request.
func (b *Bridge) pair(host *Host, p Port) error {
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("open namespace: %w", err)
	}
	defer ns.Close()

	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: host.socket}}
	outer := nl.NewIfInfomsg(unix.AF_UNSPEC)
	outer.Flags, outer.Change = unix.IFF_UP, unix.IFF_UP
	req.AddData(outer)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(p.HostName)))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(b.cfg.MTU))))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.index))))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	// The inner end cannot be made up: it has no other end yet (veth_open).
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(p.Name))
	peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(b.cfg.MTU)))
	peer.AddRtAttr(unix.IFLA_ADDRESS, p.MAC)
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(ns.Fd())))
	req.AddData(info)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("make veth pair %s–%s on %s: %w", p.HostName, p.Name, b.cfg.Device, err)
	}
	return nil
}

// configure sets a port's flags.
//
// Hairpin lets a frame leave through the port on which it came: where
// bridge-nf-call-iptables is on (the default when br_netfilter is present, and
// Docker wants it), a container's packet to its own published port is
// translated inside the bridge and sent straight back (br_netfilter_hooks.c,
// br_nf_pre_routing_finish). Isolated ports reach the bridge's own device only.
func (b *Bridge) configure(host *Host, name string) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: host.socket}}
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	flags := info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil)
	flags.AddRtAttr(nl.IFLA_BRPORT_MODE, []byte{1})
	if b.isolatePorts {
		flags.AddRtAttr(nl.IFLA_BRPORT_ISOLATED, []byte{1})
	}
	req.AddData(info)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("configure port %s of bridge %s: %w", name, b.cfg.Device, err)
	}
	return nil
}

// settle makes the kernel act at once on a link's coming up. It would otherwise
// do so from a work queue, and until then the bridge drops the port's frames:
// a first ARP request would be lost and repeated after a second. To ask whether
// the link is up by way of ethtool flushes that queue for the device
// (net/ethtool/ioctl.c, ethtool_op_get_link → linkwatch_sync_dev).
func settle(socket int, name string) error {
	link := struct{ cmd, data uint32 }{cmd: unix.ETHTOOL_GLINK}
	// struct ifreq of linux/if.h: the name, then a union, here a pointer.
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&link)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(&link)
	if errno != 0 {
		return fmt.Errorf("ask for the link state of %s: %w", name, errno)
	}
	return nil
}

// settleHere is settle for a device of the calling thread's namespace.
func settleHere(name string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	return settle(fd, name)
}

// Detach deletes a pair by its host side's name; one that does not exist is no
// error. It takes tens of milliseconds.
func Detach(hostName string) error {
	link, err := netlink.LinkByName(hostName)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up %s: %w", hostName, err)
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete %s: %w", hostName, err)
	}
	return nil
}

// Exists tells whether the calling thread's namespace has a device of this
// name, without the kernel's lock over all devices.
func Exists(name string) bool {
	_, err := Index(name)
	return err == nil
}

// Loopback brings lo up in the calling thread's namespace and turns IPv6 off
// there for lo and every later interface: Attach turns it on where it is wanted.
func Loopback() error {
	// "all" sets "default" too (net/ipv6/addrconf.c, addrconf_disable_ipv6).
	err := setSysctl("net/ipv6/conf/all/disable_ipv6", "1")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		return err
	}
	inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open route socket in namespace: %w", err)
	}
	defer inside.Close()
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1, Name: "lo"}}
	if err := inside.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}
