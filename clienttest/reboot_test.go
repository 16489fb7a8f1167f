package clienttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// After a reboot there are no devices, rules, mounts and processes of before; on a
// host whose exec root is no tmpfs, its files of before are there. Containers are
// exited, those with a policy run again, and all networks work. So it is where all
// that runs was ended, and no more.
func TestReboot(t *testing.T) {
	const emptied, kept = "empty exec root", "exec root of before"
	for name, what := range map[string]string{"berthtest20": emptied, "berthtest21": kept, "berthtest23": "processes only"} {
		t.Run(what, func(t *testing.T) {
			sockets := shortDir(t)
			shelf := startDriver(t, "volume", sockets, "shelf")
			e := startCold(t, name, "10.213.33.1/24", launch{
				// A network of its own, another one at each start.
				wrap:  []string{"unshare", "--net", "sh", "-c", `ip link set lo up && exec "$@"`, "berthd"},
				flags: []string{"--plugin-sockets", sockets, "--plugin-spec", filepath.Join(sockets, "none")}})
			if err := loadBusybox(e.Host()); err != nil {
				t.Fatal(err)
			}
			d := newDocker(t, e.Host(), "1.23")
			d.run("network", "create", "-o", "com.docker.network.bridge.name=br-chosen", "--subnet", "10.213.34.0/24", "chosen")
			d.run("network", "create", "-d", "macvlan", "--subnet", "10.213.35.0/24", "lan")
			d.run("volume", "create", "--name", "mem", "-o", "type=tmpfs", "-o", "device=tmpfs")
			start := func(name, policy string, args ...string) {
				args = append([]string{"run", "-d", "--name", name, "--restart", policy}, args...)
				d.run(append(args, "busybox", "sh", "-c", serve)...)
			}
			start("web", "always", "--net", "chosen", "--ip", "10.213.34.9", "-p", "8080:8080", "-v", "mem:/mem")
			start("inner", "unless-stopped", "--net", "lan")
			start("failing", "on-failure", "-v", "local:/data")
			start("outer", "always", "--net", "host")
			start("stopped", "always")
			start("left", "unless-stopped")
			start("plain", "no", "--volume-driver", "shelf", "-v", "books:/books")
			d.run("network", "connect", "lan", "web")
			d.run("stop", "-t", "0", "stopped", "left")
			d.run("pause", "failing")
			networks := d.run("network", "ls", "-q", "--no-trunc")

			e.Kill()
			shelf.Kill()
			if err := remains(e.place.Dir, name).PowerOff(); err != nil {
				t.Fatal(err)
			}
			exec := filepath.Join(e.place.Dir, "exec")
			switch what {
			case emptied:
				if err := os.RemoveAll(exec); err != nil {
					t.Fatal(err)
				}
			case kept:
				if err := os.WriteFile(filepath.Join(exec, "boot"), []byte("11111111-2222-3333-4444-555555555555\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			earlier := daemon.Tail(e.Log(), 1<<30)
			e.comesBack()
			d.equal("networks", d.run("network", "ls", "-q", "--no-trunc"), networks)
			if text := d.inspect("plain", "{{.State.ExitCode}} {{.State.Error}}"); what != "processes only" {
				d.equal("plain: why", text, "255 the host was restarted while the container ran")
			}
			d.equal("plain", d.inspect("plain", "{{.State.Status}} {{.State.Pid}} {{.NetworkSettings.IPAddress}}"), "exited 0 ")
			d.lacks("plain: end", d.inspect("plain", "{{.State.FinishedAt}} {{.State.ExitCode}}"), "^0001| 0$")
			d.equal("left", d.inspect("left", "{{.State.Status}}"), "exited")
			for _, c := range []string{"web", "inner", "failing", "outer", "stopped"} {
				eventually(t, c+" runs", func() bool { return d.inspect(c, "{{.State.Status}}") == "running" })
			}
			d.equal("web: networks", d.inspect("web", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}{{.NetworkSettings.Networks.chosen.IPAddress}}"),
				"chosen lan 10.213.34.9")
			from := func(what, address string, args ...string) {
				t.Helper()
				args = append(append([]string{"run", "--rm"}, args...), "busybox", "sh", "-c",
					"for i in $(seq 50); do nc -w 2 "+address+" 8080 </dev/null && exit 0; sleep 0.1; done; exit 1")
				d.matches(what, d.run(args...), "^hello from ")
			}
			from("by name", "web", "--net", "chosen")
			from("published port", "10.213.33.1")
			from("macvlan", "inner", "--net", "lan")
			d.equal("mounted", d.run("exec", "web", "sh", "-c", "grep -c ' /mem tmpfs' /proc/mounts"), "1")
			d.equal("exec", d.run("exec", "failing", "echo", "inside"), "inside")
			d.run("start", "left")
			for line := range strings.Lines(strings.TrimPrefix(daemon.Tail(e.Log(), 1<<30), earlier)) {
				if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "shelf") {
					t.Errorf("a reboot is nothing to complain of: %s", line)
				}
			}

			// The plugin comes later, and has forgotten what it had.
			if err := os.Remove(filepath.Join(shelf.Dir, "calls")); err != nil {
				t.Fatal(err)
			}
			shelf = startDriver(t, "volume", sockets, "shelf")
			if err := shelf.Behave("Unmount", "fail"); err != nil {
				t.Fatal(err)
			}
			d.run("rm", "-f", "plain")
			d.run("volume", "rm", "books")
			d.run("rm", "-f", "web", "inner", "failing", "outer", "stopped", "left")
			d.run("network", "rm", "chosen", "lan")
			d.run("volume", "rm", "mem", "local")
			d.equal("devices", strings.Join(devicesOf(t, e.Pid()), " "), "lo "+name)
		})
	}
}

// devicesOf are the network devices of a process's namespace.
func devicesOf(t *testing.T, pid int) (names []string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			names = append(names, name)
		}
	}
	return names
}

// TestStartBesideHangingPlugin: a container of a plugin's volume ended while no daemon
// was there, and the plugin hangs. The start does not wait for it.
func TestStartBesideHangingPlugin(t *testing.T) {
	sockets := shortDir(t)
	shelf := startDriver(t, "volume", sockets, "shelf")
	e := startCold(t, "berthtest22", "10.213.37.1/24", launch{flags: []string{"--plugin-sockets", sockets, "--plugin-spec", filepath.Join(sockets, "none")}})
	if err := loadBusybox(e.Host()); err != nil {
		t.Fatal(err)
	}
	d := newDocker(t, e.Host(), "1.23")
	d.run("run", "-d", "--name", "one", "--volume-driver", "shelf", "-v", "books:/books", "busybox", "sh", "-c", "until [ -e /books/go ]; do sleep 0.02; done; exit 9")
	d.run("run", "-d", "--name", "other", "busybox", "sleep", "1000")
	pid := d.inspect("one", "{{.State.Pid}}")
	e.Kill()
	if err := shelf.Behave("Unmount", "hang"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shelf.Dir, "volumes", "books", "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the container", func() bool { _, err := os.Stat("/proc/" + pid); return os.IsNotExist(err) })
	start := time.Now()
	e.comesBack()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the start took %v", took)
	}
	d.equal("one", d.inspect("one", "{{.State.Running}} {{.State.ExitCode}}"), "false 9")
	d.equal("other", d.run("exec", "other", "echo", "inside"), "inside")
	eventually(t, "the plugin is asked", func() bool { return shelf.Count("Unmount books") > 0 })
	// It lives again, as another program.
	if err := shelf.Behave("Unmount", ""); err != nil {
		t.Fatal(err)
	}
	shelf.Kill()
	startDriver(t, "volume", sockets, "shelf")
	d.run("rm", "-f", "one", "other")
	d.run("volume", "rm", "books")
}

// shortDir is a directory for sockets, whose paths must be short.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "berth-plugins-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// startDriver starts a plugin with a desk of its own.
func startDriver(t *testing.T, kind, sockets, name string) *plugin.Process {
	t.Helper()
	desk := filepath.Join(sockets, name+".desk")
	if err := os.MkdirAll(desk, 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := plugin.Start(kind, filepath.Join(sockets, name+".sock"), desk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}
