package network

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// cutFlows makes the kernel forget UDP flows that began before a change of
// published ports: a known flow is not looked up again, so a client that goes
// on sending would reach the host (before) or the old container (after) for as
// long as it sends. TCP needs nothing: its connections end with their peer.
// The packets find their way again at once, so a failure is only logged.
func (m *Manager) cutFlows(s *Sandbox, released bool) {
	f := udpFlows{released: released}
	for _, p := range s.Ports {
		if p.Proto == UDP {
			f.ports = append(f.ports, p.HostPort)
		}
	}
	if len(f.ports) == 0 {
		return
	}
	f.container = s.Endpoints[0].IPv4.Addr()
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f); err != nil {
		m.log.Warn("flows to published UDP ports stay as they were", "container", s.ContainerID, "err", err)
	}
}

// udpFlows chooses flows to some of the host's ports.
type udpFlows struct {
	ports     []uint16
	container netip.Addr
	// released chooses the flows that go to the container, otherwise those
	// whose addresses nobody translates.
	released bool
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f udpFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != unix.IPPROTO_UDP || !slices.Contains(f.ports, flow.Forward.DstPort) {
		return false
	}
	if f.released {
		return flow.Reverse.SrcIP.Equal(net.IP(f.container.AsSlice()))
	}
	return flow.Reverse.SrcIP.Equal(flow.Forward.DstIP) && flow.Reverse.DstIP.Equal(flow.Forward.SrcIP)
}
