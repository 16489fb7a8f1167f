package network

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// table is the engine's nftables table in a form that does not depend on the
// order in which its networks came.
func (e *env) rules(t *testing.T) []string {
	t.Helper()
	var blocks []string
	text := run(t, "nft", "list", "table", "inet", e.opts.Bridge)
	for block := range strings.SplitSeq(text, "\n\t}\n") {
		head, elements, ok := strings.Cut(block, "elements = {")
		if ok {
			list := strings.FieldsFunc(elements, func(r rune) bool { return r == ',' || r == '}' })
			for i := range list {
				list[i] = strings.Join(strings.Fields(list[i]), " ")
			}
			slices.Sort(list)
			head += strings.Join(list, "\n")
		}
		blocks = append(blocks, head)
	}
	slices.Sort(blocks)
	return blocks
}

// kinds makes networks of every kind that the rules know, with subnets beside
// each other.
func (e *env) kinds(n int) (names []string) {
	for i := range n {
		spec := CreateSpec{Name: fmt.Sprint("net", i), IPAM: pool(fmt.Sprintf("10.%d.%d.0/24", 64+i/256, i%256)), Options: map[string]string{}}
		switch i % 4 {
		case 1:
			spec.EnableIPv6 = true
			spec.IPAM.Config = append(spec.IPAM.Config, pool(fmt.Sprintf("fd00:64:0:%x::/64", i)).Config...)
		case 2:
			spec.Internal = true
		case 3:
			spec.Options[optionICC], spec.Options[optionMasquerade] = "false", "false"
		}
		e.create(spec)
		names = append(names, spec.Name)
	}
	return names
}

// TestRulesInSteps: a table that grew and shrank network by network is the one
// that a new engine installs as a whole.
func TestRulesInSteps(t *testing.T) {
	e := newEnv(t)
	empty := e.rules(t)
	names := e.kinds(12)
	s := e.start(SandboxSpec{ContainerID: "c", Endpoints: []EndpointSpec{{Network: "net4"}}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, s, TCP, 80, "c")
	remove := func(name string) {
		t.Helper()
		if _, err := e.RemoveNetwork(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	handles := run(t, "nft", "-a", "list", "chain", "inet", e.opts.Bridge, "to-"+e.opts.Bridge)
	for i, name := range names {
		if i%3 == 0 {
			remove(name)
		}
	}
	e.create(CreateSpec{Name: "again", IPAM: pool("10.64.0.0/24")}) // that of net0
	if now := run(t, "nft", "-a", "list", "chain", "inet", e.opts.Bridge, "to-"+e.opts.Bridge); now != handles {
		t.Errorf("rules of another network were made anew:\n%s\nbefore:\n%s", now, handles)
	}
	want(t, "host", "", TCP, "127.0.0.1:8080", "c")
	grown := e.rules(t)
	e.crash()
	e.open()
	if built := e.rules(t); !slices.Equal(grown, built) {
		t.Errorf("in steps:\n%s\nas a whole:\n%s", strings.Join(grown, "\n"), strings.Join(built, "\n"))
	}
	e.release("c")
	for i, name := range names {
		if i%3 != 0 {
			remove(name)
		}
	}
	remove("again")
	if left := e.rules(t); !slices.Equal(left, empty) {
		t.Errorf("without networks:\n%s\nat first:\n%s", strings.Join(left, "\n"), strings.Join(empty, "\n"))
	}
}

// TestTableGoneMeanwhile: networks come and go while another program removes
// the table.
func TestTableGoneMeanwhile(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "stays", IPAM: pool("10.63.0.0/24")})
	run(t, "nft", "flush", "ruleset")
	e.create(CreateSpec{Name: "comes", IPAM: pool("10.64.0.0/24")})
	run(t, "nft", "flush", "ruleset")
	if _, err := e.RemoveNetwork(context.Background(), "comes"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "rule of the network that stays", func() bool {
		return strings.Contains(strings.Join(e.rules(t), ""), "10.63.0.0/24")
	})
	if all := strings.Join(e.rules(t), ""); strings.Contains(all, "10.64.0.0") {
		t.Errorf("rules of a network that is gone:\n%s", all)
	}
}

// TestManyBesideDocker: however many networks there are, a Docker Engine's chain
// gets a handful of rules, and each network passes.
func TestManyBesideDocker(t *testing.T) {
	run(t, "iptables-nft", "-N", "DOCKER-USER")
	run(t, "iptables-nft", "-P", "FORWARD", "DROP")
	run(t, "iptables-nft", "-I", "FORWARD", "-j", "DOCKER-USER")
	t.Cleanup(func() {
		run(t, "iptables-nft", "-P", "FORWARD", "ACCEPT")
		run(t, "iptables-nft", "-F", "FORWARD")
		run(t, "iptables-nft", "-F", "DOCKER-USER")
		run(t, "iptables-nft", "-X", "DOCKER-USER")
	})
	e := newEnv(t)
	far := farHost(t)
	e.kinds(10)
	e.create(CreateSpec{Name: "own", Options: map[string]string{optionDevice: "mine0"}, IPAM: pool("10.62.0.0/24")})
	if got := run(t, "iptables-nft", "-S", "DOCKER-USER"); strings.Count(got, "-A ") != 12 {
		t.Errorf("DOCKER-USER is\n%s", got)
	}
	for i, name := range []string{"net0", "net4", "own", NameBridge} {
		s := e.start(SandboxSpec{ContainerID: name, Endpoints: []EndpointSpec{{Network: name}},
			Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: uint16(8080 + i)}}})
		answer(t, s, TCP, 80, name)
		want(t, "other host", far, TCP, at(hostAddr, 8080+i), name)
		e.release(name)
	}
}

// networksEnv is how many networks TestCostOfNetworks makes (40); "make
// test-networks" makes 1,000.
const networksEnv = "BERTH_NETWORKS"

// TestCostOfNetworks: a network more costs beside many what it costs beside
// none, but for what the kernel's own lists grow; a new engine takes them over
// in a bounded time, and nothing is left of them.
func TestCostOfNetworks(t *testing.T) {
	many := 40
	if text := os.Getenv(networksEnv); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		many = n
	}
	e := newEnv(t)
	empty := e.rules(t)
	remove := func(name string) {
		t.Helper()
		if _, err := e.RemoveNetwork(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	cycle := func() time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			e.create(CreateSpec{Name: "probe", IPAM: pool("10.200.0.0/24")})
			best = min(best, time.Since(start))
			remove("probe")
		}
		return best
	}
	none := cycle()
	start := time.Now()
	names := e.kinds(many)
	made := time.Since(start)
	beside := cycle()
	if beside > 4*none+time.Duration(many)*100*time.Microsecond {
		t.Errorf("making a network takes %v beside %d, %v beside none", beside, many, none)
	}
	last := names[len(names)-1-(len(names)-1)%4] // one of the first kind
	s := e.start(SandboxSpec{ContainerID: "c", Endpoints: []EndpointSpec{{Network: last}}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, s, TCP, 80, "c")
	e.crash()
	start = time.Now()
	e.open()
	opened := time.Since(start)
	want(t, "host", "", TCP, "127.0.0.1:8080", "c")
	e.release("c")
	start = time.Now()
	for _, name := range names {
		remove(name)
	}
	removed := time.Since(start)
	if left := e.rules(t); !slices.Equal(left, empty) {
		t.Errorf("without networks:\n%s\nat first:\n%s", strings.Join(left, "\n"), strings.Join(empty, "\n"))
	}
	t.Logf("%d networks: made in %v (the first %v, one more %v), taken over in %v, removed in %v", many, made, none, beside, opened, removed)
}
