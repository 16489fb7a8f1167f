package network

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/impl/network/resolver"
)

// BenchmarkSandbox makes and releases the network of one container after
// another; make-ms is the part before the container could start.
func BenchmarkSandbox(b *testing.B) {
	for _, ports := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("ports=%d", ports), func(b *testing.B) {
			e := newEnv(b)
			spec := SandboxSpec{Mode: ModeBridge}
			for i := range ports {
				spec.Ports = append(spec.Ports, PortSpec{Proto: TCP, ContainerPort: uint16(80 + i), HostPort: uint16(20000 + i)})
			}
			i := 0
			for b.Loop() {
				spec.ContainerID = fmt.Sprint("c", i)
				i++
				e.start(spec)
				e.release(spec.ContainerID)
			}
		})
	}
}

// BenchmarkMake leaves the release out of the time.
func BenchmarkMake(b *testing.B) {
	for _, ports := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("ports=%d", ports), func(b *testing.B) {
			e := newEnv(b)
			spec := SandboxSpec{Mode: ModeBridge}
			for i := range ports {
				spec.Ports = append(spec.Ports, PortSpec{Proto: TCP, ContainerPort: uint16(80 + i), HostPort: uint16(20000 + i)})
			}
			b.ResetTimer()
			for i := range b.N {
				spec.ContainerID = fmt.Sprint("c", i)
				e.start(spec)
				b.StopTimer()
				e.release(spec.ContainerID)
				b.StartTimer()
			}
		})
	}
}

// BenchmarkParallel has eight containers at once with one random port each.
func BenchmarkParallel(b *testing.B) {
	e := newEnv(b)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 8 {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				id := fmt.Sprint("c", i)
				if _, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: id, Mode: ModeBridge,
					Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}}}); err != nil {
					b.Error(err)
					return
				}
				if err := e.Release(context.Background(), id); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkMakeNamed is BenchmarkMake in a user-defined network: with a resolver.
func BenchmarkMakeNamed(b *testing.B) {
	e := newEnv(b)
	e.newNetwork("net", false)
	spec := SandboxSpec{Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "net"}}}
	b.ResetTimer()
	for i := range b.N {
		spec.ContainerID = fmt.Sprint("c", i)
		e.start(spec)
		b.StopTimer()
		e.release(spec.ContainerID)
		b.StartTimer()
	}
}

// BenchmarkLookup asks for one name after another over one socket.
func BenchmarkLookup(b *testing.B) {
	e := newEnv(b)
	e.newNetwork("net", false)
	var s *Sandbox
	for i := range 50 {
		s = e.start(SandboxSpec{ContainerID: fmt.Sprint("c", i), Endpoints: []EndpointSpec{{Network: "net"}}})
	}
	msg, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName("c7."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}).Pack()
	must(b, err)
	var c net.Conn
	must(b, netns.Do(s.Key, func() (err error) {
		c, err = net.Dial("udp4", resolver.Address+":53")
		return err
	}))
	defer c.Close()
	buf := make([]byte, 512)
	for b.Loop() {
		_, err := c.Write(msg)
		must(b, err)
		_, err = c.Read(buf)
		must(b, err)
	}
}
