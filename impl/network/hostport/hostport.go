// Package hostport reserves ports of the host for publication.
//
// A reservation is a bound socket, so that no other program takes the port and
// a port that another program has is found out. The socket itself never gets
// a packet to answer: packets for a published port are translated before they
// reach a socket, and a filter drops what comes in the moment between, so that
// a client repeats its SYN instead of being accepted by nobody.
//
// The sockets of IPv6 addresses have no such filter: not every packet for them
// can be translated, so Hand gives them to a relay.
package hostport

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Key names a port of the host. Proto is "tcp" or "udp".
type Key struct {
	Proto string
	IP    netip.Addr
	Port  uint16
}

// String gives "0.0.0.0:80/tcp".
func (k Key) String() string {
	return netip.AddrPortFrom(k.IP, k.Port).String() + "/" + k.Proto
}

// Table is the set of reservations of one engine. The zero value is ready.
type Table struct {
	mu   sync.Mutex
	held map[Key]int // the socket; noSocket while it is being made or if adopted without
}

const noSocket = -1

// errRangeFull says that Reserve found no free port in the range it was given.
var errRangeFull = errors.New("every port of the range is taken")

// Reserve takes port, or if last is greater, the first free one of port–last,
// or if port is 0, one that the kernel chooses from
// net.ipv4.ip_local_port_range. Class Conflict if there is none.
func (t *Table) Reserve(proto string, ip netip.Addr, port, last uint16) (Key, error) {
	if port == 0 {
		return t.reserveRandom(proto, ip)
	}
	if last <= port {
		return t.reserveOne(Key{proto, ip, port})
	}
	for p := uint32(port); p <= uint32(last); p++ {
		key, err := t.reserveOne(Key{proto, ip, uint16(p)})
		if err == nil {
			return key, nil
		}
		var taken *takenError
		if !errors.As(err, &taken) {
			return Key{}, err
		}
	}
	return Key{}, fault.Conflict("Bind for %s failed: all ports are allocated: %w",
		fmt.Sprintf("%s-%d", netip.AddrPortFrom(ip, port), last), errRangeFull)
}

// takenError is the cause of a Conflict; Reserve tells it from other failures.
type takenError struct{ cause error }

func (e *takenError) Error() string { return e.cause.Error() }

func (t *Table) reserveOne(key Key) (Key, error) {
	if !t.claim(key) {
		return Key{}, fault.Conflict("Bind for %s failed: %w", netip.AddrPortFrom(key.IP, key.Port),
			&takenError{errors.New("port is already allocated")})
	}
	fd, _, err := bind(key)
	if err != nil {
		t.drop(key)
		if errors.Is(err, unix.EADDRINUSE) {
			return Key{}, fault.Conflict("listen %s %s: bind: %w", key.Proto,
				netip.AddrPortFrom(key.IP, key.Port), &takenError{errors.New("address already in use")})
		}
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return Key{}, fault.Conflict("listen %s %s: bind: cannot assign requested address", key.Proto,
				netip.AddrPortFrom(key.IP, key.Port))
		}
		return Key{}, fault.Internal("listen %s %s: %w", key.Proto, netip.AddrPortFrom(key.IP, key.Port), err)
	}
	t.keep(key, fd)
	return key, nil
}

func (t *Table) reserveRandom(proto string, ip netip.Addr) (Key, error) {
	for range 16 {
		fd, port, err := bind(Key{proto, ip, 0})
		if err != nil {
			if errors.Is(err, unix.EADDRINUSE) {
				break // the kernel's range is exhausted
			}
			return Key{}, fault.Internal("listen %s %s: %w", proto, netip.AddrPortFrom(ip, 0), err)
		}
		key := Key{proto, ip, port}
		// A port that an earlier engine published and this one could not bind
		// again is claimed without a socket, so the kernel may offer it.
		if t.claim(key) {
			t.keep(key, fd)
			return key, nil
		}
		unix.Close(fd)
	}
	return Key{}, fault.Conflict("Bind for %s failed: all ports are allocated", netip.AddrPortFrom(ip, 0))
}

// Adopt takes over a port that is published already. It keeps the reservation
// even if the socket cannot be bound, which err then reports: packets go to
// the container all the same.
func (t *Table) Adopt(key Key) error {
	if !t.claim(key) {
		return fault.Conflict("port %s is adopted twice", key)
	}
	fd, _, err := bind(key)
	if err != nil {
		return fmt.Errorf("reserve published port %s again: %w", key, err)
	}
	t.keep(key, fd)
	return nil
}

// Hand gives away the socket of a reserved port: from then on it is the caller's,
// who must close it when the port is released.
func (t *Table) Hand(key Key) (fd int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fd, ok := t.held[key]
	if !ok || fd == noSocket {
		return noSocket, fmt.Errorf("port %s has no socket", key)
	}
	t.held[key] = noSocket
	return fd, nil
}

// Release gives a port back. One that is not reserved is ignored.
func (t *Table) Release(key Key) { t.drop(key) }

// Close gives all ports back.
func (t *Table) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fd := range t.held {
		if fd != noSocket {
			unix.Close(fd)
		}
	}
	t.held = nil
}

// Held gives the number of reservations.
func (t *Table) Held() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.held)
}

// claim enters key unless an entry stands against it: the same port on the
// same address, or on all addresses on either side.
func (t *Table) claim(key Key) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key.IP.IsUnspecified() {
		for other := range t.held {
			if other.Proto == key.Proto && other.Port == key.Port && other.IP.Is4() == key.IP.Is4() {
				return false
			}
		}
	} else {
		any := key
		any.IP = netip.IPv4Unspecified()
		if key.IP.Is6() {
			any.IP = netip.IPv6Unspecified()
		}
		if _, taken := t.held[any]; taken {
			return false
		}
		if _, taken := t.held[key]; taken {
			return false
		}
	}
	if t.held == nil {
		t.held = make(map[Key]int)
	}
	t.held[key] = noSocket
	return true
}

func (t *Table) keep(key Key, fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held[key] = fd
}

func (t *Table) drop(key Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fd, ok := t.held[key]; ok {
		if fd != noSocket {
			unix.Close(fd)
		}
		delete(t.held, key)
	}
}

// bind makes the socket that holds a port and gives the port that it has.
func bind(key Key) (fd int, port uint16, err error) {
	kind, family := unix.SOCK_STREAM, unix.AF_INET
	if key.Proto == "udp" {
		kind = unix.SOCK_DGRAM
	}
	if key.IP.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	backlog := unix.SOMAXCONN
	if family == unix.AF_INET {
		backlog = 1
		// One instruction, "return 0": no packet passes.
		drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: 1, Filter: &drop[0]}); err != nil {
			return -1, 0, os.NewSyscallError("attach filter", err)
		}
	}
	if kind == unix.SOCK_STREAM && key.Port != 0 {
		// Connections of an earlier program in TIME_WAIT are no obstacle;
		// listen below makes the port exclusive again.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return -1, 0, os.NewSyscallError("setsockopt", err)
		}
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return -1, 0, os.NewSyscallError("setsockopt", err)
		}
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(key.Port), Addr: as4(key.IP)}
	if family == unix.AF_INET6 {
		sa = &unix.SockaddrInet6{Port: int(key.Port), Addr: key.IP.As16()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return -1, 0, os.NewSyscallError("bind", err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(fd, backlog); err != nil {
			return -1, 0, os.NewSyscallError("listen", err)
		}
	}
	if key.Port != 0 {
		return fd, key.Port, nil
	}
	got, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, os.NewSyscallError("getsockname", err)
	}
	switch got := got.(type) {
	case *unix.SockaddrInet4:
		return fd, uint16(got.Port), nil
	case *unix.SockaddrInet6:
		return fd, uint16(got.Port), nil
	}
	return -1, 0, fmt.Errorf("getsockname: unexpected address %T", got)
}

// as4 is Addr.As4 without its panic for other families.
func as4(ip netip.Addr) (a [4]byte) {
	if ip.Is4() {
		return ip.As4()
	}
	return a
}
