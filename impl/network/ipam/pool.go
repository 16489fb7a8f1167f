// Package ipam hands out the addresses of a subnet, and chooses subnets that
// the host does not use.
package ipam

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Pool hands out the addresses of one subnet, the lowest free one first. The
// subnet's first address (of IPv6: the routers' anycast address, RFC 4291, 2.6.1)
// and the last one of IPv4 are never handed out.
type Pool struct {
	subnet netip.Prefix
	span   netip.Prefix // where addresses without a wish come from

	mu      sync.Mutex
	used    map[netip.Addr]struct{}
	resting map[netip.Addr]chan struct{} // of used; closed when given back
	low     netip.Addr                   // every address of span below it is used
}

// NewPool makes a pool of subnet. Addresses that are not asked for by value
// come from span, a part of subnet; the zero Prefix means all of it.
func NewPool(subnet, span netip.Prefix) (*Pool, error) {
	subnet = subnet.Masked()
	if !subnet.IsValid() {
		return nil, fault.Invalid("invalid subnet")
	}
	if !span.IsValid() {
		span = subnet
	}
	span = span.Masked()
	if span.Bits() < subnet.Bits() || !subnet.Contains(span.Addr()) {
		return nil, fault.Invalid("address range %s is not in subnet %s", span, subnet)
	}
	p := &Pool{subnet: subnet, span: span, used: make(map[netip.Addr]struct{}), resting: make(map[netip.Addr]chan struct{}), low: span.Addr()}
	p.used[subnet.Addr()] = struct{}{}
	if subnet.Addr().Is4() && subnet.Bits() < 31 {
		p.used[Last(subnet)] = struct{}{}
	}
	return p, nil
}

// Subnet gives the pool's subnet.
func (p *Pool) Subnet() netip.Prefix { return p.subnet }

// Take gives the lowest free address; class Unavailable if none is left.
func (p *Pool) Take() (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := p.low; p.span.Contains(a); a = a.Next() {
		if _, taken := p.used[a]; !taken {
			p.used[a] = struct{}{}
			p.low = a.Next()
			return a, nil
		}
	}
	// Next of the last address of all is the zero Addr, which no span contains.
	family := "IPv4"
	if p.span.Addr().Is6() {
		family = "IPv6"
	}
	return netip.Addr{}, fault.Unavailable("no available %s addresses on this network's address pools: %s", family, p.span)
}

// TakeAddr takes one address: class Conflict if it is taken, InvalidArgument
// if it is not of the subnet.
func (p *Pool) TakeAddr(a netip.Addr) error { return p.AwaitAddr(a, 0) }

// AwaitAddr is TakeAddr, but one that rests is waited for, at most for patience.
func (p *Pool) AwaitAddr(a netip.Addr, patience time.Duration) error {
	if !p.subnet.Contains(a) {
		return fault.Invalid("Invalid address %s: It does not belong to any of this network's subnets", a)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		rest, taken := p.tryAddr(a)
		if !taken {
			return nil
		}
		if rest == nil {
			return fault.Conflict("Address already in use")
		}
		select {
		case <-rest:
		case <-timer.C:
			return fault.Conflict("Address already in use")
		}
	}
}

// tryAddr takes an address that is free, or tells that it is taken and, if it
// rests, what is closed at the end of that.
func (p *Pool) tryAddr(a netip.Addr) (rest <-chan struct{}, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.used[a]; taken {
		return p.resting[a], true
	}
	p.used[a] = struct{}{}
	return nil, false
}

// Rest says that a taken address has no owner any more and will soon be given
// back.
func (p *Pool) Rest(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.used[a]; taken && p.resting[a] == nil {
		p.resting[a] = make(chan struct{})
	}
}

// Give returns an address to the pool.
func (p *Pool) Give(a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.used[a]; !taken {
		return
	}
	delete(p.used, a)
	if rest := p.resting[a]; rest != nil {
		close(rest)
		delete(p.resting, a)
	}
	if p.span.Contains(a) && a.Less(p.low) {
		p.low = a
	}
}

// Used gives the number of addresses that cannot be taken.
func (p *Pool) Used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.used)
}

// Last gives the last address of a prefix (for IPv4 the broadcast address).
func Last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// First gives the first address of a prefix that a host can have.
func First(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }

// Choose gives the first of the default pools that overlaps none of taken:
// 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … 192.168.240.0/20.
// Class Unavailable if all are taken.
func Choose(taken []netip.Prefix) (netip.Prefix, error) {
	for i := 17; i <= 31; i++ {
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(i), 0, 0}), 16); free(p, taken) {
			return p, nil
		}
	}
	for i := 0; i < 256; i += 16 {
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, byte(i), 0}), 20); free(p, taken) {
			return p, nil
		}
	}
	return netip.Prefix{}, fault.Unavailable("could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network")
}

func free(p netip.Prefix, taken []netip.Prefix) bool {
	for _, t := range taken {
		if p.Overlaps(t) {
			return false
		}
	}
	return true
}

// Local6 derives a container's IPv6 address from its hardware address: the last
// 48 bits are that. The prefix must leave them free (at most 80 bits).
func Local6(p netip.Prefix, mac []byte) (netip.Addr, error) {
	if !p.Addr().Is6() || p.Bits() > 80 || len(mac) != 6 {
		return netip.Addr{}, fmt.Errorf("derive IPv6 address: %s does not leave 48 bits for a hardware address", p)
	}
	a := p.Masked().Addr().As16()
	copy(a[10:], mac)
	return netip.AddrFrom16(a), nil
}

// MAC derives the hardware address of an IPv4 address: 02:42 (locally
// administered) and the address. A successor on the same address then has the
// same hardware address, so that neighbours' caches stay right.
func MAC(a netip.Addr) ([]byte, error) {
	if !a.Is4() {
		return nil, fmt.Errorf("derive hardware address: %s is not IPv4", a)
	}
	b := a.As4()
	return []byte{0x02, 0x42, b[0], b[1], b[2], b[3]}, nil
}
