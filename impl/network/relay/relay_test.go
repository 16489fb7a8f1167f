package relay

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start relays a fresh socket of [::1] to target and gives its address.
func start(t *testing.T, proto string, target Target) (*Relay, string) {
	t.Helper()
	kind := unix.SOCK_STREAM
	if proto == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	must(t, unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}))
	if proto == "tcp" {
		must(t, unix.Listen(fd, 16))
	}
	name, err := unix.Getsockname(fd)
	must(t, err)
	r, err := Start(proto, fd, target)
	must(t, err)
	t.Cleanup(r.Close)
	return r, netip.AddrPortFrom(netip.IPv6Loopback(), uint16(name.(*unix.SockaddrInet6).Port)).String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTCP: every byte arrives, after the client has said that it ends, too.
func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				all, _ := io.ReadAll(c) // until the client's half is closed
				c.Write(all)
			}()
		}
	}()
	_, at := start(t, "tcp", func() netip.AddrPort { return netip.MustParseAddrPort(l.Addr().String()) })
	sent := make([]byte, 4<<20)
	rand.Read(sent)
	c, err := net.Dial("tcp", at)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	go func() {
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(sent), err)
	}
}

// TestNobody: a client of a container that does not listen is refused, and Close
// ends who is connected.
func TestNobody(t *testing.T) {
	_, at := start(t, "tcp", func() netip.AddrPort { return netip.AddrPort{} })
	c, err := net.Dial("tcp", at)
	if err == nil {
		c.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if err == nil || err == io.EOF {
		t.Errorf("nobody there: %v, want a reset", err)
	}

	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	r, at := start(t, "tcp", func() netip.AddrPort { return netip.MustParseAddrPort(l.Addr().String()) })
	c, err = net.Dial("tcp", at)
	must(t, err)
	defer c.Close()
	server, err := l.Accept()
	must(t, err)
	defer server.Close()
	r.Close()
	for _, end := range []net.Conn{c, server} {
		must(t, end.SetDeadline(time.Now().Add(5*time.Second)))
		if _, err := end.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlives the relay")
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Error("a connection outlives the relay")
		}
	}
	if _, err := net.Dial("tcp", at); err == nil {
		t.Error("the socket outlives the relay")
	}
}

// TestUDP: each client gets its own answers, and those of the container that is
// the target now.
func TestUDP(t *testing.T) {
	server := func(name string) netip.AddrPort {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { c.Close() })
		go func() {
			buf := make([]byte, 64)
			for {
				n, from, err := c.ReadFrom(buf)
				if err != nil {
					return
				}
				c.WriteTo([]byte(name+string(buf[:n])), from)
			}
		}()
		return netip.MustParseAddrPort(c.LocalAddr().String())
	}
	targets := make(chan netip.AddrPort, 1)
	targets <- server("a")
	_, at := start(t, "udp", func() netip.AddrPort { to := <-targets; targets <- to; return to })
	var clients []net.Conn
	for range 3 {
		c, err := net.Dial("udp", at)
		must(t, err)
		defer c.Close()
		clients = append(clients, c)
	}
	ask := func(want string) {
		t.Helper()
		for i, c := range clients {
			must(t, c.SetDeadline(time.Now().Add(5*time.Second)))
			c.Write([]byte{byte('0' + i)})
			buf := make([]byte, 64)
			n, err := c.Read(buf)
			if got := string(buf[:n]); err != nil || got != want+string(rune('0'+i)) {
				t.Errorf("client %d got %q, %v", i, got, err)
			}
		}
	}
	ask("a")
	ask("a")
	<-targets
	targets <- server("b")
	ask("b")
}

// TestCloseWhileDialing: a container that takes no connection does not hold up
// the end of the relay.
func TestCloseWhileDialing(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	must(t, err)
	full := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*unix.SockaddrInet4).Port))
	for dialed := false; !dialed; { // until its queue is full
		c, err := net.DialTimeout("tcp", full.String(), 200*time.Millisecond)
		if dialed = err != nil; !dialed {
			defer c.Close()
		}
	}
	asked := make(chan struct{}, 1)
	r, at := start(t, "tcp", func() netip.AddrPort { asked <- struct{}{}; return full })
	c, err := net.Dial("tcp", at)
	must(t, err)
	defer c.Close()
	<-asked
	time.Sleep(50 * time.Millisecond) // the dial has begun
	began := time.Now()
	r.Close()
	if took := time.Since(began); took > patience/5 {
		t.Errorf("close took %v", took)
	}
}
