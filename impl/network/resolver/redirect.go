package resolver

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the table's name inside the container's namespace. The engine's
// own table is in the host's and named after its bridge.
const tableName = "berth-names"

// redirect leads what the namespace's processes send to port 53 of Address to
// the ports. It is called inside the namespace. Answers find their way back
// through the connection tracking.
//
// replace says that a table may be there already. It is not removed without
// need: to close a socket after a deletion waits for a grace period of the
// kernel (nf_tables_api.c, nft_rcv_nl_event).
func redirect(ports Ports, replace bool) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("redirect port 53: %w", err)
	}
	table := &nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4}
	conn.AddTable(table)
	if replace {
		conn.DelTable(table)
		conn.AddTable(table)
	}
	chain := conn.AddChain(&nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	address := netip.MustParseAddr(Address).As4()
	for proto, port := range map[byte]uint16{unix.IPPROTO_UDP: ports.UDP, unix.IPPROTO_TCP: ports.TCP} {
		const reg, reg2 = 1, 2
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			// The destination address is at offset 16 of the IPv4 header, the
			// destination port at offset 2 of both transport headers.
			&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: address[:]},
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: []byte{proto}},
			&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binaryutil.BigEndian.PutUint16(Port)},
			&expr.Immediate{Register: reg, Data: address[:]},
			&expr.Immediate{Register: reg2, Data: binaryutil.BigEndian.PutUint16(port)},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4,
				RegAddrMin: reg, RegProtoMin: reg2, Specified: true},
		}})
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("redirect port 53 (the kernel must have nf_tables, nft_nat and nf_conntrack): %w", err)
	}
	return nil
}
