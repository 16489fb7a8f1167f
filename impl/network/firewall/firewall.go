// Package firewall keeps the engine's nftables table: translation of published
// ports, masquerading, and what may be forwarded to a bridge.
//
// The table, of family inet, belongs to one engine alone and holds:
//
//	map ports-any   proto . port          : address . port   published on every address
//	map ports-addr  address . proto . port: address . port   published on one address
//	set masquerade  subnets whose outgoing packets get the host's address
//	ports-any6, ports-addr6, masquerade6   the same for IPv6
//	map to, from, after, internal  device : verdict           one chain each per network
//
//	chain guard      prerouting  raw     from a bridge: nothing for or from 127.0.0.0/8
//	chain publish    prerouting  dstnat  for a local address: look up ports-addr, ports-any
//	chain publish-local  output  dstnat  the same for the host's own packets
//	chain forward    forward     filter  from an internal bridge: to itself only;
//	                                     to a bridge: replies, published, neighbours; else drop
//	chain outbound   postrouting srcnat  masquerading
//
// So a published port costs one map element, and a packet costs a few hash
// look-ups, however many ports and networks there are.
//
// Why guard: 127.0.0.1 as address of a published port needs route_localnet on
// the bridge, which by itself would let containers reach whatever listens on
// the host's loopback. IPv6 has no such thing: packets to ::1 cannot be
// translated, and those of a link-local address cannot be forwarded. For these
// the maps of IPv6 do not count; package relay serves them.
//
// Neighbour discovery stays on its link and so passes no chain but guard.
package firewall

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Network is a bridge as the table needs to know it.
type Network struct {
	Device string
	Subnet netip.Prefix
	// Subnet6 is zero in a network without IPv6.
	Subnet6    netip.Prefix
	Masquerade bool
	// Internal keeps packets from leaving the network for any other.
	Internal bool
	// Isolate keeps the network's containers from each other but for published
	// ports. Frames inside a bridge do not pass here: the bridge's ports must be
	// isolated too.
	Isolate bool
}

// Forward is a published port.
type Forward struct {
	// Proto is "tcp" or "udp".
	Proto string
	// Host is the address and port of the host; address 0.0.0.0 or :: is any.
	Host netip.AddrPort
	// To is the container's, of the same family.
	To netip.AddrPort
}

// Table is an engine's table. Its methods may be called at once.
type Table struct {
	table    *nftables.Table
	families []*family
	// The maps from devices to chains.
	to, from, after, internal *nftables.Set
	// group is what the names of the engine's other devices begin with.
	group string

	// mu is held over transactions: the kernel takes one at a time anyway.
	mu sync.Mutex
	// What the table should hold: it is built anew from this when another
	// program has changed or removed it.
	networks map[string]Network // by device
	forwards map[hostPort]Forward
	// conn is kept open, because to close a socket waits for a grace period of
	// the kernel after any deletion (nf_tables_api.c, nft_rcv_nl_event): ten
	// milliseconds, during which no other transaction runs.
	conn *nftables.Conn
}

// hostPort is the key of a Forward.
type hostPort struct {
	proto string
	host  netip.AddrPort
}

// New names a table; it touches nothing yet. name must be a device name. Devices
// whose names begin with group, which may be empty, are the engine's alone.
func New(name, group string) *Table {
	t := &Table{table: &nftables.Table{Name: name, Family: nftables.TableFamilyINet}, group: group,
		networks: make(map[string]Network), forwards: make(map[hostPort]Forward)}
	t.to, t.from, t.after, t.internal = devices(t.table, "to"), devices(t.table, "from"), devices(t.table, "after"), devices(t.table, "internal")
	t.families = []*family{newFamily(t.table, ipv4), newFamily(t.table, ipv6)}
	return t
}

// elementsPerMessage keeps an attribute below netlink's 64 KiB.
const elementsPerMessage = 400

// roomy makes room for a transaction, which is one message and, for a table of
// many networks, megabytes; and for the kernel's answers: it sends one per rule
// before any is read, about a kilobyte each. These are limits, not allocations.
func roomy(conn *netlink.Conn) error {
	const room = 64 << 20
	return errors.Join(conn.SetReadBuffer(room), conn.SetWriteBuffer(room))
}

// transact runs build and sends what it put into the transaction. It needs t.mu.
func (t *Table) transact(build func(*nftables.Conn) error) error {
	if t.conn == nil {
		conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(roomy))
		if err != nil {
			return err
		}
		t.conn = conn
	}
	err := build(t.conn)
	if err == nil {
		err = t.conn.Flush()
	}
	if err != nil {
		// Half a transaction or unread answers may be left in it.
		go t.conn.CloseLasting()
		t.conn = nil
	}
	return err
}

// Close closes the socket. The table stays.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	err := t.conn.CloseLasting()
	t.conn = nil
	return err
}

// Install puts the table in place with these networks and ports in one
// transaction, in the place of whatever a table of this name held. Connections
// that are established go on. Class Unavailable if the kernel lacks nftables
// or the process may not use it.
func (t *Table) Install(networks []Network, forwards []Forward) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.networks)
	for _, n := range networks {
		t.networks[n.Device] = n
	}
	clear(t.forwards)
	for _, f := range forwards {
		t.forwards[hostPort{f.Proto, f.Host}] = f
	}
	if err := t.rebuild(); err != nil {
		return fault.Unavailable("cannot install the nftables table %s, which published ports and masquerading need (the kernel must be of version 5.2 or later and have nf_tables, nft_fib_inet, nft_nat, nft_masq and nft_ct; rules of iptables-legacy are no substitute): %w", t.table.Name, err)
	}
	return t.removeOld()
}

// removeOld removes the table of family ip that earlier versions had. It needs
// t.mu.
func (t *Table) removeOld() error {
	old := &nftables.Table{Name: t.table.Name, Family: nftables.TableFamilyIPv4}
	err := t.transact(func(conn *nftables.Conn) error {
		conn.AddTable(old) // so that the deletion cannot fail
		conn.DelTable(old)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove the earlier nftables table %s: %w", old.Name, err)
	}
	return nil
}

// AddNetwork lets a network's packets pass. Nothing of the others' is touched,
// so that it takes the same time beside many.
func (t *Table) AddNetwork(n Network) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.networks[n.Device] = n
	err := t.transact(func(conn *nftables.Conn) error { return t.admitNetwork(conn, n) })
	if err != nil {
		// The table may be gone or hold what it should not.
		err = t.rebuild()
	}
	if err != nil {
		delete(t.networks, n.Device)
		return fmt.Errorf("add %s to nftables table %s: %w", n.Device, t.table.Name, err)
	}
	return nil
}

// RemoveNetwork takes AddNetwork back; a device that is not there is no error.
func (t *Table) RemoveNetwork(device string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.networks[device]
	if !ok {
		return nil
	}
	delete(t.networks, device)
	err := t.transact(func(conn *nftables.Conn) error { return t.dismissNetwork(conn, n) })
	if err != nil {
		err = t.rebuild()
	}
	if err != nil {
		return fmt.Errorf("remove %s from nftables table %s: %w", device, t.table.Name, err)
	}
	return nil
}

// rebuild needs t.mu.
func (t *Table) rebuild() error {
	return t.transact(func(conn *nftables.Conn) error {
		conn.AddTable(t.table) // so that the deletion cannot fail
		conn.DelTable(t.table)
		conn.AddTable(t.table)
		if err := t.rules(conn, slices.Collect(maps.Values(t.networks))); err != nil {
			return err
		}
		return t.elements(conn.SetAddElements, slices.Collect(maps.Values(t.forwards)))
	})
}

// Mend puts the table in place again if another program has removed it
// (a firewall's "flush ruleset"), and tells whether it had to.
func (t *Table) Mend() (mended bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var present bool
	err = t.transact(func(conn *nftables.Conn) error {
		tables, err := conn.ListTablesOfFamily(t.table.Family)
		for _, other := range tables {
			present = present || other.Name == t.table.Name
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("list nftables tables: %w", err)
	}
	if present {
		return false, nil
	}
	if err := t.rebuild(); err != nil {
		return false, fmt.Errorf("rebuild nftables table %s: %w", t.table.Name, err)
	}
	return true, nil
}

// Uninstall removes the table; one that does not exist is no error.
func (t *Table) Uninstall() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.transact(func(conn *nftables.Conn) error { conn.DelTable(t.table); return nil })
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove nftables table %s: %w", t.table.Name, err)
	}
	return nil
}

// Add publishes ports, all or none.
func (t *Table) Add(forwards []Forward) error {
	if len(forwards) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range forwards {
		t.forwards[hostPort{f.Proto, f.Host}] = f
	}
	err := t.transact(func(conn *nftables.Conn) error { return t.elements(conn.SetAddElements, forwards) })
	if err != nil {
		// The table may be gone or hold what it should not.
		err = t.rebuild()
	}
	if err != nil {
		for _, f := range forwards {
			delete(t.forwards, hostPort{f.Proto, f.Host})
		}
		return fmt.Errorf("publish ports in nftables table %s: %w", t.table.Name, err)
	}
	return nil
}

// Remove takes publications back. Ones that are not there are no error.
func (t *Table) Remove(forwards []Forward) error {
	if len(forwards) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range forwards {
		delete(t.forwards, hostPort{f.Proto, f.Host})
	}
	err := t.transact(func(conn *nftables.Conn) error { return t.elements(conn.SetDeleteElements, forwards) })
	if err != nil {
		err = t.rebuild()
	}
	if err != nil {
		return fmt.Errorf("withdraw ports from nftables table %s: %w", t.table.Name, err)
	}
	return nil
}

// Count gives the number of published ports in the kernel.
func (t *Table) Count() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	err := t.transact(func(conn *nftables.Conn) error {
		for _, f := range t.families {
			for _, set := range []*nftables.Set{f.portsAny, f.portsAddr} {
				elements, err := conn.GetSetElements(set)
				if err != nil {
					return err
				}
				n += len(elements)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count published ports: %w", err)
	}
	return n, nil
}
