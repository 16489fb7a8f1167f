package network

import (
	"testing"
	"time"
)

// TestPackets sends real packets along every path that a container's port has.
func TestPackets(t *testing.T) {
	e := newEnv(t)
	web := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{
		{Proto: TCP, ContainerPort: 80, HostPort: 8080},
		{Proto: UDP, ContainerPort: 53, HostPort: 5353},
		{Proto: TCP, ContainerPort: 81},
	}})
	other := e.start(SandboxSpec{ContainerID: "other"})
	for port, proto := range map[int]Protocol{80: TCP, 81: TCP, 53: UDP, 9: TCP} {
		answer(t, web, proto, port, "web")
	}
	answer(t, other, TCP, 7, "other")
	gateway := web.Endpoints[0].IPv4Gateway

	for _, c := range []struct {
		name, key string
		proto     Protocol
		to        string
	}{
		{"host by loopback", "", TCP, "127.0.0.1:8080"},
		{"host by loopback", "", UDP, "127.0.0.1:5353"},
		{"host by another loopback address", "", TCP, "127.8.8.8:8080"},
		{"host by its own address", "", TCP, hostAddr + ":8080"},
		{"host by its own address", "", UDP, hostAddr + ":5353"},
		{"host by the bridge's address", "", TCP, at(gateway, 8080)},
		{"host straight to the container", "", TCP, at(addr(web), 9)},
		{"neighbour by the host's address", other.Key, TCP, hostAddr + ":8080"},
		{"neighbour by the host's address", other.Key, UDP, hostAddr + ":5353"},
		{"neighbour by the bridge's address", other.Key, TCP, at(gateway, 8080)},
		{"neighbour straight to the container", other.Key, TCP, at(addr(web), 9)},
		{"container to itself by the host's address", web.Key, TCP, hostAddr + ":8080"},
		{"container to itself by the host's address", web.Key, UDP, hostAddr + ":5353"},
		{"container to itself by the bridge's address", web.Key, TCP, at(gateway, 8080)},
		{"container to itself by loopback", web.Key, TCP, "127.0.0.1:80"},
	} {
		want(t, c.name, c.key, c.proto, c.to, "web")
	}
	if p := web.Ports[2]; p.HostPort == 0 {
		t.Errorf("no random port in %+v", web.Ports)
	} else {
		want(t, "host by random port", "", TCP, at("127.0.0.1", int(p.HostPort)), "web")
	}
	want(t, "container to neighbour", web.Key, TCP, at(addr(other), 7), "other")

	hostListener := &Sandbox{}
	answer(t, hostListener, TCP, 9000, "host")
	if from := want(t, "container to host", web.Key, TCP, at(gateway, 9000), "host"); from != addr(web).String() {
		t.Errorf("the host sees the container as %s, want %s", from, addr(web))
	}
	refuse(t, "container to the host's loopback", web.Key, TCP, "127.0.0.1:9000")

	e.release("web")
	refuse(t, "host after release", "", TCP, "127.0.0.1:8080")
	refuse(t, "host after release", "", UDP, "127.0.0.1:5353")
}

// TestHostAddress publishes on one address of the host only.
func TestHostAddress(t *testing.T) {
	e := newEnv(t)
	s := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{
		{Proto: TCP, ContainerPort: 80, HostIP: mustAddr("127.0.0.1"), HostPort: 8080},
		{Proto: TCP, ContainerPort: 81, HostIP: mustAddr(hostAddr), HostPort: 8080},
	}})
	answer(t, s, TCP, 80, "first")
	answer(t, s, TCP, 81, "second")
	want(t, "host", "", TCP, "127.0.0.1:8080", "first")
	want(t, "host", "", TCP, hostAddr+":8080", "second")
	refuse(t, "host by the bridge's address", "", TCP, at(s.Endpoints[0].IPv4Gateway, 8080))
}

// TestFirstPacket: nothing is lost between a fresh container and the host. A
// lost packet would be repeated a second later.
func TestFirstPacket(t *testing.T) {
	e := newEnv(t)
	answer(t, &Sandbox{}, TCP, 9000, "host")
	for i := range 8 {
		s := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
		answer(t, s, TCP, 80, "web")
		from, key, to := "host", "", "127.0.0.1:8080"
		if i%2 == 1 {
			from, key, to = "container", s.Key, at(s.Endpoints[0].IPv4Gateway, 9000)
		}
		if _, err := ask(key, TCP, to, 900*time.Millisecond); err != nil {
			t.Errorf("first packet from the %s: %v", from, err)
		}
		e.release("web")
		if i%4 < 2 {
			e.settle() // with an idle bridge, and with one that has just lost its port
		}
	}
}
