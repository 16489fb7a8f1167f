package relay

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/ipv6"
)

const (
	// idle is how long neither side of a flow may say anything before it is forgotten
	// (net.netfilter.nf_conntrack_udp_timeout_stream is 120 s).
	idle = 90 * time.Second
	// maxDatagram is the longest one there is.
	maxDatagram = 65535
)

// datagrams serves a UDP socket.
type datagrams struct {
	relay  *Relay
	socket *net.UDPConn
	packet *ipv6.PacketConn

	mu    sync.Mutex
	flows map[flowKey]*flow
}

// flowKey is a client and which of the host's addresses it speaks to: the answer
// must come from that one.
type flowKey struct {
	client netip.AddrPort
	local  netip.Addr
	index  int // of the device
}

// flow is one client's way to the container.
type flow struct {
	to   netip.AddrPort
	conn net.Conn
}

// prepare asks the kernel for each datagram's destination.
func (d *datagrams) prepare() error {
	d.packet = ipv6.NewPacketConn(d.socket)
	return d.packet.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
}

func (d *datagrams) serve() {
	buf := make([]byte, maxDatagram)
	for {
		n, cm, from, err := d.packet.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select { // it may last: want of memory
			case <-d.relay.ctx.Done():
				return
			case <-time.After(acceptPause):
			}
			continue
		}
		if cm == nil {
			continue
		}
		local, _ := netip.AddrFromSlice(cm.Dst)
		key := flowKey{from.(*net.UDPAddr).AddrPort(), local, cm.IfIndex}
		if f := d.flow(key); f != nil {
			_ = f.conn.SetReadDeadline(time.Now().Add(idle)) // fails at its end only
			_, _ = f.conn.Write(buf[:n])                     // as lost as any datagram may be
		}
	}
}

// flow finds or makes the client's way; nil if there is none.
func (d *datagrams) flow(key flowKey) *flow {
	to := d.relay.target()
	d.mu.Lock()
	f := d.flows[key]
	d.mu.Unlock()
	if f != nil && f.to == to {
		return f
	}
	if f != nil {
		d.end(key, f) // the container is somewhere else now
	}
	select {
	case d.relay.clients <- struct{}{}:
	default:
		return nil
	}
	c, err := d.relay.dial("udp")
	if err != nil {
		<-d.relay.clients
		return nil
	}
	if !d.relay.keep(c) {
		c.Close()
		<-d.relay.clients
		return nil
	}
	f = &flow{to: to, conn: c}
	d.mu.Lock()
	d.flows[key] = f
	d.mu.Unlock()
	d.relay.work.Go(func() {
		defer func() { <-d.relay.clients }()
		defer d.end(key, f)
		d.answer(key, f)
	})
	return f
}

func (d *datagrams) end(key flowKey, f *flow) {
	d.relay.drop(f.conn)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.flows[key] == f {
		delete(d.flows, key)
	}
}

// answer passes what the container says back to the client.
func (d *datagrams) answer(key flowKey, f *flow) {
	buf := make([]byte, maxDatagram)
	client := net.UDPAddrFromAddrPort(key.client)
	cm := &ipv6.ControlMessage{Src: key.local.AsSlice(), IfIndex: key.index}
	for {
		if f.conn.SetReadDeadline(time.Now().Add(idle)) != nil {
			return
		}
		n, err := f.conn.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			continue // nobody listens there (yet): ICMP says so once per datagram
		}
		_, _ = d.packet.WriteTo(buf[:n], cm, client)
	}
}
