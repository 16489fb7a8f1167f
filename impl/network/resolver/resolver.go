// Package resolver is the name server that containers of user-defined networks
// find at 127.0.0.11: it answers for the names of their networks and forwards
// everything else.
//
// Its sockets are opened inside the container's network namespace and served
// from the engine's process. They are bound to free ports, and a table of
// nftables inside the namespace leads port 53 there: a name server that runs in
// the container itself can so still listen at port 53 of every address. Nothing
// of it is visible from another namespace.
//
// Questions of the outside are asked from inside the container's namespace, so
// that they take the container's routes and firewall; only for servers that the
// namespace cannot reach (a resolver on the host's loopback) the host asks.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/seed-50ced230/berth/impl/network/netns"
)

// Address is where containers find the resolver, at port 53 of UDP and TCP.
const Address = "127.0.0.11"

// Limits of one container's resolver. Beyond them a question gets SERVFAIL and
// a connection is closed.
const (
	maxForwards    = 100
	maxConnections = 32
)

// Source knows what the asking container may know. Its methods are called from
// many goroutines.
type Source interface {
	// Lookup gives the addresses of a name in the container's networks. name is
	// in lower case and has no final dot. ok is false when nobody there has it.
	Lookup(name string) (addrs []netip.Addr, ok bool)
	// Reverse gives the full name of an address in the container's networks.
	Reverse(addr netip.Addr) (name string, ok bool)
	// Upstreams are the name servers for everything else, in order.
	Upstreams() []Upstream
}

// Upstream is a name server.
type Upstream struct {
	Server netip.AddrPort
	// Host says that the host asks it, not the container's namespace.
	Host bool
}

// Ports are where the resolver really listens, at Address. The zero value is no
// resolver.
type Ports struct {
	UDP uint16 `json:"udp"`
	TCP uint16 `json:"tcp"`
}

// Server is a container's resolver at work.
type Server struct {
	key    string
	source Source
	log    *slog.Logger
	ports  Ports

	udp *net.UDPConn
	tcp *net.TCPListener

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	work     sync.WaitGroup
	forwards chan struct{} // a token per question under way
	conns    chan struct{} // a token per connection
}

// Start opens a resolver in the namespace at path key. Those ports are used
// that an earlier Server of the namespace had (before), if they are free, so
// that its clients do not notice the change. The namespace lives at least until
// Close.
func Start(key string, before Ports, source Source, log *slog.Logger) (*Server, error) {
	s := &Server{key: key, source: source, log: log,
		forwards: make(chan struct{}, maxForwards), conns: make(chan struct{}, maxConnections)}
	if err := netns.Do(key, func() error { return s.listen(before) }); err != nil {
		return nil, fmt.Errorf("start the name server at %s: %w", Address, err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work.Go(s.serveUDP)
	s.work.Go(s.serveTCP)
	return s, nil
}

// listen is called inside the namespace.
func (s *Server) listen(before Ports) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeSockets())
		}
	}()
	ip := net.ParseIP(Address)
	if s.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: ip, Port: int(before.UDP)}); err != nil && before.UDP != 0 {
		s.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
	}
	if err != nil {
		s.udp = nil
		return err
	}
	if s.tcp, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: ip, Port: int(before.TCP)}); err != nil && before.TCP != 0 {
		s.tcp, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: ip})
	}
	if err != nil {
		s.tcp = nil
		return err
	}
	s.ports = Ports{
		UDP: uint16(s.udp.LocalAddr().(*net.UDPAddr).Port),
		TCP: uint16(s.tcp.Addr().(*net.TCPAddr).Port),
	}
	if s.ports == before {
		return nil // the redirection lives in the namespace and is still there
	}
	return redirect(s.ports, before != Ports{})
}

// Ports says where the Server listens.
func (s *Server) Ports() Ports { return s.ports }

// Close ends the service and lets go of the namespace.
func (s *Server) Close() error {
	s.cancel()
	err := s.closeSockets()
	s.work.Wait()
	return err
}

func (s *Server) closeSockets() error {
	var errs []error
	if s.udp != nil {
		errs = append(errs, s.udp.Close())
	}
	if s.tcp != nil {
		errs = append(errs, s.tcp.Close())
	}
	return errors.Join(errs...)
}
