package firewall

import (
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Registers: 1 is the 16-byte register whose four words are 8, 9, 10, 11
// (include/uapi/linux/netfilter/nf_tables.h); a concatenation fills the words
// in turn.
const (
	reg  = 1
	word = 8
)

// ipsDstNAT is IPS_DST_NAT: the connection's destination was translated
// (include/uapi/linux/netfilter/nf_conntrack_common.h).
const ipsDstNAT = 1 << 5

// own6 are the destinations that IPv6 cannot translate (see package).
var own6 = [...]netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10")}

// rules adds the sets, chains and rules of the package's description to a
// transaction.
func (t *Table) rules(conn *nftables.Conn, networks []Network) error {
	sets := []*nftables.Set{t.to, t.from, t.after, t.internal}
	for _, f := range t.families {
		sets = append(sets, f.portsAny, f.portsAddr, f.masquerade)
	}
	for _, set := range sets {
		if err := conn.AddSet(set, nil); err != nil {
			return err
		}
	}

	guard := t.base(conn, "guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	publish := t.base(conn, "publish", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	local := t.base(conn, "publish-local", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	forward := t.base(conn, "forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	outbound := t.base(conn, "outbound", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)

	t.rule(conn, guard, byDevice(expr.MetaKeyIIFNAME, t.from))
	for _, chain := range []*nftables.Chain{publish, local} {
		for _, f := range t.families {
			var own [][]expr.Any
			if f.size == ipv6.size {
				for _, p := range own6 {
					own = append(own, f.outside(p))
				}
			}
			t.rule(conn, chain, append(slices.Concat([][]expr.Any{f.only()}, own), destinationLocal(), f.translate(f.portsAddr, true))...)
			t.rule(conn, chain, append(slices.Concat([][]expr.Any{f.only()}, own), destinationLocal(), f.translate(f.portsAny, false))...)
		}
	}
	t.rule(conn, forward, byDevice(expr.MetaKeyIIFNAME, t.internal))
	t.rule(conn, forward, byDevice(expr.MetaKeyOIFNAME, t.to))
	t.rule(conn, outbound, byDevice(expr.MetaKeyOIFNAME, t.after))
	for _, f := range t.families {
		t.rule(conn, outbound, f.only(),
			[]expr.Any{f.sourceAddress(), &expr.Lookup{SourceRegister: reg, SetName: f.masquerade.Name, SetID: f.masquerade.ID}, &expr.Masq{}})
	}

	for _, n := range networks {
		if err := t.admitNetwork(conn, n); err != nil {
			return err
		}
	}
	return nil
}

// devices names a map from devices to chains.
func devices(table *nftables.Table, name string) *nftables.Set {
	return &nftables.Set{Table: table, Name: name, IsMap: true, KeyType: nftables.TypeIFName,
		DataType: nftables.TypeVerdict, KeyByteOrder: binaryutil.NativeEndian}
}

// part is a chain that packets of one device go to by a map.
type part struct {
	chain *nftables.Chain
	by    *nftables.Set
	kind  expr.VerdictKind
}

func (p part) element(n Network) []nftables.SetElement {
	return []nftables.SetElement{{Key: deviceName(n.Device), VerdictData: &expr.Verdict{Kind: p.kind, Chain: p.chain.Name}}}
}

// parts are the chains of a network: from, to, after and, of an internal one,
// inside.
func (t *Table) parts(n Network) []part {
	chain := func(prefix string, by *nftables.Set, kind expr.VerdictKind) part {
		return part{&nftables.Chain{Name: prefix + n.Device, Table: t.table}, by, kind}
	}
	list := []part{chain("from-", t.from, expr.VerdictGoto), chain("to-", t.to, expr.VerdictGoto), chain("after-", t.after, expr.VerdictGoto)}
	if n.Internal {
		list = append(list, chain("inside-", t.internal, expr.VerdictJump))
	}
	return list
}

// dismissNetwork takes the chains and elements of a network away.
func (t *Table) dismissNetwork(conn *nftables.Conn, n Network) error {
	for _, p := range t.parts(n) {
		if err := conn.SetDeleteElements(p.by, p.element(n)); err != nil {
			return err
		}
		conn.FlushChain(p.chain)
		conn.DelChain(p.chain)
	}
	for _, f := range t.families {
		if elements := f.masqueraded(n); elements != nil {
			if err := conn.SetDeleteElements(f.masquerade, elements); err != nil {
				return err
			}
		}
	}
	return nil
}

// admitNetwork adds the chains and elements of a network.
func (t *Table) admitNetwork(conn *nftables.Conn, n Network) error {
	parts := t.parts(n)
	for _, p := range parts {
		conn.AddChain(p.chain)
		if err := conn.SetAddElements(p.by, p.element(n)); err != nil {
			return err
		}
	}
	from, to, after := parts[0].chain, parts[1].chain, parts[2].chain
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	t.rule(conn, from, ipv4.only(), within(ipv4.destinationAddress(), loopback), verdict(expr.VerdictDrop))
	t.rule(conn, from, ipv4.only(), within(ipv4.sourceAddress(), loopback), verdict(expr.VerdictDrop))

	if n.Internal {
		t.rule(conn, parts[3].chain, device(expr.CmpOpNeq, expr.MetaKeyOIFNAME, n.Device), verdict(expr.VerdictDrop))
	} else {
		t.rule(conn, to, connection(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
		t.rule(conn, to, connection(expr.CtKeySTATUS, ipsDstNAT), verdict(expr.VerdictAccept))
	}
	if !n.Isolate {
		t.rule(conn, to, device(expr.CmpOpEq, expr.MetaKeyIIFNAME, n.Device), verdict(expr.VerdictAccept))
	}
	t.rule(conn, to, verdict(expr.VerdictDrop))

	// To a container from the host's loopback, or from a neighbour (or itself)
	// by way of a published port: the answer must come back through the host.
	t.rule(conn, after, ipv4.only(), within(ipv4.sourceAddress(), loopback), []expr.Any{&expr.Masq{}})
	for _, f := range t.families {
		if subnet := n.subnet(f.header); subnet.IsValid() {
			t.rule(conn, after, f.only(), within(f.sourceAddress(), subnet), connection(expr.CtKeySTATUS, ipsDstNAT), []expr.Any{&expr.Masq{}})
		}
		if elements := f.masqueraded(n); elements != nil {
			if err := conn.SetAddElements(f.masquerade, elements); err != nil {
				return err
			}
		}
	}
	return nil
}

// subnet is the network's of a family.
func (n Network) subnet(h header) netip.Prefix {
	if h.size == ipv6.size {
		return n.Subnet6
	}
	return n.Subnet
}

// masqueraded are the elements of a network in the family's set; nil if its
// packets leave as they are.
func (f *family) masqueraded(n Network) []nftables.SetElement {
	subnet := n.subnet(f.header)
	if !subnet.IsValid() || !n.Masquerade || n.Internal {
		return nil
	}
	elements := []nftables.SetElement{{Key: subnet.Masked().Addr().AsSlice()}}
	if end := lastAddr(subnet).Next(); end.IsValid() {
		elements = append(elements, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
	}
	return elements
}

func (t *Table) base(conn *nftables.Conn, name string, kind nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	return conn.AddChain(&nftables.Chain{Name: name, Table: t.table, Type: kind, Hooknum: hook, Priority: prio})
}

func (t *Table) rule(conn *nftables.Conn, chain *nftables.Chain, parts ...[]expr.Any) {
	var exprs []expr.Any
	for _, p := range parts {
		exprs = append(exprs, p...)
	}
	conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: exprs})
}

// byDevice is "[io]ifname vmap @m".
func byDevice(key expr.MetaKey, m *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: reg},
		&expr.Lookup{SourceRegister: reg, SetName: m.Name, SetID: m.ID, IsDestRegSet: true},
	}
}

// device is "[io]ifname op name".
func device(op expr.CmpOp, key expr.MetaKey, name string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: reg},
		&expr.Cmp{Op: op, Register: reg, Data: deviceName(name)},
	}
}

// destinationLocal is "fib daddr type local".
func destinationLocal() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// outside is "daddr != prefix".
func (h header) outside(prefix netip.Prefix) []expr.Any {
	return compare(h.destinationAddress(), expr.CmpOpNeq, prefix)
}

// within is "[sd]addr prefix".
func within(load *expr.Payload, prefix netip.Prefix) []expr.Any {
	return compare(load, expr.CmpOpEq, prefix)
}

func compare(load *expr.Payload, op expr.CmpOp, prefix netip.Prefix) []expr.Any {
	mask := make([]byte, load.Len)
	for i := range prefix.Bits() {
		mask[i/8] |= 1 << (7 - i%8)
	}
	return []expr.Any{
		load,
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: load.Len, Mask: mask, Xor: make([]byte, load.Len)},
		&expr.Cmp{Op: op, Register: reg, Data: prefix.Masked().Addr().AsSlice()},
	}
}

// connection is "ct state|status bits".
func connection(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: reg},
		&expr.Bitwise{SourceRegister: reg, DestRegister: reg, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func deviceName(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
