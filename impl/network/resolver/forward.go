package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed-50ced230/berth/impl/network/netns"
)

const (
	// patience with one server; a client of ours waits five seconds
	// (resolv.conf(5), timeout) before it asks again.
	patience = 2 * time.Second
	// maxUpstreams is how many servers resolv.conf(5) has (MAXNS).
	maxUpstreams = 3
)

var errUnrelated = errors.New("not an answer to the question")

// forward asks the outside, one server after another, over the protocol that
// the client used: so a truncated answer makes the client ask again by TCP, as
// without us. The answer is passed on as it came.
func (s *Server) forward(ctx context.Context, q *question) []byte {
	var last []byte
	for i, up := range s.source.Upstreams() {
		if i == maxUpstreams || ctx.Err() != nil {
			break
		}
		answer, err := s.ask(ctx, up, q)
		if err != nil {
			s.log.Debug("name server does not answer", "server", up.Server, "err", err)
			continue
		}
		binary.BigEndian.PutUint16(answer, q.header.ID)
		switch dnsmessage.RCode(answer[3] & 0xf) {
		case dnsmessage.RCodeServerFailure, dnsmessage.RCodeNotImplemented, dnsmessage.RCodeRefused:
			last = answer // another one may know more
			continue
		}
		return answer
	}
	if last == nil {
		last = q.failure()
	}
	return last
}

// ask puts the question to one server. The client's id is replaced, because a
// random id and port are what keeps a stranger from answering (RFC 5452).
func (s *Server) ask(ctx context.Context, up Upstream, q *question) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := s.dial(ctx, up, q.tcp)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	id := uint16(rand.Uint32())
	msg := append([]byte(nil), q.msg...)
	binary.BigEndian.PutUint16(msg, id)
	if q.tcp {
		if err := writeFramed(c, msg); err != nil {
			return nil, err
		}
		answer, err := readFramed(c)
		if err == nil && !q.answeredBy(answer, id) {
			err = errUnrelated
		}
		return answer, err
	}
	if _, err := c.Write(msg); err != nil {
		return nil, err
	}
	buf := make([]byte, max(maxDatagram, q.announced))
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if q.answeredBy(buf[:n], id) {
			return buf[:n], nil
		}
	}
}

// answeredBy tells whether a message answers the question under this id.
func (q *question) answeredBy(msg []byte, id uint16) bool {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || h.ID != id {
		return false
	}
	got, err := p.Question()
	if err == dnsmessage.ErrSectionDone {
		return h.RCode != dnsmessage.RCodeSuccess // some servers leave it out when they refuse
	}
	return err == nil && got.Type == q.q.Type && got.Class == q.q.Class &&
		strings.EqualFold(got.Name.String(), q.q.Name.String())
}

// dial opens the socket in the namespace from which the server is asked.
func (s *Server) dial(ctx context.Context, up Upstream, tcp bool) (c net.Conn, err error) {
	open := func() error {
		proto := "udp"
		if tcp {
			proto = "tcp"
		}
		// Without the fallback between address families, whose goroutines would
		// run in another namespace.
		d := net.Dialer{FallbackDelay: -1}
		c, err = d.DialContext(ctx, proto, up.Server.String())
		return err
	}
	if up.Host {
		err = open()
	} else {
		err = netns.Do(s.key, open)
	}
	return c, err
}

// Port is where name servers listen.
const Port = 53

// At is the name server at an address.
func At(addr netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addr, Port) }
