package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"

	registry "github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// stepEnv makes the test's process a daemon that does one thing, in which a
// plugin hangs, until it is killed: the directory of the daemon, that of the
// plugins, and what to do.
const stepEnv = "BERTH_TEST_STEP"

func takeStep(step string) error {
	f := strings.Fields(step)
	dir, plugins, what := f[0], f[1], f[2]
	m, err := Open(Options{Root: filepath.Join(dir, "root"), ExecRoot: filepath.Join(dir, "exec"), Bridge: "berthtest0",
		Plugins: registry.New(registry.Options{Sockets: plugins, Call: time.Hour})})
	if err != nil {
		return err
	}
	ctx := context.Background()
	on := EndpointSpec{Network: "remote"}
	switch what {
	case "create":
		_, err = m.CreateNetwork(ctx, remoteSpec("remote"))
	case "start":
		_, err = m.NewSandbox(ctx, SandboxSpec{ContainerID: "one", Mode: ModeBridge, Endpoints: []EndpointSpec{on}})
	case "connect":
		_, err = m.Connect(ctx, "one", on)
	case "release": // plugins are told aside
		err = errors.Join(m.Release(ctx, "one"), waitLong())
	case "disconnect":
		_, err = m.Disconnect(ctx, "one", "remote")
		err = errors.Join(err, waitLong())
	case "remove":
		_, err = m.RemoveNetwork(ctx, "remote")
		err = errors.Join(err, waitLong())
	}
	return fmt.Errorf("nothing held it up: %w", err)
}

func waitLong() error { time.Sleep(time.Hour); return nil }

func remoteSpec(name string) CreateSpec {
	return CreateSpec{Name: name, Driver: "wires", EnableIPv6: true, IPAM: IPAM{Driver: "books"}}
}

// TestKilledAtPlugins kills the daemon while a plugin is at work for it. The next
// one tells the plugins what is gone, and nothing is left anywhere.
func TestKilledAtPlugins(t *testing.T) {
	for _, c := range []struct {
		before, step, method, how string
		plugin                    string // whose the method is
		after                     string // how often each method was called
		out                       int    // pools and addresses
	}{
		{"", "create", "CreateNetwork", "hang", "wires", "CreateNetwork 1, DeleteNetwork 1", 0},
		{"", "create", "RequestAddress", "hang", "books", "CreateNetwork 0, DeleteNetwork 0", 0},
		{"network", "start", "CreateEndpoint", "hang", "wires", "CreateEndpoint 1, Leave 1, DeleteEndpoint 1", 4},
		{"network", "start", "Join", "late", "wires", "CreateEndpoint 1, Leave 1, DeleteEndpoint 1", 4},
		{"network container", "connect", "Join", "late", "wires", "CreateEndpoint 1, Leave 1, DeleteEndpoint 1", 4},
		{"network endpoint", "release", "Leave", "hang", "wires", "Leave 2, DeleteEndpoint 1", 4},
		{"network endpoint", "disconnect", "DeleteEndpoint", "hang", "wires", "Leave 2, DeleteEndpoint 2", 4},
		{"network endpoint", "release", "ReleaseAddress", "hang", "books", "Leave 2, DeleteEndpoint 2", 4},
		{"network", "remove", "DeleteNetwork", "hang", "wires", "CreateNetwork 1, DeleteNetwork 2", 0},
		{"network", "remove", "ReleasePool", "hang", "books", "CreateNetwork 1, DeleteNetwork 2", 0},
	} {
		t.Run(c.step+" at "+c.method, func(t *testing.T) {
			dir, plugins := t.TempDir(), pluginDir(t)
			wires, books := startPlugin(t, plugins, "network", "wires"), startPlugin(t, plugins, "address", "books")
			e := newEnv(t, withPlugins(plugins), func(o *Options) { o.Root, o.ExecRoot = filepath.Join(dir, "root"), filepath.Join(dir, "exec") })
			devices := run(t, "ip", "-o", "link")
			if strings.Contains(c.before, "network") {
				e.create(remoteSpec("remote"))
			}
			if strings.Contains(c.before, "container") {
				e.start(SandboxSpec{ContainerID: "one"})
			}
			if strings.Contains(c.before, "endpoint") {
				e.start(SandboxSpec{ContainerID: "one", Endpoints: []EndpointSpec{{Network: "remote"}}})
			}
			e.crash()
			slow := wires
			if c.plugin == "books" {
				slow = books
			}
			at := slow.Count(c.method)
			must(t, slow.Behave(c.method, c.how))
			killAt(t, dir, plugins, c.step, func() bool { return slow.Count(c.method) > at && madeReady(c.how, slow) })
			must(t, slow.Behave(c.method, ""))
			e.open()
			for part := range strings.SplitSeq(c.after, ", ") {
				var method string
				var n int
				_, err := fmt.Sscan(part, &method, &n)
				must(t, err)
				within(t, wires, method, n)
			}
			if books.Out() != "" {
				outIs(t, books, c.out)
			}
			must(t, e.Reconcile(t.Context(), func(string) bool { return false }))
			e.settle()
			waitFor(t, "end of the records", func() bool {
				list, err := os.ReadDir(filepath.Join(dir, "root", "owed"))
				return err == nil && len(list) == 0
			})
			if _, err := e.RemoveNetwork(t.Context(), "remote"); (err == nil) != (c.out > 0) || err != nil && !errdefs.IsNotFound(err) {
				t.Errorf("removal: %v", err)
			}
			waitFor(t, "end of the plugin's devices", func() bool { return run(t, "ip", "-o", "link") == devices })
			if books.Out() != "" {
				outIs(t, books, 0)
			}
			if c := e.census(); c != (census{addresses: 3}) {
				t.Errorf("left: %+v", c)
			}
		})
	}
}

// madeReady waits until a plugin that hangs late has made what it is asked for.
func madeReady(how string, p *plugin.Process) bool {
	if how != "late" {
		return true
	}
	links, err := netlink.LinkList()
	if err != nil {
		return false
	}
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, "tpo") && l.Attrs().MasterIndex != 0 {
			return true
		}
	}
	return false
}

// killAt runs a daemon at a step and kills it when it is there.
func killAt(t *testing.T, dir, plugins, step string, there func() bool) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), stepEnv+"="+dir+" "+plugins+" "+step)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	cmd.Stderr = &log
	must(t, cmd.Start())
	waitFor(t, "call of "+step, there)
	cmd.Process.Kill()
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != -1 {
		t.Fatalf("%s: the daemon ended by itself: %v\n%s", step, err, log.String())
	}
}

// TestPluginAway: a plugin that is away when an endpoint goes is told when it is
// back, by this engine or the next one.
func TestPluginAway(t *testing.T) {
	dir := pluginDir(t)
	e := newEnv(t, withPlugins(dir))
	if list, err := os.ReadDir(filepath.Join(e.opts.Root, "owed")); err != nil || len(list) != 0 {
		t.Errorf("the start of an engine without plugins writes records: %v %v", list, err)
	}
	wires := startPlugin(t, dir, "network", "wires")
	e.create(CreateSpec{Name: "remote", Driver: "wires", IPAM: pool("10.99.7.0/24")})
	for _, id := range []string{"one", "two"} {
		e.start(SandboxSpec{ContainerID: id, Endpoints: []EndpointSpec{{Network: "remote"}}})
	}
	kept := func() (n int) {
		e.kept.Range(func(any, any) bool { n++; return true })
		return n
	}
	wires.Kill()
	e.release("one")
	waitFor(t, "a plugin that was not reached", func() bool { return kept() == 1 })
	wires = startPlugin(t, dir, "network", "wires")
	e.dunOnce()
	within(t, wires, "DeleteEndpoint", 1)
	if kept() != 0 {
		t.Error("the debt is kept")
	}
	wires.Kill()
	e.release("two")
	waitFor(t, "a plugin that was not reached", func() bool { return kept() == 1 })
	e.crash()
	wires = startPlugin(t, dir, "network", "wires")
	e.open()
	within(t, wires, "DeleteEndpoint", 2)
	if wires.Count("Leave") != 2 {
		t.Errorf("calls %q", wires.Calls())
	}
	e.crash()
	if list, err := os.ReadDir(filepath.Join(e.opts.Root, "owed")); err != nil || len(list) != 0 {
		t.Errorf("records left: %v %v", list, err)
	}
	// What is no record is told of and left.
	damaged := filepath.Join(e.opts.Root, "owed", "x.json")
	must(t, os.WriteFile(damaged, []byte("{"), 0o600))
	must(t, os.WriteFile(filepath.Join(e.opts.Root, "owed", "y.json.new"), nil, 0o600))
	m, err := Open(Options{Root: e.opts.Root, ExecRoot: e.opts.ExecRoot, Bridge: e.opts.Bridge})
	must(t, err)
	must(t, m.Close())
	if _, err := os.Stat(damaged); err != nil {
		t.Error(err)
	}
	must(t, os.Remove(damaged))
	e.open()
}
