package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// directory is a Directory whose names change.
type directory struct{ names sync.Map }

func (d *directory) ContainerName(id string) string {
	name, _ := d.names.Load(id)
	s, _ := name.(string)
	return s
}

// dnsAnswer is what a test looks at, as text: "A 10.0.0.2" and so on.
type dnsAnswer struct {
	code      dnsmessage.RCode
	records   []string
	ttl       uint32
	truncated bool
	edns      bool
}

// dig asks the resolver from inside a namespace; size 0 is without EDNS.
func dig(t testing.TB, key string, proto Protocol, name string, typ dnsmessage.Type, size int) dnsAnswer {
	t.Helper()
	out, err := tryDig(key, proto, resolver.Address+":53", name, typ, size)
	if err != nil {
		t.Fatalf("%s %s by %s: %v", typ, name, proto, err)
	}
	return out
}

func tryDig(key string, proto Protocol, server, name string, typ dnsmessage.Type, size int) (out dnsAnswer, err error) {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName(name + "."), Type: typ, Class: dnsmessage.ClassINET}}}
	if size > 0 {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(size, 0, false); err != nil {
			return out, err
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	msg, err := m.Pack()
	if err != nil {
		return out, err
	}
	talk := func() error {
		c, err := net.DialTimeout(string(proto)+"4", server, 5*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if proto == TCP {
			if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
				return err
			}
			var n [2]byte
			if _, err := io.ReadFull(c, n[:]); err != nil {
				return err
			}
			msg = make([]byte, binary.BigEndian.Uint16(n[:]))
			_, err = io.ReadFull(c, msg)
			return err
		}
		if _, err := c.Write(msg); err != nil {
			return err
		}
		msg = make([]byte, 65536)
		got, err := c.Read(msg)
		msg = msg[:got]
		return err
	}
	if key == "" {
		err = talk()
	} else {
		err = netns.Do(key, talk)
	}
	if err != nil {
		return out, err
	}
	var a dnsmessage.Message
	if err := a.Unpack(msg); err != nil {
		return out, err
	}
	if a.ID != 7 || !a.Response {
		return out, fmt.Errorf("answer has id %d, response %t", a.ID, a.Response)
	}
	out.code, out.truncated = a.RCode, a.Truncated
	for _, r := range a.Answers {
		out.ttl = r.Header.TTL
		switch b := r.Body.(type) {
		case *dnsmessage.AResource:
			out.records = append(out.records, "A "+netip.AddrFrom4(b.A).String())
		case *dnsmessage.PTRResource:
			out.records = append(out.records, "PTR "+b.PTR.String())
		case *dnsmessage.TXTResource:
			out.records = append(out.records, "TXT "+strings.Join(b.TXT, ""))
		}
	}
	slices.Sort(out.records)
	for _, r := range a.Additionals {
		out.edns = out.edns || r.Header.Type == dnsmessage.TypeOPT
	}
	return out, nil
}

func (e *env) wantName(s *Sandbox, name string, addrs ...string) {
	e.t.Helper()
	for i := range addrs {
		addrs[i] = "A " + addrs[i]
	}
	slices.Sort(addrs)
	for _, proto := range []Protocol{UDP, TCP} {
		got := dig(e.t, s.Key, proto, name, dnsmessage.TypeA, 0)
		if got.code != 0 || !slices.Equal(got.records, addrs) || len(addrs) > 0 && got.ttl != 600 {
			e.t.Errorf("%s asks for %s by %s: %+v, want %v", s.ContainerID, name, proto, got, addrs)
		}
	}
}

// unknown asserts that the resolver does not answer by itself; with no servers
// to forward to it fails.
func (e *env) unknown(s *Sandbox, name string, typ dnsmessage.Type) {
	e.t.Helper()
	if got := dig(e.t, s.Key, UDP, name, typ, 0); got.code != dnsmessage.RCodeServerFailure {
		e.t.Errorf("%s asks for %s %s: %+v, want a failure", s.ContainerID, typ, name, got)
	}
}

// nobody is an address to which nothing is forwarded: the resolver itself.
var nobody = []netip.Addr{netip.MustParseAddr(resolver.Address)}

func (e *env) newNetwork(name string, internal bool) Network {
	e.t.Helper()
	n, err := e.CreateNetwork(context.Background(), CreateSpec{Name: name, Internal: internal})
	must(e.t, err)
	e.t.Cleanup(func() {
		if e.Manager != nil {
			must(e.t, e.Reconcile(context.Background(), func(string) bool { return false }))
			_, err := e.RemoveNetwork(context.Background(), name)
			must(e.t, err)
		}
	})
	return n
}

const otherID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestNames(t *testing.T) {
	e := newEnv(t)
	d := &directory{}
	e.ServeNames(d)
	e.newNetwork("Front.End", false)
	e.newNetwork("back", false)
	d.names.Store("web", "Web_1")
	d.names.Store(otherID, "db")
	d.names.Store("far", "far")
	on := func(list ...EndpointSpec) []EndpointSpec { return list }
	web := e.start(SandboxSpec{ContainerID: "web", DNS: nobody, Endpoints: on(EndpointSpec{Network: "Front.End", Aliases: []string{"www", "all"},
		Links: []Link{{Target: "db", Alias: "postgres"}, {Target: otherID, Alias: "byid"}, {Target: "far", Alias: "secret"}}})})
	db := e.start(SandboxSpec{ContainerID: otherID, DNS: nobody, Endpoints: on(
		EndpointSpec{Network: "Front.End", Aliases: []string{"all"}}, EndpointSpec{Network: "back", Aliases: []string{"store"}})})
	far := e.start(SandboxSpec{ContainerID: "far", DNS: nobody, Endpoints: on(EndpointSpec{Network: "back"})})
	plain := e.start(SandboxSpec{ContainerID: "plain"})
	webIP, dbIP, farIP := addr(web).String(), addr(db).String(), addr(far).String()
	dbBack := db.Endpoints[1].IPv4.Addr().String()

	for _, name := range []string{"Web_1", "web_1", "WEB_1", "www", "web", "web_1.front.end", "www.Front.End"} {
		e.wantName(web, name, webIP)
		e.wantName(db, name, webIP)
	}
	for _, name := range []string{"db", otherID[:12], "postgres", "byid", "POSTGRES"} {
		e.wantName(web, name, dbIP)
	}
	e.wantName(web, "all", webIP, dbIP)
	e.wantName(far, "db", dbBack)
	e.wantName(far, "store", dbBack)
	e.wantName(db, "far", farIP)
	e.wantName(db, "db", dbIP)
	e.wantName(db, "db.back", dbBack)
	// Nothing of another network, and nobody else's links.
	for _, name := range []string{"far", "store", "secret", "db.back"} {
		e.unknown(web, name, dnsmessage.TypeA)
	}
	for _, name := range []string{"web_1", "www", "all", "postgres", "plain"} {
		e.unknown(far, name, dnsmessage.TypeA)
	}
	e.unknown(db, "postgres", dnsmessage.TypeA)
	if plain.Resolver != (resolver.Ports{}) {
		t.Error("a container of the default network has a resolver")
	}
	if _, err := tryDig(plain.Key, TCP, resolver.Address+":53", "web_1", dnsmessage.TypeA, 0); err == nil {
		t.Error("something answers in a container of the default network")
	}

	// Other types of a known name are empty, not unknown.
	for _, typ := range []dnsmessage.Type{dnsmessage.TypeAAAA, dnsmessage.TypeMX, dnsmessage.TypeTXT} {
		if got := dig(t, web.Key, UDP, "db", typ, 0); got.code != 0 || len(got.records) != 0 {
			t.Errorf("%s db: %+v, want nothing and no error", typ, got)
		}
	}
	reverse := func(a string) string {
		p := strings.Split(a, ".")
		slices.Reverse(p)
		return strings.Join(p, ".") + ".in-addr.arpa"
	}
	if got := dig(t, db.Key, UDP, reverse(webIP), dnsmessage.TypePTR, 1232); !slices.Equal(got.records, []string{"PTR Web_1.Front.End."}) || !got.edns {
		t.Errorf("PTR %s: %+v", webIP, got)
	}
	e.unknown(web, reverse(farIP), dnsmessage.TypePTR)

	// Changes count at once.
	d.names.Store(otherID, "base")
	e.NamesChanged()
	e.wantName(web, "base", dbIP)
	e.unknown(web, "db", dnsmessage.TypeA)
	_, err := e.Connect(context.Background(), "far", EndpointSpec{Network: "Front.End", Aliases: []string{"all"}})
	must(t, err)
	far, err = e.Sandbox("far")
	must(t, err)
	farFront := far.Endpoints[1].IPv4.Addr().String()
	e.wantName(web, "all", webIP, dbIP, farFront)
	e.wantName(web, "secret", farFront)
	e.wantName(far, "web_1", webIP)
	_, err = e.Disconnect(context.Background(), otherID, "Front.End")
	must(t, err)
	e.wantName(web, "all", webIP, farFront)
	e.unknown(web, "base", dnsmessage.TypeA)
	e.release("far")
	e.wantName(web, "all", webIP)
	// A container that comes to its first user-defined network later.
	plain, err = e.Connect(context.Background(), "plain", EndpointSpec{Network: "back"})
	must(t, err)
	e.wantName(plain, "base", dbBack)
	e.wantName(db, "plain", plain.Endpoints[1].IPv4.Addr().String())
}

// TestNamesOfMany: an answer that does not fit says so, and fits by TCP.
func TestNamesOfMany(t *testing.T) {
	e := newEnv(t)
	e.newNetwork("many", false)
	const n = 64
	var all []string
	var last *Sandbox
	for i := range n {
		last = e.start(SandboxSpec{ContainerID: fmt.Sprint("c", i), Endpoints: []EndpointSpec{{Network: "many", Aliases: []string{"all"}}}})
		all = append(all, "A "+addr(last).String())
	}
	slices.Sort(all)
	if got := dig(t, last.Key, UDP, "all", dnsmessage.TypeA, 0); !got.truncated || len(got.records) == 0 || len(got.records) == n {
		t.Errorf("without EDNS: %d addresses, truncated %t", len(got.records), got.truncated)
	}
	for proto, size := range map[Protocol]int{UDP: 4096, TCP: 0} {
		if got := dig(t, last.Key, proto, "all", dnsmessage.TypeA, size); got.truncated || !slices.Equal(got.records, all) {
			t.Errorf("by %s with EDNS size %d: %d addresses, truncated %t", proto, size, len(got.records), got.truncated)
		}
	}
}

// TestNamesAgain: the next Manager serves the containers that the killed one
// left, at the same ports; a released container's namespace is not kept.
func TestNamesAgain(t *testing.T) {
	e := newEnv(t)
	e.newNetwork("net", false)
	s := e.start(SandboxSpec{ContainerID: "one", DNS: nobody, Endpoints: []EndpointSpec{{Network: "net"}}})
	taken := e.start(SandboxSpec{ContainerID: "two", DNS: nobody, Endpoints: []EndpointSpec{{Network: "net"}}})
	e.crash()
	if _, err := tryDig(s.Key, TCP, resolver.Address+":53", "one", dnsmessage.TypeA, 0); err == nil {
		t.Error("a closed manager answers")
	}
	// Someone in a container takes the port while nobody holds it.
	must(t, netns.Do(taken.Key, func() error {
		c, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", taken.Resolver.UDP))
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return err
	}))
	e.open()
	d := &directory{}
	d.names.Store("one", "first")
	e.ServeNames(d)
	for id, before := range map[string]*Sandbox{"one": s, "two": taken} {
		now, err := e.Sandbox(id)
		must(t, err)
		if same := now.Resolver == before.Resolver; same != (id == "one") {
			t.Errorf("%s: ports %v, were %v", id, now.Resolver, before.Resolver)
		}
		e.wantName(now, "first", addr(s).String())
		e.wantName(now, "two", addr(taken).String())
	}
	before := e.census()
	for i := range 4 {
		e.start(SandboxSpec{ContainerID: "three", Endpoints: []EndpointSpec{{Network: "net"}}})
		e.start(SandboxSpec{ContainerID: "four", Endpoints: []EndpointSpec{{Network: "net"}}})
		e.release("three")
		e.release("four")
		e.settle()
		if after := e.census(); after != before {
			t.Errorf("round %d left %+v, was %+v", i, after, before)
		}
	}
	if n := len(e.names.servers); n != 2 {
		t.Errorf("%d resolvers are left", n)
	}
}

// upstream is a name server of the test: it answers what has a text, with
// NXDOMAIN otherwise, and truncates by UDP what begins with "long".
func upstream(t testing.TB, key, at, text string) {
	t.Helper()
	reply := func(msg []byte, udp bool) []byte {
		var m dnsmessage.Message
		if m.Unpack(msg) != nil {
			return nil
		}
		m.Response, m.Additionals = true, nil
		q := m.Questions[0]
		switch name := q.Name.String(); {
		case strings.HasPrefix(name, "none"):
			m.RCode = dnsmessage.RCodeNameError
		case udp && strings.HasPrefix(name, "long"):
			m.Truncated = true
		default:
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 5},
				Body: &dnsmessage.TXTResource{TXT: []string{text}}}}
		}
		out, _ := m.Pack()
		return out
	}
	listen := func() error {
		c, err := net.ListenPacket("udp4", at)
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp4", at)
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close(); l.Close() })
		go func() {
			buf := make([]byte, 4096)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				c.WriteTo(reply(buf[:n], true), from)
			}
		}()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				var n [2]byte
				io.ReadFull(c, n[:])
				msg := make([]byte, binary.BigEndian.Uint16(n[:]))
				io.ReadFull(c, msg)
				out := reply(msg, false)
				c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
				c.Close()
			}
		}()
		return nil
	}
	if key == "" {
		must(t, listen())
	} else {
		must(t, netns.Do(key, listen))
	}
}

// hostResolvers replaces the host's resolv.conf until the test ends.
func hostResolvers(t testing.TB, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	must(t, os.WriteFile(path, []byte(text), 0o644))
	must(t, unix.Mount(path, resolvConfPath, "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(resolvConfPath, unix.MNT_DETACH)) })
}

func TestForwarding(t *testing.T) {
	e := newEnv(t)
	e.newNetwork("net", false)
	e.newNetwork("inside", true)
	upstream(t, "", hostAddr+":53", "outside")
	upstream(t, "", "127.0.0.1:53", "loopback")
	start := func(id, network string, dns ...string) *Sandbox {
		spec := SandboxSpec{ContainerID: id, Endpoints: []EndpointSpec{{Network: network}}}
		for _, a := range dns {
			spec.DNS = append(spec.DNS, netip.MustParseAddr(a))
		}
		return e.start(spec)
	}
	wantText := func(s *Sandbox, name, text string) {
		t.Helper()
		for _, proto := range []Protocol{UDP, TCP} {
			if got := dig(t, s.Key, proto, name, dnsmessage.TypeTXT, 0); !slices.Equal(got.records, []string{"TXT " + text}) || got.ttl != 5 {
				t.Errorf("%s asks for %s by %s: %+v, want %q", s.ContainerID, name, proto, got, text)
			}
		}
	}
	hostResolvers(t, "nameserver 127.0.0.1\n")
	own := start("own", "net")
	given := start("given", "net", hostAddr)
	second := start("second", "net", addr(own).String(), hostAddr) // the first one has no name server
	isolated := start("isolated", "inside")
	server := start("server", "inside")
	upstream(t, server.Key, at(addr(server), 53), "another container")
	asking := start("asking", "inside", addr(server).String())

	wantText(own, "example.org", "loopback")
	wantText(given, "example.org", "outside")
	wantText(second, "example.org", "outside")
	wantText(asking, "example.org", "another container")
	// Containers without a way out have none through the resolver either.
	e.unknown(isolated, "example.org", dnsmessage.TypeTXT)
	if got := dig(t, given.Key, UDP, "none.example.org", dnsmessage.TypeTXT, 0); got.code != dnsmessage.RCodeNameError {
		t.Errorf("a name that does not exist: %+v", got)
	}
	if got := dig(t, given.Key, UDP, "long.example.org", dnsmessage.TypeTXT, 0); !got.truncated {
		t.Errorf("a long answer by UDP: %+v, want it to be truncated", got)
	}
	if got := dig(t, given.Key, TCP, "long.example.org", dnsmessage.TypeTXT, 0); len(got.records) != 1 {
		t.Errorf("a long answer by TCP: %+v", got)
	}
	// A name server of the container's own has port 53 of all addresses.
	upstream(t, given.Key, ":53", "own server")
	if got, err := tryDig(given.Key, UDP, "127.0.0.1:53", "example.org", dnsmessage.TypeTXT, 0); err != nil || !slices.Equal(got.records, []string{"TXT own server"}) {
		t.Errorf("the container's own server: %+v %v", got, err)
	}
	wantText(given, "example.org", "outside")
}
