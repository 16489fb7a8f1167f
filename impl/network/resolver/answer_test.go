package resolver

import (
	"log/slog"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// fixed knows one name.
type fixed struct{}

func (fixed) Lookup(name string) ([]netip.Addr, bool) {
	return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}, name == "known"
}

func (fixed) Reverse(addr netip.Addr) (string, bool) {
	return "known.net", addr == netip.MustParseAddr("10.0.0.1") || addr == netip.MustParseAddr("fd00::1")
}

func (fixed) Upstreams() []Upstream { return nil }

func pack(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func ask(name string, typ dnsmessage.Type) dnsmessage.Message {
	return dnsmessage.Message{Header: dnsmessage.Header{ID: 0xbeef, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}}}
}

func TestAnswer(t *testing.T) {
	s := &Server{source: fixed{}, log: slog.Default()}
	response := ask("known.", dnsmessage.TypeA)
	response.Response = true
	notify := ask("known.", dnsmessage.TypeA)
	notify.OpCode = 4
	two := ask("known.", dnsmessage.TypeA)
	two.Questions = append(two.Questions, two.Questions[0])
	none := ask("known.", dnsmessage.TypeA)
	none.Questions = nil
	chaos := ask("version.bind.", dnsmessage.TypeTXT)
	chaos.Questions[0].Class = dnsmessage.ClassCHAOS
	const nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa."
	for _, c := range []struct {
		name    string
		msg     []byte
		known   bool // worth an answer
		forward bool
		code    dnsmessage.RCode
		records int
	}{
		{"nothing", nil, false, false, 0, 0},
		{"half a header", []byte{1, 2, 3}, false, false, 0, 0},
		{"a response", pack(t, response), false, false, 0, 0},
		{"another operation", pack(t, notify), true, false, dnsmessage.RCodeNotImplemented, 0},
		{"two questions", pack(t, two), true, false, dnsmessage.RCodeFormatError, 0},
		{"no question", pack(t, none), true, false, dnsmessage.RCodeFormatError, 0},
		{"cut short", pack(t, ask("known.", dnsmessage.TypeA))[:15], true, false, dnsmessage.RCodeFormatError, 0},
		{"another class", pack(t, chaos), true, true, 0, 0},
		{"address", pack(t, ask("KnowN.", dnsmessage.TypeA)), true, false, 0, 1},
		{"address of IPv6", pack(t, ask("known.", dnsmessage.TypeAAAA)), true, false, 0, 1},
		{"any", pack(t, ask("known.", dnsmessage.TypeALL)), true, false, 0, 2},
		{"another type", pack(t, ask("known.", dnsmessage.TypeMX)), true, false, 0, 0},
		{"root", pack(t, ask(".", dnsmessage.TypeNS)), true, true, 0, 0},
		{"another name", pack(t, ask("unknown.", dnsmessage.TypeA)), true, true, 0, 0},
		{"reverse", pack(t, ask("1.0.0.10.in-addr.arpa.", dnsmessage.TypePTR)), true, false, 0, 1},
		{"reverse of IPv6", pack(t, ask(nibbles, dnsmessage.TypePTR)), true, false, 0, 1},
		{"reverse of another", pack(t, ask("2.0.0.10.in-addr.arpa.", dnsmessage.TypePTR)), true, true, 0, 0},
		{"reverse of half an address", pack(t, ask("0.10.in-addr.arpa.", dnsmessage.TypePTR)), true, true, 0, 0},
	} {
		q, answer := s.answer(c.msg, false)
		if (q != nil) != c.known || c.known && (answer == nil) != c.forward {
			t.Errorf("%s: question %t, answer %t", c.name, q != nil, answer != nil)
			continue
		}
		if answer == nil {
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.ID != 0xbeef || !m.Response || !m.RecursionAvailable || m.RCode != c.code || len(m.Answers) != c.records {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
}

// FuzzAnswer: no message of a container brings the engine down, and each answer
// is one to the question.
func FuzzAnswer(f *testing.F) {
	s := &Server{source: fixed{}, log: slog.Default()}
	withOPT := ask("known.", dnsmessage.TypeA)
	var h dnsmessage.ResourceHeader
	if err := h.SetEDNS0(1232, 0, true); err != nil {
		f.Fatal(err)
	}
	withOPT.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	f.Add(pack(f, withOPT), true)
	f.Add(pack(f, ask("1.0.0.10.in-addr.arpa.", dnsmessage.TypePTR)), false)
	f.Add([]byte("0000\x00\x01000000\xc0\x0c0000"), false) // a name that points at itself
	f.Fuzz(func(t *testing.T, msg []byte, tcp bool) {
		defer effort.Bound()()
		q, answer := s.answer(msg, tcp)
		if answer == nil {
			return
		}
		var p dnsmessage.Parser
		h, err := p.Start(answer)
		if err != nil || !h.Response || h.ID != q.header.ID || len(answer) > q.room {
			t.Errorf("%x: answer %x: %v", msg, answer, err)
		}
		if _, err := p.AllQuestions(); err != nil {
			t.Errorf("%x: answer %x: %v", msg, answer, err)
		}
	})
}
