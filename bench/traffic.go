package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

const (
	streamBytes = 96 << 20 // of one throughput measurement: many short turns bear a busy machine better
	roundTrips  = 500      // of one latency measurement
	lookups     = 2000     // of one measurement of lookups
)

// sender serves zeroes at one port and what it gets at the other.
var sender = fmt.Sprintf("nc -ll -p 8080 -e dd if=/dev/zero bs=65536 count=%d 2>/dev/null & exec nc -ll -p 8081 -e cat", streamBytes/65536)

// traffic: what passes through a published port from the engine's host itself
// and from another one (a network namespace beyond a veth pair), and lookups of a
// container's name from within another container.
func traffic(ctx context.Context, a *arena, r *report) error {
	type path struct {
		name, netns, host string
	}
	paths := map[string][]path{}
	containers := map[string]string{}
	for i, e := range a.engines {
		own := fmt.Sprintf("/proc/%d/ns/net", e.daemon.Pid())
		other, closeHost, err := otherHost(ctx, own, i)
		if err != nil {
			return err
		}
		defer closeHost()
		network, err := e.makeNetwork(ctx, "bench-traffic")
		if err != nil {
			return err
		}
		defer func() { _ = e.removeNetwork(context.WithoutCancel(ctx), network) }()
		id, err := e.startSender(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = e.remove(context.WithoutCancel(ctx), id) }()
		containers[e.name] = id
		if err := inNetns(own, awaitEcho); err != nil {
			return err
		}
		paths[e.name] = []path{{"the host", own, "127.0.0.1"}, {"another host", other, fmt.Sprintf("10.214.%d.1", i)}}
	}
	for i := range 2 {
		var throughput, latency []turn
		var from string
		for _, e := range a.engines {
			p := paths[e.name][i]
			from = p.name
			throughput = append(throughput, turn{e.name, func() error { return inNetns(p.netns, func() error { return receive(p.host + ":18080") }) }})
			latency = append(latency, turn{e.name, func() error { return inNetns(p.netns, func() error { return bounce(p.host + ":18081") }) }})
		}
		names, values, err := takeTurns(ctx, a.rounds, throughput)
		if err != nil {
			return err
		}
		r.add("TCP throughput, published port, from "+from, "MB/s", "more", names, rates(values, streamBytes/1e6))
		if names, values, err = takeTurns(ctx, a.rounds, latency); err != nil {
			return err
		}
		for _, v := range values {
			for j := range v {
				v[j] *= 1000. / roundTrips
			}
		}
		r.add("TCP round trip, published port, from "+from, "µs", "less", names, values)
	}
	var asking []turn
	for _, e := range a.engines {
		var state struct{ State struct{ Pid int } }
		if err := e.call(ctx, http.MethodGet, "/containers/"+containers[e.name]+"/json", nil, http.StatusOK, &state); err != nil {
			return err
		}
		netns := fmt.Sprintf("/proc/%d/ns/net", state.State.Pid)
		asking = append(asking, turn{e.name, func() error { return inNetns(netns, resolve) }})
	}
	names, values, err := takeTurns(ctx, a.rounds, asking)
	if err != nil {
		return err
	}
	r.add("DNS lookups from a container", "/s", "more", names, rates(values, lookups))
	return nil
}

// rates turns milliseconds for an amount into amounts per second.
func rates(values map[string][]float64, amount float64) map[string][]float64 {
	for _, v := range values {
		for i := range v {
			v[i] = amount / (v[i] / 1000)
		}
	}
	return values
}

func (e *engine) startSender(ctx context.Context) (id string, err error) {
	c := config{Image: "busybox:latest", Cmd: []string{"sh", "-c", sender}, HostConfig: hostConfig{NetworkMode: "bench-traffic"}}
	c.ExposedPorts = map[string]struct{}{"8080/tcp": {}, "8081/tcp": {}}
	c.HostConfig.PortBindings = map[string][]hostIP{"8080/tcp": {{HostPort: "18080"}}, "8081/tcp": {{HostPort: "18081"}}}
	var made struct {
		ID string `json:"Id"`
	}
	if err := e.call(ctx, http.MethodPost, "/containers/create?name=bench-sender", c, http.StatusCreated, &made); err != nil {
		return "", err
	}
	if err := e.start(ctx, made.ID); err != nil {
		return made.ID, errors.Join(err, e.remove(ctx, made.ID))
	}
	return made.ID, nil
}

// otherHost makes a network namespace with a wire to an engine's.
func otherHost(ctx context.Context, engine string, i int) (netns string, closeHost func(), err error) {
	sleeper := exec.Command("unshare", "--net", "sleep", "infinity")
	if err := sleeper.Start(); err != nil {
		return "", nil, err
	}
	closeHost = func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }
	netns = fmt.Sprintf("/proc/%d/ns/net", sleeper.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/net")
	for end := time.Now().Add(5 * time.Second); err == nil; time.Sleep(time.Millisecond) {
		there, lerr := os.Readlink(netns)
		if lerr == nil && there != own {
			break
		}
		if time.Now().After(end) {
			err = fmt.Errorf("unshare --net does nothing")
		}
	}
	script := fmt.Sprintf(`set -e
nsenter --net=%[1]s ip link add wire type veth peer name bench0
nsenter --net=%[1]s ip link set bench0 netns %[3]d
nsenter --net=%[1]s ip addr add 10.214.%[2]d.1/24 dev wire
nsenter --net=%[1]s ip link set wire up
nsenter --net=%[4]s ip addr add 10.214.%[2]d.2/24 dev bench0
nsenter --net=%[4]s ip link set bench0 up`, engine, i, sleeper.Process.Pid, netns)
	if err == nil {
		var out []byte
		if out, err = exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
			err = fmt.Errorf("make another host: %w: %s", err, out)
		}
	}
	if err != nil {
		closeHost()
		return "", nil, err
	}
	return netns, closeHost, nil
}

// inNetns runs f on a thread in a network namespace; what f opens stays there.
func inNetns(path string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		ns, err := os.Open(path)
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// awaitEcho waits until the container serves: before that, a proxy of the
// engine's may take connections and close them.
func awaitEcho() error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := bounce("127.0.0.1:18081")
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func receive(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	buffer := make([]byte, 256<<10)
	var n int
	for {
		got, err := c.Read(buffer)
		n += got
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if n != streamBytes {
		return fmt.Errorf("%d of %d bytes came", n, streamBytes)
	}
	return nil
}

func bounce(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	one := []byte{'x'}
	for range roundTrips {
		if _, err := c.Write(one); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, one); err != nil {
			return err
		}
	}
	return nil
}

// resolve asks the container's resolver for the container's own name.
func resolve() error {
	c, err := net.Dial("udp", "127.0.0.11:53")
	if err != nil {
		return err
	}
	defer c.Close()
	answer := make([]byte, 1500)
	for i := range lookups {
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: uint16(i), RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("bench-sender."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		text, err := q.Pack()
		if err != nil {
			return err
		}
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := c.Write(text); err != nil {
			return err
		}
		n, err := c.Read(answer)
		if err != nil {
			return err
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer[:n]); err != nil {
			return err
		}
		if m.ID != uint16(i) || m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) != 1 {
			return fmt.Errorf("lookup %d: %+v", i, m)
		}
	}
	return nil
}
