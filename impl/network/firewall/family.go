package firewall

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// header is what rules must know of an IP version.
type header struct {
	suffix   string // of the sets' names
	proto    byte   // NFPROTO_…
	address  nftables.SetDatatype
	size     uint32 // of an address in bytes
	src, dst uint32 // the addresses' places in the header
}

var (
	ipv4 = header{"", unix.NFPROTO_IPV4, nftables.TypeIPAddr, 4, 12, 16}
	ipv6 = header{"6", unix.NFPROTO_IPV6, nftables.TypeIP6Addr, 16, 8, 24}
)

// family is the part of the table for one IP version.
type family struct {
	header
	portsAny, portsAddr, masquerade *nftables.Set
}

func newFamily(table *nftables.Table, h header) *family {
	target := nftables.MustConcatSetType(h.address, nftables.TypeInetService)
	return &family{
		header: h,
		portsAny: &nftables.Set{Table: table, Name: "ports-any" + h.suffix, IsMap: true, Concatenation: true,
			KeyType:  nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService),
			DataType: target, KeyByteOrder: binaryutil.BigEndian},
		portsAddr: &nftables.Set{Table: table, Name: "ports-addr" + h.suffix, IsMap: true, Concatenation: true,
			KeyType:  nftables.MustConcatSetType(h.address, nftables.TypeInetProto, nftables.TypeInetService),
			DataType: target, KeyByteOrder: binaryutil.BigEndian},
		masquerade: &nftables.Set{Table: table, Name: "masquerade" + h.suffix, Interval: true,
			KeyType: h.address, KeyByteOrder: binaryutil.BigEndian},
	}
}

// elements passes the maps' elements for forwards to put in chunks.
func (t *Table) elements(put func(*nftables.Set, []nftables.SetElement) error, forwards []Forward) error {
	for _, f := range t.families {
		if err := f.elements(put, forwards); err != nil {
			return err
		}
	}
	return nil
}

// elements does it for the forwards of the family.
func (f *family) elements(put func(*nftables.Set, []nftables.SetElement) error, forwards []Forward) error {
	var anyAddr, oneAddr []nftables.SetElement
	for _, p := range forwards {
		if p.Host.Addr().Is4() != p.To.Addr().Is4() || !p.Host.IsValid() {
			return fmt.Errorf("publish %s to %s: addresses of two families", p.Host, p.To)
		}
		if p.Host.Addr().BitLen() != int(f.size)*8 {
			continue
		}
		var proto byte
		switch p.Proto {
		case "tcp":
			proto = unix.IPPROTO_TCP
		case "udp":
			proto = unix.IPPROTO_UDP
		default:
			return fmt.Errorf("publish %s: protocol %q", p.Host, p.Proto)
		}
		// Fields of a concatenation are padded to four bytes each.
		key := []byte{proto, 0, 0, 0, byte(p.Host.Port() >> 8), byte(p.Host.Port()), 0, 0}
		val := append(p.To.Addr().AsSlice(), byte(p.To.Port()>>8), byte(p.To.Port()), 0, 0)
		if p.Host.Addr().IsUnspecified() {
			anyAddr = append(anyAddr, nftables.SetElement{Key: key, Val: val})
		} else {
			oneAddr = append(oneAddr, nftables.SetElement{Key: append(p.Host.Addr().AsSlice(), key...), Val: val})
		}
	}
	for _, part := range []struct {
		set      *nftables.Set
		elements []nftables.SetElement
	}{{f.portsAny, anyAddr}, {f.portsAddr, oneAddr}} {
		for len(part.elements) > 0 {
			n := min(len(part.elements), elementsPerMessage)
			if err := put(part.set, part.elements[:n]); err != nil {
				return err
			}
			part.elements = part.elements[n:]
		}
	}
	return nil
}

// only is "meta nfproto …": the rule's other expressions read this header.
func (h header) only() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: reg},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{h.proto}},
	}
}

func (h header) sourceAddress() *expr.Payload {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: h.src, Len: h.size}
}

func (h header) destinationAddress() *expr.Payload {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: h.dst, Len: h.size}
}

// translate is "dnat to [daddr .] meta l4proto . th dport map @m".
func (h header) translate(m *nftables.Set, withAddress bool) []expr.Any {
	var exprs []expr.Any
	next := uint32(word)
	if withAddress {
		exprs = append(exprs, h.destinationAddress())
		next += h.size / 4
	}
	return append(exprs,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: next},
		&expr.Payload{DestRegister: next + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: reg, DestRegister: reg, IsDestRegSet: true, SetName: m.Name, SetID: m.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(h.proto), RegAddrMin: reg, RegProtoMin: word + h.size/4},
	)
}
