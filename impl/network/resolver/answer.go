package resolver

import (
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// ttl of the answers in seconds, as Docker Engine has it.
const ttl = 600

// question is one message of a client.
type question struct {
	msg    []byte // as it came
	header dnsmessage.Header
	q      dnsmessage.Question
	// edns says that the client speaks EDNS.
	edns bool
	// room is the longest answer that the client takes, as far as our own go.
	room int
	// announced is what the client says to take by UDP.
	announced int
	tcp       bool
}

// answer reads a message and gives the answer if it needs nobody else. Without
// an answer the question is to be forwarded; without a question the message is
// not worth an answer.
func (s *Server) answer(msg []byte, tcp bool) (*question, []byte) {
	q, code, ok := parse(msg, tcp)
	switch {
	case !ok:
		return nil, nil
	case code != dnsmessage.RCodeSuccess:
		return q, q.reply(code, nil)
	case q.q.Class != dnsmessage.ClassINET:
		return q, nil
	}
	name := strings.ToLower(strings.TrimSuffix(q.q.Name.String(), "."))
	if q.q.Type == dnsmessage.TypePTR {
		return q, s.answerReverse(q, name)
	}
	addrs, known := s.source.Lookup(name)
	if !known {
		return q, nil
	}
	// For another type the answer is that there is nothing, and not the
	// outside's word: it would be that the name does not exist (RFC 2308, 2.2).
	var records []dnsmessage.ResourceBody
	if q.q.Type == dnsmessage.TypeA || q.q.Type == dnsmessage.TypeALL {
		addrs = slices.Clone(addrs)
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		for _, a := range addrs {
			if a.Is4() {
				records = append(records, &dnsmessage.AResource{A: a.As4()})
			}
		}
	}
	if q.q.Type == dnsmessage.TypeAAAA || q.q.Type == dnsmessage.TypeALL {
		for _, a := range addrs {
			if a.Is6() {
				records = append(records, &dnsmessage.AAAAResource{AAAA: a.As16()})
			}
		}
	}
	return q, q.reply(dnsmessage.RCodeSuccess, records)
}

// answerReverse gives nil for an address that nobody in the networks has.
func (s *Server) answerReverse(q *question, name string) []byte {
	addr, ok := reverseAddr(name)
	if !ok {
		return nil
	}
	target, ok := s.source.Reverse(addr)
	if !ok {
		return nil
	}
	ptr, err := dnsmessage.NewName(target + ".")
	if err != nil {
		return q.failure() // longer than a name in DNS may be
	}
	return q.reply(dnsmessage.RCodeSuccess, []dnsmessage.ResourceBody{&dnsmessage.PTRResource{PTR: ptr}})
}

// parse reads the header and the only question. Where ok is false there is no
// answer to give; where the code is not success it is the answer.
func parse(msg []byte, tcp bool) (q *question, code dnsmessage.RCode, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.Response {
		return nil, 0, false
	}
	q = &question{msg: slices.Clone(msg), header: h, room: minDatagram, tcp: tcp}
	if tcp {
		q.room = maxMessage
	}
	if h.OpCode != 0 {
		return q, dnsmessage.RCodeNotImplemented, true
	}
	list, err := p.AllQuestions()
	if err != nil || len(list) != 1 {
		return q, dnsmessage.RCodeFormatError, true
	}
	q.q = list[0]
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return q, dnsmessage.RCodeFormatError, true
	}
	for {
		r, err := p.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			return q, dnsmessage.RCodeSuccess, true
		}
		if err != nil {
			return q, dnsmessage.RCodeFormatError, true
		}
		if r.Type == dnsmessage.TypeOPT {
			q.edns = true
			if !tcp {
				q.announced = int(r.Class)
				q.room = min(max(q.announced, minDatagram), maxDatagram)
			}
		}
		if p.SkipAdditional() != nil {
			return q, dnsmessage.RCodeFormatError, true
		}
	}
}

// failure is the answer when nobody could be asked.
func (q *question) failure() []byte { return q.reply(dnsmessage.RCodeServerFailure, nil) }

// reply makes an answer; what does not fit is left out, and the answer says so.
func (q *question) reply(code dnsmessage.RCode, records []dnsmessage.ResourceBody) []byte {
	for n := len(records); ; n /= 2 {
		msg, err := q.pack(code, records[:n], n < len(records))
		if err != nil {
			return nil // a name that was read cannot fail to be written
		}
		if len(msg) <= q.room || n == 0 {
			return msg
		}
	}
}

func (q *question) pack(code dnsmessage.RCode, records []dnsmessage.ResourceBody, truncated bool) ([]byte, error) {
	m := dnsmessage.Message{Header: dnsmessage.Header{
		ID: q.header.ID, Response: true, OpCode: q.header.OpCode, Authoritative: code == dnsmessage.RCodeSuccess,
		Truncated: truncated, RecursionDesired: q.header.RecursionDesired, RecursionAvailable: true, RCode: code,
	}}
	if q.q.Name.Length > 0 {
		m.Questions = []dnsmessage.Question{q.q}
	}
	for _, body := range records {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.q.Name, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body})
	}
	if q.edns {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(maxDatagram, code, false); err != nil {
			return nil, err
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	return m.Pack()
}

// reverseAddr reads a name of in-addr.arpa (RFC 1035, 3.5) or ip6.arpa
// (RFC 3596, 2.5).
func reverseAddr(name string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		parts := strings.Split(rest, ".")
		slices.Reverse(parts)
		a, err := netip.ParseAddr(strings.Join(parts, "."))
		return a, err == nil && a.Is4()
	}
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		parts := strings.Split(rest, ".")
		slices.Reverse(parts)
		raw, err := hex.DecodeString(strings.Join(parts, ""))
		if err != nil || len(raw) != 16 || len(parts) != 32 {
			return netip.Addr{}, false
		}
		return netip.AddrFrom16([16]byte(raw)), true
	}
	return netip.Addr{}, false
}
