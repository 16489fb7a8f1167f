package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

const (
	// maxDatagram is the longest question that is taken by UDP, and the size
	// that the Server offers with EDNS (RFC 6891, 6.2.5).
	maxDatagram = 4096
	// minDatagram is what every client takes by UDP (RFC 1035, 4.2.1).
	minDatagram = 512
	// maxMessage is the longest message of all (RFC 1035, 4.2.2).
	maxMessage = 65535
	// idle is how long a connection may say nothing (RFC 7766, 6.2.3).
	idle = 10 * time.Second
)

// serveUDP answers what it can by itself at once; only questions that are
// forwarded get a goroutine.
func (s *Server) serveUDP() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// An ICMP error that an earlier answer met; the next read waits.
			continue
		}
		q, answer := s.answer(buf[:n], false)
		if answer == nil && q != nil {
			select {
			case s.forwards <- struct{}{}:
				s.work.Go(func() {
					defer func() { <-s.forwards }()
					_, _ = s.udp.WriteToUDPAddrPort(s.forward(s.ctx, q), from)
				})
				continue
			default:
				answer = q.failure()
			}
		}
		if answer != nil {
			_, _ = s.udp.WriteToUDPAddrPort(answer, from) // a lost datagram is asked again
		}
	}
}

func (s *Server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Warn("name server at "+Address+" cannot accept", "err", err)
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond): // no descriptors left, most likely
			}
			continue
		}
		select {
		case s.conns <- struct{}{}:
		default:
			c.Close()
			continue
		}
		s.work.Go(func() {
			defer func() { <-s.conns }()
			s.converse(c)
		})
	}
}

// converse answers the questions of a connection, one after another.
func (s *Server) converse(c net.Conn) {
	defer context.AfterFunc(s.ctx, func() { c.Close() })()
	defer c.Close()
	for {
		if c.SetDeadline(time.Now().Add(idle)) != nil {
			return
		}
		msg, err := readFramed(c)
		if err != nil {
			return
		}
		q, answer := s.answer(msg, true)
		if answer == nil && q != nil {
			select {
			case s.forwards <- struct{}{}:
				answer = s.forward(s.ctx, q)
				<-s.forwards
			default:
				answer = q.failure()
			}
		}
		if answer == nil || writeFramed(c, answer) != nil {
			return
		}
	}
}

// readFramed reads a message with its length before it (RFC 1035, 4.2.2).
func readFramed(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

func writeFramed(w io.Writer, msg []byte) error {
	framed := make([]byte, 2, 2+len(msg))
	binary.BigEndian.PutUint16(framed, uint16(len(msg)))
	_, err := w.Write(append(framed, msg...))
	return err
}
