package network

import (
	"strings"
	"testing"
)

// debtsKept waits until that many debts are left to dun.
func (e *env) debtsKept(t *testing.T, n int) {
	t.Helper()
	waitFor(t, "plugins that were not reached", func() bool {
		kept := 0
		e.kept.Range(func(any, any) bool { kept++; return true })
		return kept == n
	})
}

// TestPaidInPart: an address that its plugin has back while that of the network is
// away is not asked for again, when it may be another container's.
func TestPaidInPart(t *testing.T) {
	dir := pluginDir(t)
	e := newEnv(t, withPlugins(dir))
	wires, books := startPlugin(t, dir, "network", "wires"), startPlugin(t, dir, "address", "books")
	e.create(CreateSpec{Name: "remote", Driver: "wires", IPAM: IPAM{Driver: "books"}})
	on := func(id string) SandboxSpec {
		return SandboxSpec{ContainerID: id, Endpoints: []EndpointSpec{{Network: "remote"}}}
	}
	one := e.start(on("one"))
	wires.Kill()
	e.release("one")
	e.debtsKept(t, 1)
	outIs(t, books, 2) // the pool and its gateway
	wires = startPlugin(t, dir, "network", "wires")
	two := e.start(on("two"))
	if addr(two) != addr(one) {
		t.Fatalf("the plugin's next address is %s, the container has %s", addr(one), addr(two))
	}
	e.dunOnce()
	e.debtsKept(t, 0)
	within(t, wires, "DeleteEndpoint", 1)
	outIs(t, books, 3)
	if books.Count("ReleaseAddress") != 1 {
		t.Errorf("calls %q", books.Calls())
	}

	// Nor is one that a plugin gives anew after it has forgotten what it gave.
	books.Kill()
	e.release("two")
	e.debtsKept(t, 1)
	books = startPlugin(t, dir, "address", "books")
	must(t, books.Behave("GetCapabilities", "replay"))
	must(t, e.replayNow(t.Context(), e.networks[two.Endpoints[0].NetworkID]))
	if s := e.start(on("three")); addr(s) != addr(two) {
		t.Fatalf("the plugin's next address is %s, the container has %s", addr(two), addr(s))
	}
	before := books.Count("ReleaseAddress")
	e.dunOnce()
	e.debtsKept(t, 0)
	if books.Count("ReleaseAddress") != before {
		t.Errorf("an address in use was released: %q", books.Calls())
	}
	e.release("three")
}

// TestNetworkAfterEndpoints: a plugin that was away is told of a network's end
// after the ends of its endpoints, by this engine and by the next one.
func TestNetworkAfterEndpoints(t *testing.T) {
	dir := pluginDir(t)
	e := newEnv(t, withPlugins(dir))
	wires := startPlugin(t, dir, "network", "wires")
	leave := func() {
		t.Helper()
		e.create(CreateSpec{Name: "remote", Driver: "wires", IPAM: pool("10.99.7.0/24")})
		e.start(SandboxSpec{ContainerID: "one", Endpoints: []EndpointSpec{{Network: "remote"}}})
		wires.Kill()
		e.release("one")
		e.debtsKept(t, 1)
	}
	order := func(calls []string) {
		t.Helper()
		text := strings.Join(calls, "\n")
		if endpoint, network := strings.LastIndex(text, "DeleteEndpoint"), strings.LastIndex(text, "DeleteNetwork"); endpoint < 0 || network < endpoint {
			t.Errorf("calls\n%s", text)
		}
	}
	leave()
	wires = startPlugin(t, dir, "network", "wires")
	_, err := e.RemoveNetwork(t.Context(), "remote")
	must(t, err)
	e.debtsKept(t, 2)
	e.dunOnce()
	e.debtsKept(t, 0)
	order(wires.Calls())

	leave()
	_, err = e.RemoveNetwork(t.Context(), "remote")
	must(t, err)
	e.debtsKept(t, 2)
	e.crash()
	wires = startPlugin(t, dir, "network", "wires")
	must(t, wires.Behave("Leave", "slow"))
	e.open()
	within(t, wires, "DeleteNetwork", 2)
	order(wires.Calls())
}
