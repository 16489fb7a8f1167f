// Package relay passes connections and datagrams that reach a socket of the host
// on to a container. It serves what the kernel cannot translate: published ports
// on ::1, on link-local addresses, and on IPv6 addresses for containers that have
// none. The container sees the host as its client.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	// maxClients is how many connections, or UDP clients, one port has at a time;
	// further ones wait in the socket's queue.
	maxClients = 512
	// patience with a container that does not accept.
	patience = 10 * time.Second
	// acceptPause follows an accept that failed for want of descriptors.
	acceptPause = 100 * time.Millisecond
)

// Target says where a new client is to go; the zero AddrPort is nowhere.
type Target func() netip.AddrPort

// Relay is the service of one socket.
type Relay struct {
	target  Target
	closer  io.Closer
	ctx     context.Context // ends with Close
	end     context.CancelFunc
	work    sync.WaitGroup
	clients chan struct{} // a token per client

	mu    sync.Mutex
	conns map[net.Conn]struct{} // to be closed with the relay; nil after Close
}

// Start serves a bound socket (of TCP: one that listens), which it owns from here
// on, also when it fails. proto is "tcp" or "udp".
func Start(proto string, fd int, target Target) (*Relay, error) {
	f := os.NewFile(uintptr(fd), proto)
	defer f.Close() // the net package works on a copy
	r := &Relay{target: target, clients: make(chan struct{}, maxClients), conns: make(map[net.Conn]struct{})}
	r.ctx, r.end = context.WithCancel(context.Background())
	switch proto {
	case "tcp":
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("serve socket: %w", err)
		}
		r.closer = l
		r.work.Go(func() { r.accept(l.(*net.TCPListener)) })
	case "udp":
		c, err := net.FilePacketConn(f)
		if err != nil {
			return nil, fmt.Errorf("serve socket: %w", err)
		}
		r.closer = c
		d := &datagrams{relay: r, socket: c.(*net.UDPConn), flows: make(map[flowKey]*flow)}
		if err := d.prepare(); err != nil {
			return nil, errors.Join(fmt.Errorf("serve socket: %w", err), c.Close())
		}
		r.work.Go(d.serve)
	default:
		return nil, fmt.Errorf("relay: protocol %q", proto)
	}
	return r, nil
}

// Close ends the service and its connections.
func (r *Relay) Close() {
	r.mu.Lock()
	conns := r.conns
	r.conns = nil
	r.mu.Unlock()
	if conns == nil {
		return
	}
	r.end()
	r.closer.Close()
	for c := range conns {
		c.Close()
	}
	r.work.Wait()
}

// keep notes a connection, so that Close ends it; false after Close.
func (r *Relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

// drop closes a connection.
func (r *Relay) drop(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// dial reaches for the container.
func (r *Relay) dial(proto string) (net.Conn, error) {
	to := r.target()
	if !to.IsValid() {
		return nil, errors.New("the container has no address")
	}
	d := net.Dialer{Timeout: patience}
	return d.DialContext(r.ctx, proto, to.String())
}

func (r *Relay) accept(l *net.TCPListener) {
	for {
		select {
		case r.clients <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		c, err := l.AcceptTCP()
		if err == nil {
			r.work.Go(func() {
				defer func() { <-r.clients }()
				r.converse(c)
			})
			continue
		}
		<-r.clients
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case <-r.ctx.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}

// converse passes bytes in both directions until both have ended.
func (r *Relay) converse(client *net.TCPConn) {
	if !r.keep(client) {
		client.Close()
		return
	}
	defer r.drop(client)
	c, err := r.dial("tcp")
	if err != nil {
		_ = client.SetLinger(0) // a reset, as from a port that nobody listens at
		return
	}
	server := c.(*net.TCPConn)
	if !r.keep(server) {
		server.Close()
		return
	}
	defer r.drop(server)
	var both sync.WaitGroup
	pass := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); err != nil {
			// Nothing more comes from there, or goes there: neither side waits.
			to.Close()
			from.Close()
			return
		}
		_ = to.CloseWrite() // gone already, which the other direction sees
	}
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}
