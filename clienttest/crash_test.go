package clienttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/census"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// ownEngine starts a berthd for one test: one that may be killed.
type ownEngine struct {
	*daemon.Daemon
	t     *testing.T
	place census.Place
}

func startOwn(t *testing.T, bridge, cidr string, wrap ...string) *ownEngine {
	t.Helper()
	e := startCold(t, bridge, cidr, launch{wrap: wrap})
	if err := loadBusybox(e.Host()); err != nil {
		t.Fatal(err)
	}
	e.warm()
	return e
}

// startCold is startOwn without an image, before the first container.
func startCold(t *testing.T, bridge, cidr string, l launch) *ownEngine {
	t.Helper()
	if *host != "" {
		t.Fatal("this test kills the engine: run it without -host")
	}
	dir := filepath.Join(scratch, bridge)
	d, err := startBerth(dir, bridge, cidr, l)
	if err != nil {
		t.Fatal(err)
	}
	e := &ownEngine{Daemon: d, t: t, place: census.Place{Dir: dir, Bridge: bridge, Cgroup: "/" + bridge, Depth: 4}}
	t.Cleanup(func() {
		if *keep {
			return
		}
		if err := remains(dir, bridge).Remove(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := e.Stop(30 * time.Second); err != nil {
			t.Error(err)
		}
		if err := daemon.Healthy(e.Log()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// warm has the engine make what it makes once and keeps, such as the first
// container's cache: that is no leak.
func (e *ownEngine) warm() {
	e.t.Helper()
	cli := newDocker(e.t, e.Host(), "1.23")
	cli.run("run", "-d", "--name", "first", "-p", "8080", "-v", "/anonymous", "busybox", "sleep", "1000")
	cli.run("exec", "first", "true")
	cli.run("rm", "-f", "-v", "first")
}

// comesBack starts the engine again after it was killed.
func (e *ownEngine) comesBack() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, err := e.Restart(ctx)
	if err != nil {
		e.t.Fatal(err)
	}
	e.Daemon = d
}

func (e *ownEngine) census() census.Census {
	e.t.Helper()
	p := e.place
	p.Pid = e.Pid()
	c, err := census.Take(p)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// steady is a census of what stays.
func (e *ownEngine) steady() census.Census {
	e.t.Helper()
	return census.Steady(e.census)
}

// settles waits until nothing is there that was not there before.
func (e *ownEngine) settles(before census.Census) {
	e.t.Helper()
	var left []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if left = e.census().Since(before); len(left) == 0 {
			return
		}
	}
	e.t.Errorf("left over:\n%s", strings.Join(left, "\n"))
}

// A killed daemon takes nothing with it: containers go on, their logs go on,
// their ports answer, and the next daemon knows all that happened meanwhile.
func TestDaemonKilled(t *testing.T) {
	e := startOwn(t, "berthtest1", "10.213.8.1/24")
	before := e.steady()
	shared := t.TempDir()
	d := newDocker(t, e.Host(), "1.23")
	at := func(name string) string { return filepath.Join(shared, name) }
	there := func(name string) bool { _, err := os.Stat(at(name)); return err == nil }

	d.run("run", "-d", "--name", "counter", "-v", shared+":/shared", "busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; echo $i >/shared/count; sleep 0.01; done")
	d.run("run", "-d", "-i", "--name", "reader", "busybox", "sh", "-c", `while read line; do echo "got $line"; done`)
	d.run("run", "-d", "--name", "server", "-p", "127.0.0.1:18231:8080", "busybox", "sh", "-c", serve)
	for _, c := range []string{"ends", "ends-waited", "ends-removed"} {
		d.run("run", "-d", "--name", c, "-v", shared+":/shared", "busybox", "sh", "-c", "until [ -e /shared/go ]; do sleep 0.02; done; echo last words; touch /shared/"+c+"; exit 9")
	}
	d.try("", "run", "--name", "ended", "busybox", "sh", "-c", "exit 4")
	eventually(t, "the port answers", func() bool { return ask("127.0.0.1:18231") != "" })
	names := []string{"counter", "reader", "server", "ends", "ends-waited", "ends-removed", "ended"}
	facts := map[string]string{}
	const template = "{{.Id}} {{.State.Pid}} {{.State.StartedAt}} {{.NetworkSettings.IPAddress}} {{.Created}} {{.Config.Hostname}}"
	for _, n := range names {
		facts[n] = d.inspect(n, template)
	}
	list := d.run("ps", "-a", "-q", "--no-trunc")

	e.Kill()
	count := read(t, at("count"))
	if err := os.WriteFile(at("go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "containers end without a daemon", func() bool { return there("ends") && there("ends-waited") && there("ends-removed") })
	eventually(t, "the counter goes on without a daemon", func() bool { return read(t, at("count")) > count+10 })
	if got := ask("127.0.0.1:18231"); got == "" {
		t.Error("the published port is silent without a daemon")
	}

	e.comesBack()
	d.equal("list", d.run("ps", "-a", "-q", "--no-trunc"), list)
	for _, n := range []string{"counter", "reader", "server"} {
		d.equal("facts of "+n, d.inspect(n, template), facts[n])
		d.equal("state of "+n, d.inspect(n, "{{.State.Running}} {{.State.ExitCode}}"), "true 0")
	}
	d.equal("ends: state", d.inspect("ends", "{{.State.Running}} {{.State.ExitCode}} {{.State.Pid}}"), "false 9 0")
	d.lacks("ends: end", d.inspect("ends", "{{.State.FinishedAt}}"), "^0001")
	d.equal("ends: log", d.run("logs", "ends"), "last words")
	d.equal("wait", d.run("wait", "ends-waited"), "9")
	d.equal("rm", d.run("rm", "ends-removed"), "ends-removed")
	d.equal("ended: state", d.inspect("ended", "{{.State.Running}} {{.State.ExitCode}}"), "false 4")
	d.equal("start after the restart", d.try("", "start", "-a", "ends").stdout, "last words\n")
	if got := ask("127.0.0.1:18231"); got == "" {
		t.Error("the published port is silent after the restart")
	}
	d.equal("exec", d.run("exec", "counter", "echo", "inside"), "inside")
	d.equal("a new container", d.run("run", "--rm", "busybox", "echo", "new"), "new")

	reader := d.terminalLess("attach", "reader")
	reader.says("hello\n", "got hello\n")
	reader.closes()

	d.run("stop", "-t", "0", "counter")
	lines := strings.Split(d.run("logs", "counter"), "\n")
	for i, l := range lines {
		if l != strconv.Itoa(i+1) {
			t.Fatalf("the log has a gap: line %d is %q", i+1, l)
		}
	}
	if last := read(t, at("count")); len(lines) < last-1 {
		t.Errorf("the log has %d lines, the counter came to %d", len(lines), last)
	}
	d.run("rm", "-f", "counter", "reader", "server", "ends", "ends-waited", "ended")
	e.settles(before)
}

// read is the number in a file that a container writes; 0 while it is empty.
func read(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// Killed in the middle of creates, starts, execs and removes, again and again,
// the daemon comes back, keeps what it acknowledged and forgets nothing.
func TestDaemonKilledAtWork(t *testing.T) {
	e := startOwn(t, "berthtest2", "10.213.9.1/24")
	before := e.steady()
	d := newDocker(t, e.Host(), "1.23")
	for round := range 8 {
		prefix := fmt.Sprintf("round%d-", round)
		// An acknowledged container, and whether its removal has been asked for.
		type kept struct {
			name     string
			removing bool
		}
		busy := make(chan []kept)
		stop := make(chan struct{})
		for worker := range 2 {
			go func() {
				var acknowledged []kept
				for i := 0; ; i++ {
					select {
					case <-stop:
						busy <- acknowledged
						return
					default:
					}
					name := fmt.Sprintf("%s%d-%d", prefix, worker, i)
					if r := d.try("", "run", "-d", "--name", name, "-p", "8080", "busybox", "sleep", "1000"); r.code == 0 {
						acknowledged = append(acknowledged, kept{name: name})
						d.try("", "exec", name, "true")
						if i%2 == 1 {
							acknowledged[len(acknowledged)-1].removing = true
							if d.try("", "rm", "-f", name).code == 0 {
								acknowledged = acknowledged[:len(acknowledged)-1]
							}
						}
					}
				}
			}()
		}
		// Some while that differs each time: the kill is to meet every step.
		time.Sleep(time.Duration(300+137*round) * time.Millisecond)
		e.Kill()
		close(stop)
		acknowledged := append(<-busy, <-busy...)
		e.comesBack()
		for _, c := range acknowledged {
			r := d.try("", "inspect", "--format", "{{.State.Running}}", c.name)
			if r.stdout != "true\n" && !c.removing {
				t.Errorf("round %d lost an acknowledged container or its run: %v", round, r)
			}
		}
		if all := strings.Fields(d.run("ps", "-a", "-q")); len(all) > 0 {
			d.run(append([]string{"rm", "-f"}, all...)...)
		}
	}
	d.equal("a container after all that", d.run("run", "--rm", "busybox", "echo", "fine"), "fine")
	e.settles(before)
}

// Ordinary work leaves nothing: what was there before is what is there after.
func TestNothingIsLeft(t *testing.T) {
	e := startOwn(t, "berthtest3", "10.213.10.1/24")
	d := newDocker(t, e.Host(), "1.23")
	work := func() {
		shared := t.TempDir()
		d.run("run", "--rm", "busybox", "true")
		d.run("run", "-d", "--name", "a", "-p", "8080", "-v", shared+":/data", "-v", "/anonymous", "busybox", "sleep", "1000")
		d.run("exec", "a", "true")
		d.try("", "exec", "a", "nosuchprogram")
		d.try("", "run", "--name", "b", "busybox", "nosuchprogram")
		d.try("", "run", "--name", "c", "--net", "container:nosuch", "busybox", "true")
		d.try("", "run", "--name", "e", "-v", "relative/../path:/x", "busybox", "true")
		d.run("run", "-d", "--name", "f", "--net", "none", "busybox", "sleep", "1000")
		d.run("restart", "-t", "0", "f")
		d.run("kill", "f")
		if all := strings.Fields(d.run("ps", "-a", "-q")); len(all) > 0 {
			d.run(append([]string{"rm", "-f", "-v"}, all...)...)
		}
	}
	work()
	before := e.steady()
	for range 3 {
		work()
	}
	e.settles(before)
}
