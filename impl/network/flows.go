package network

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// flows is a socket to the kernel's table of connections, opened when needed
// and then kept (see firewall.Table for why). The zero value is ready.
type flows struct {
	mu     sync.Mutex
	handle *netlink.Handle
}

// cut makes the kernel forget the flows that match.
func (f *flows) cut(match netlink.CustomConntrackFilter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle == nil {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		f.handle = h
	}
	var errs []error
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		_, err := f.handle.ConntrackDeleteFilters(netlink.ConntrackTable, family, match)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (f *flows) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle != nil {
		f.handle.Close()
		f.handle = nil
	}
}

// cutFlows makes the kernel forget UDP flows to ports that are published now: a
// flow that is known is not looked up again, so that a client which goes on
// sending would reach the host, or the container that had the port before, for
// as long as it sends. TCP needs nothing: its connections end with their peer.
// A failure makes no difference but to such clients, so it is only logged.
func (m *Manager) cutFlows(s *Sandbox) {
	if ports := s.udpPorts(); len(ports) > 0 {
		if err := m.flows.cut(flowsTo(ports)); err != nil {
			m.log.Warn("flows to published UDP ports stay as they were", "container", s.ContainerID, "err", err)
		}
	}
}

// endFlows makes the kernel forget the UDP flows to a container's published
// ports, before another container gets its address.
func (m *Manager) endFlows(containerID string, addrs ...netip.Addr) {
	if err := m.flows.cut(flowsOf(addrs)); err != nil {
		m.log.Warn("flows to a released container stay", "container", containerID, "err", err)
	}
}

func (s *Sandbox) udpPorts() []uint16 {
	var ports []uint16
	for _, p := range s.Ports {
		if p.Proto == UDP {
			ports = append(ports, p.HostPort)
		}
	}
	return ports
}

// flowsTo are the UDP flows to some ports, but not those that leave the host
// masqueraded: their answers would be lost.
type flowsTo []uint16

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowsTo) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	leaves := flow.Reverse.SrcIP.Equal(flow.Forward.DstIP) && !flow.Reverse.DstIP.Equal(flow.Forward.SrcIP)
	return flow.Forward.Protocol == unix.IPPROTO_UDP && slices.Contains(f, flow.Forward.DstPort) && !leaves
}

// flowsOf are the UDP flows that are translated to one of a container's addresses.
type flowsOf []netip.Addr

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowsOf) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	return flow.Forward.Protocol == unix.IPPROTO_UDP && slices.ContainsFunc(f, func(a netip.Addr) bool {
		to := net.IP(a.AsSlice())
		return flow.Reverse.SrcIP.Equal(to) && !flow.Forward.DstIP.Equal(to)
	})
}
