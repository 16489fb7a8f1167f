package network

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"

	"github.com/seed-50ced230/berth/impl/network/netns"
)

// dual is an IPAM with one pool of each family.
func dual(subnet, subnet6 string) IPAM {
	return IPAM{Config: append(pool(subnet).Config, pool(subnet6).Config...)}
}

func addr6(s *Sandbox) netip.Addr { return s.Endpoints[0].IPv6.Addr() }

func sysctl(t *testing.T, s *Sandbox, key string) string {
	t.Helper()
	var text []byte
	read := func() (err error) { text, err = os.ReadFile("/proc/sys/net/ipv6/conf/" + key); return err }
	if s == nil {
		must(t, read())
	} else {
		must(t, netns.Do(s.Key, read))
	}
	return strings.TrimSpace(string(text))
}

// TestIPv6Packets sends real packets along every path of IPv6.
func TestIPv6Packets(t *testing.T) {
	e := newEnv(t)
	far := farHost(t)
	six := e.create(CreateSpec{Name: "six", EnableIPv6: true, IPAM: dual("10.77.0.0/24", "fd00:77::/64")})
	e.create(CreateSpec{Name: "other", EnableIPv6: true, IPAM: dual("10.78.0.0/24", "fd00:78::/64"),
		Options: map[string]string{optionMasquerade: "false"}})
	e.create(CreateSpec{Name: "back", EnableIPv6: true, Internal: true, IPAM: dual("10.79.0.0/24", "fd00:79::/64")})
	if !six.EnableIPv6 {
		t.Errorf("network %+v", six)
	}
	web := e.start(SandboxSpec{ContainerID: "web", Endpoints: []EndpointSpec{{Network: "six"}}, Ports: []PortSpec{
		{Proto: TCP, ContainerPort: 80, HostPort: 8080},
		{Proto: UDP, ContainerPort: 53, HostPort: 5353},
		{Proto: TCP, ContainerPort: 82, HostIP: netip.IPv6Loopback(), HostPort: 8082},
		{Proto: TCP, ContainerPort: 83, HostIP: mustAddr(hostAddr6), HostPort: 8083},
		{Proto: TCP, ContainerPort: 84, HostIP: mustAddr("0.0.0.0"), HostPort: 8084},
	}})
	peer := e.start(SandboxSpec{ContainerID: "peer", Endpoints: []EndpointSpec{{Network: "six", Aliases: []string{"mate"}}}})
	for port, proto := range map[int]Protocol{80: TCP, 81: TCP, 82: TCP, 83: TCP, 84: TCP, 53: UDP} {
		answer(t, web, proto, port, "web")
	}
	// Nothing is lost between fresh containers: a lost packet takes a second.
	if _, err := ask(peer.Key, TCP, at(addr6(web), 81), 900*time.Millisecond); err != nil {
		t.Errorf("first packet: %v", err)
	}
	stranger := e.start(SandboxSpec{ContainerID: "stranger", Endpoints: []EndpointSpec{{Network: "other"}},
		Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8091}}})
	old := e.start(SandboxSpec{ContainerID: "old", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8090}, {Proto: UDP, ContainerPort: 53, HostPort: 5390}}})
	inner := e.start(SandboxSpec{ContainerID: "inner", Endpoints: []EndpointSpec{{Network: "back"}}})
	innerPeer := e.start(SandboxSpec{ContainerID: "innerpeer", Endpoints: []EndpointSpec{{Network: "back"}}})
	for name, s := range map[string]*Sandbox{"stranger": stranger, "old": old, "inner": inner} {
		answer(t, s, TCP, 80, name)
		answer(t, s, TCP, 81, name)
	}
	answer(t, old, UDP, 53, "old")
	answer(t, &Sandbox{}, TCP, 9000, "host")
	answer(t, &Sandbox{Key: far}, TCP, 7, "far")
	gateway := web.Endpoints[0].IPv6Gateway
	if got := fmt.Sprint(web.Endpoints[0].IPv6, " ", gateway, " ", peer.Endpoints[0].IPv6, " ", inner.Endpoints[0].IPv6Gateway); got != "fd00:77::2/64 fd00:77::1 fd00:77::3/64 invalid IP" {
		t.Errorf("addresses %s", got)
	}

	check := func(when string) {
		t.Helper()
		for _, c := range []struct {
			name, key string
			proto     Protocol
			to, who   string
		}{
			{"neighbour straight", peer.Key, TCP, at(addr6(web), 81), "web"},
			{"neighbour by IPv4", peer.Key, TCP, at(addr(web), 81), "web"},
			{"itself", web.Key, TCP, "[::1]:81", "web"},
			{"host straight", "", TCP, at(addr6(web), 81), "web"},
			{"host by ::1", "", TCP, "[::1]:8080", "web"},
			{"host by ::1", "", UDP, "[::1]:5353", "web"},
			{"host by ::1 to a port of ::1", "", TCP, "[::1]:8082", "web"},
			{"host by 127.0.0.1", "", TCP, "127.0.0.1:8080", "web"},
			{"host by its address", "", TCP, at(hostAddr6, 8080), "web"},
			{"host by its address", "", UDP, at(hostAddr6, 5353), "web"},
			{"host by the bridge's address", "", TCP, at(gateway, 8080), "web"},
			{"host to a port of one address", "", TCP, at(hostAddr6, 8083), "web"},
			{"neighbour by the host's address", peer.Key, TCP, at(hostAddr6, 8080), "web"},
			{"neighbour by the host's address", peer.Key, UDP, at(hostAddr6, 5353), "web"},
			{"container to itself by the host's address", web.Key, TCP, at(hostAddr6, 8080), "web"},
			{"container to itself by the host's address", web.Key, UDP, at(hostAddr6, 5353), "web"},
			{"other network by published port", stranger.Key, TCP, at(hostAddr6, 8080), "web"},
			{"other network by published port", web.Key, TCP, at(hostAddr6, 8091), "stranger"},
			{"other host", far, TCP, at(hostAddr6, 8080), "web"},
			{"other host", far, UDP, at(hostAddr6, 5353), "web"},
			{"other host by IPv4", far, TCP, at(hostAddr, 8080), "web"},
			{"other host to a port of one address", far, TCP, at(hostAddr6, 8083), "web"},
			{"other host to a container without IPv6", far, TCP, at(hostAddr6, 8090), "old"},
			{"other host to a container without IPv6", far, UDP, at(hostAddr6, 5390), "old"},
			{"host to a container without IPv6", "", TCP, "[::1]:8090", "old"},
			{"host to a container without IPv6", "", UDP, "[::1]:5390", "old"},
			{"neighbour in the internal network", innerPeer.Key, TCP, at(addr6(inner), 81), "inner"},
			{"container to host", web.Key, TCP, at(gateway, 9000), "host"},
		} {
			want(t, when+c.name, c.key, c.proto, c.to, c.who)
		}
		var refusals sync.WaitGroup
		for _, c := range []struct{ name, key, to string }{
			{"other network", web.Key, at(addr6(stranger), 81)},
			{"other network", stranger.Key, at(addr6(web), 81)},
			{"other network's published port inside", stranger.Key, at(addr6(web), 80)},
			{"out of the internal network", inner.Key, at(farAddr6, 7)},
			{"out of the internal network to another", inner.Key, at(addr6(web), 81)},
			{"into the internal network", web.Key, at(addr6(inner), 81)},
			{"other host to an unpublished port", far, at(addr6(web), 81)},
			{"other host to a port of ::1", far, at(hostAddr6, 8082)},
			{"other host to a port of IPv4", far, at(hostAddr6, 8084)},
			{"other host into the internal network", far, at(addr6(inner), 81)},
			{"host to a port of IPv4", "", "[::1]:8084"},
			{"a port of one address by another", "", "[::1]:8083"},
			{"a container without IPv6", old.Key, at(hostAddr6, 8080)},
		} {
			refusals.Go(func() { refuse(t, when+c.name, c.key, TCP, c.to) })
		}
		refusals.Wait()
		if from := want(t, when+"way out", web.Key, TCP, at(farAddr6, 7), "far"); from != hostAddr6 {
			t.Errorf("%sthe other host sees %s, want the host's address", when, from)
		}
		if from := want(t, when+"way out without masquerading", stranger.Key, TCP, at(farAddr6, 7), "far"); from != addr6(stranger).String() {
			t.Errorf("%sthe other host sees %s, want the container's address", when, from)
		}
		if from := want(t, when+"other host", far, TCP, at(hostAddr6, 8080), "web"); from != farAddr6 {
			t.Errorf("%sthe container sees %s, want the other host's address", when, from)
		}
	}
	check("")

	dev := devicePrefix + six.ID[:maxDeviceName-len(devicePrefix)]
	for _, c := range []struct {
		s         *Sandbox
		key, want string
	}{
		{nil, "all/forwarding", "1"}, {nil, "outer/accept_ra", "2"}, {nil, dev + "/accept_ra", "0"},
		{web, "eth0/disable_ipv6", "0"}, {web, "eth0/accept_ra", "0"}, {old, "eth0/disable_ipv6", "1"}, {old, "lo/disable_ipv6", "1"},
	} {
		if got := sysctl(t, c.s, c.key); got != c.want {
			t.Errorf("%s is %s, want %s", c.key, got, c.want)
		}
	}
	if addrs, ok := (view{e.Manager, "web"}).Lookup("mate"); !ok || !slices.Equal(addrs, []netip.Addr{addr(peer), addr6(peer)}) {
		t.Errorf("mate is %v", addrs)
	}
	if name, ok := (view{e.Manager, "web"}).Reverse(addr6(peer)); !ok || name != "peer.six" {
		t.Errorf("%s is %q", addr6(peer), name)
	}

	e.crash()
	e.open()
	check("after restart: ")

	// A running container gets IPv6 with a network, and loses it.
	s, err := e.Connect(context.Background(), "old", EndpointSpec{Network: "six", IPv6: mustAddr("fd00:77::99")})
	must(t, err)
	if s.Endpoints[1].IPv6.String() != "fd00:77::99/64" || s.Endpoints[0].IPv6.IsValid() {
		t.Errorf("connected %+v", s.Endpoints)
	}
	if from := want(t, "other host after connecting", far, TCP, at(hostAddr6, 8090), "old"); from != farAddr6 {
		t.Errorf("the connected container sees %s, want the other host's address", from)
	}
	want(t, "way out after connecting", old.Key, TCP, at(farAddr6, 7), "far")
	_, err = e.Disconnect(context.Background(), "old", "six")
	must(t, err)
	want(t, "other host after disconnecting", far, TCP, at(hostAddr6, 8090), "old")
	want(t, "other host after disconnecting", far, UDP, at(hostAddr6, 5390), "old")

	for _, c := range []struct {
		spec EndpointSpec
		is   func(error) bool
	}{
		{EndpointSpec{Network: "six", IPv6: addr6(web)}, errdefs.IsConflict},
		{EndpointSpec{Network: "six", IPv6: mustAddr("fd00:99::1")}, errdefs.IsInvalidArgument},
		{EndpointSpec{Network: "six", IPv6: mustAddr("fd00:77::")}, errdefs.IsConflict},
		{EndpointSpec{Network: "bridge", IPv6: mustAddr("fd00:77::5")}, errdefs.IsInvalidArgument},
	} {
		e.settle()
		before := e.census()
		if _, err := e.NewSandbox(context.Background(), SandboxSpec{ContainerID: "no", Mode: ModeBridge, Endpoints: []EndpointSpec{c.spec}}); !c.is(err) {
			t.Errorf("%+v: %v", c.spec, err)
		}
		e.settle()
		if after := e.census(); after != before {
			t.Errorf("%+v: left %+v, before %+v", c.spec, after, before)
		}
	}
	for _, id := range []string{"web", "peer", "stranger", "old", "inner", "innerpeer"} {
		e.release(id)
	}
	refuse(t, "host after release", "", TCP, "[::1]:8080")
	e.settle()
	// Of each pool of IPv4 three addresses are no container's, of IPv6 two.
	if c := e.census(); c != (census{addresses: 4*3 + 3*2}) {
		t.Errorf("after all were released: %+v", c)
	}
}

// TestIPv6Isolated: containers of a network without ICC reach each other by
// published ports only.
func TestIPv6Isolated(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "six", EnableIPv6: true, IPAM: dual("10.77.0.0/24", "fd00:77::/64"), Options: map[string]string{optionICC: "false"}})
	on := []EndpointSpec{{Network: "six"}}
	web := e.start(SandboxSpec{ContainerID: "web", Endpoints: on, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	peer := e.start(SandboxSpec{ContainerID: "peer", Endpoints: on})
	answer(t, web, TCP, 80, "web")
	answer(t, web, TCP, 81, "web")
	want(t, "host", "", TCP, at(addr6(web), 81), "web")
	want(t, "neighbour to published port", peer.Key, TCP, at(hostAddr6, 8080), "web")
	refuse(t, "neighbour to unpublished port", peer.Key, TCP, at(addr6(web), 81))
	for _, id := range []string{"web", "peer"} {
		e.release(id)
	}
}

// TestIPv6Default gives the default network IPv6 and takes it away again.
func TestIPv6Default(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.FixedCIDR6 = netip.MustParsePrefix("2001:db8:1::/64") })
	s := e.start(SandboxSpec{ContainerID: "c", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, s, TCP, 80, "c")
	if got := fmt.Sprint(s.Endpoints[0].IPv6, " ", s.Endpoints[0].IPv6Gateway); got != "2001:db8:1::242:ac11:2/64 2001:db8:1::1" {
		t.Errorf("addresses %s", got)
	}
	n, err := e.Network(NameBridge)
	must(t, err)
	if c := n.IPAM.Config; !n.EnableIPv6 || len(c) != 2 || c[1].Subnet.String() != "2001:db8:1::/64" {
		t.Errorf("network %+v", n)
	}
	want(t, "host", "", TCP, "[2001:db8:1::1]:8080", "c")
	e.crash()
	e.opts.FixedCIDR6 = netip.Prefix{}
	e.open()
	if n, err = e.Network(NameBridge); err != nil || n.EnableIPv6 || len(n.IPAM.Config) != 1 {
		t.Errorf("network %+v, %v", n, err)
	}
	want(t, "host by ::1 after IPv6 went", "", TCP, "[::1]:8080", "c")
	want(t, "host by IPv4 after IPv6 went", "", TCP, "127.0.0.1:8080", "c")
	e.release("c")
}

// TestEarlierTable: the table of family ip that earlier versions had goes.
func TestEarlierTable(t *testing.T) {
	conn, err := nftables.New()
	must(t, err)
	conn.AddTable(&nftables.Table{Name: "berthtest0", Family: nftables.TableFamilyIPv4})
	must(t, conn.Flush())
	newEnv(t)
	tables, err := conn.ListTables()
	must(t, err)
	var found []string
	for _, table := range tables {
		if table.Name == "berthtest0" {
			found = append(found, fmt.Sprint(table.Family == nftables.TableFamilyINet))
		}
	}
	if !slices.Equal(found, []string{"true"}) {
		t.Errorf("tables of ours, of family inet: %v", found)
	}
}

// TestIPv6FirstPacket: nothing is lost between fresh containers. A lost packet
// would be repeated a second later.
func TestIPv6FirstPacket(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "six", EnableIPv6: true, IPAM: dual("10.77.0.0/24", "fd00:77::/64")})
	on := []EndpointSpec{{Network: "six"}}
	for range 10 {
		web := e.start(SandboxSpec{ContainerID: "web", Endpoints: on})
		answer(t, web, TCP, 81, "web")
		peer := e.start(SandboxSpec{ContainerID: "peer", Endpoints: on})
		if _, err := ask(peer.Key, TCP, at(addr6(web), 81), 900*time.Millisecond); err != nil {
			t.Error(err)
		}
		e.release("web")
		e.release("peer")
	}
}
