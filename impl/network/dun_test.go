package network

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	registry "github.com/seed-50ced230/berth/impl/plugin"
)

func (e *env) keptDebts() (n int) {
	e.kept.Range(func(any, any) bool { n++; return true })
	return n
}

// TestDunBesideHangingPlugin: a plugin that hangs keeps no other one from hearing what
// is gone, and is asked once in a round.
func TestDunBesideHangingPlugin(t *testing.T) {
	dir := pluginDir(t)
	plugins := registry.New(registry.Options{Sockets: dir, Connect: 200 * time.Millisecond, Call: time.Second})
	e := newEnv(t, func(o *Options) { o.Plugins = plugins })
	wires, lame := startPlugin(t, dir, "network", "wires"), startPlugin(t, dir, "network", "lame")
	e.create(CreateSpec{Name: "good", Driver: "wires", IPAM: pool("10.99.7.0/24")})
	e.create(CreateSpec{Name: "bad", Driver: "lame", IPAM: pool("10.99.8.0/24")})
	const many = 6
	for i := range many {
		e.start(SandboxSpec{ContainerID: fmt.Sprint("bad", i), Endpoints: []EndpointSpec{{Network: "bad"}}})
	}
	e.start(SandboxSpec{ContainerID: "good", Endpoints: []EndpointSpec{{Network: "good"}}})
	must(t, lame.Behave("Leave", "hang"))
	must(t, lame.Behave("DeleteEndpoint", "hang"))
	wires.Kill()
	e.release("good")
	for i := range many {
		e.release(fmt.Sprint("bad", i))
	}
	waitFor(t, "plugins that were not reached", func() bool { return e.keptDebts() == many+1 })
	wires = startPlugin(t, dir, "network", "wires")
	asked := lame.Count("Leave")
	start := time.Now()
	e.dunOnce()
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("a round took %v", took)
	}
	if e.keptDebts() != many || wires.Count("DeleteEndpoint") != 1 {
		t.Errorf("%d debts are kept; the plugin that lives again was told: %q", e.keptDebts(), wires.Calls())
	}
	if n := lame.Count("Leave") - asked; n != 1 {
		t.Errorf("the plugin that hangs was asked %d times", n)
	}
	must(t, lame.Behave("Leave", ""))
	must(t, lame.Behave("DeleteEndpoint", ""))
	e.dunOnce()
	if e.keptDebts() != 0 {
		t.Errorf("%d debts are kept", e.keptDebts())
	}
}

// TestOldDebts: what a plugin that is gone for good had is forgotten after a while.
func TestOldDebts(t *testing.T) {
	dir := pluginDir(t)
	e := newEnv(t, withPlugins(dir))
	for id, age := range map[string]time.Duration{"old": debtAge + time.Hour, "young": debtAge - time.Hour} {
		must(t, e.write(&debt{ID: id, NetworkID: id, Driver: "nosuch", Since: time.Now().Add(-age)}))
	}
	left := func() (names []string) {
		list, err := os.ReadDir(e.debtsDir())
		must(t, err)
		for _, f := range list {
			names = append(names, f.Name())
		}
		return names
	}
	e.crash()
	log := e.keepLog()
	e.open()
	waitFor(t, "end of the old debt", func() bool { return fmt.Sprint(left()) == "[young.json]" && e.keptDebts() == 1 })
	e.crash()
	if !strings.Contains(log.String(), "forgotten") || !strings.Contains(log.String(), "id=old") {
		t.Errorf("log %s", log)
	}
	e.open()
	waitFor(t, "the debt that is young", func() bool { return e.keptDebts() == 1 })
	var d *debt
	e.kept.Range(func(_, v any) bool { d = v.(*debt); return true })
	d.Since = time.Now().Add(-debtAge - time.Hour)
	e.dunOnce()
	if e.keptDebts() != 0 || len(left()) != 0 {
		t.Errorf("%d debts are kept, records %v", e.keptDebts(), left())
	}
}

// TestCloseBesideHangingPlugin: the engine's end does not wait for a plugin that
// hangs; the next one tells it.
func TestCloseBesideHangingPlugin(t *testing.T) {
	dir := pluginDir(t)
	plugins := registry.New(registry.Options{Sockets: dir, Call: time.Hour})
	e := newEnv(t, func(o *Options) { o.Plugins = plugins })
	wires := startPlugin(t, dir, "network", "wires")
	e.create(CreateSpec{Name: "remote", Driver: "wires", IPAM: pool("10.99.7.0/24")})
	e.start(SandboxSpec{ContainerID: "one", Endpoints: []EndpointSpec{{Network: "remote"}}})
	must(t, wires.Behave("Leave", "hang"))
	must(t, wires.Behave("DeleteEndpoint", "hang"))
	e.release("one")
	within(t, wires, "Leave", 1)
	start := time.Now()
	e.crash()
	if took := time.Since(start); took > closePatience+2*time.Second {
		t.Errorf("the end took %v", took)
	}
	must(t, wires.Behave("Leave", ""))
	must(t, wires.Behave("DeleteEndpoint", ""))
	e.open()
	waitFor(t, "end of the record", func() bool {
		list, err := filepath.Glob(filepath.Join(e.debtsDir(), "*"))
		return err == nil && len(list) == 0
	})
	if n := wires.Count("DeleteEndpoint"); n < 1 {
		t.Errorf("calls %q", wires.Calls())
	}
}

// TestHalfAnAddress: of an endpoint whose second address cannot be had the first one
// is given back, by the next engine if need be.
func TestHalfAnAddress(t *testing.T) {
	e, books, _ := newBooksEnv(t)
	e.create(CreateSpec{Name: "tight", EnableIPv6: true, IPAM: IPAM{Driver: "books", Config: dual("10.121.0.0/24", "fd00:121::/126").Config}})
	on := func(id string) SandboxSpec {
		return SandboxSpec{ContainerID: id, Mode: ModeBridge, Endpoints: []EndpointSpec{{Network: "tight"}}}
	}
	e.start(on("one"))
	e.start(on("two"))
	must(t, books.Behave("ReleaseAddress", "hang"))
	if s, err := e.NewSandbox(t.Context(), on("three")); err == nil {
		t.Fatalf("a third address of fd00:121::/126: %+v", s.Endpoints)
	}
	const release = "ReleaseAddress pool-10.121.0.0/24 10.121.0.4"
	within(t, books, release, 1)
	e.crash()
	must(t, books.Behave("ReleaseAddress", ""))
	e.open()
	within(t, books, release, 2)
	e.release("one")
	e.release("two")
}
