package endurance

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/census"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// engine is a berthd of one test, which may kill it.
type engine struct {
	*daemon.Daemon
	client
	t       *testing.T
	command daemon.Command
	place   census.Place
	// dir holds its roots, netns is the pin of its network namespace.
	dir, netns string
}

const bridgeName = "berth0" // in a namespace of its own, so the same for all

// options are what a test wants of its daemon.
type options struct {
	flags []string
	wrap  []string // a command that runs it
	dir   string   // its directory, made by the caller; empty for a new one
	cold  bool     // no image, no first container
}

// start starts a daemon that ends, and leaves nothing, when the test ends.
func start(t *testing.T, o options) *engine {
	t.Helper()
	e := prepare(t, o)
	e.comesUp()
	if !o.cold {
		e.loadBusybox()
		e.warm()
	}
	return e
}

// prepare makes everything but the daemon's process.
func prepare(t *testing.T, o options) *engine {
	t.Helper()
	name := strings.ToLower(regexp.MustCompile(`[^a-zA-Z0-9]+`).ReplaceAllString(t.Name(), ""))
	e := &engine{t: t, dir: o.dir}
	if e.dir == "" {
		// /tmp and not TMPDIR: a socket's path must be short.
		dir, err := os.MkdirTemp("/tmp", "berth-end-")
		if err != nil {
			t.Fatal(err)
		}
		e.dir = dir
	}
	e.netns = filepath.Join(t.TempDir(), "netns")
	if err := netns.Create(e.netns, func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() }); err != nil {
		t.Fatal(err)
	}
	cgroup := "/berthend-" + name
	program, err := filepath.Abs(filepath.Join(*binaries, "berthd"))
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		t.Fatalf("berthd is not built (make build): %v", err)
	}
	flags := append([]string{"--bridge", bridgeName, "--bip", "10.213.0.1/16", "--cgroup-parent", cgroup, "--log-level", "info"}, o.flags...)
	if e.command, err = daemon.Berth(program, e.dir, flags...); err != nil {
		t.Fatal(err)
	}
	e.command.Args = slices.Concat(o.wrap, []string{"nsenter", "--net=" + e.netns}, e.command.Args)
	e.client = newClient(e.command.Socket)
	e.place = census.Place{Dir: e.dir, Bridge: bridgeName, Netns: e.netns, Cgroup: cgroup, Depth: 4, Stacks: filepath.Join(e.dir, "exec")}
	t.Cleanup(func() {
		e.hc.CloseIdleConnections()
		if *keep || t.Failed() && os.Getenv("BERTH_KEEP") != "" {
			t.Log("kept: ", e.dir)
			return
		}
		r := daemon.Remains{Dir: e.dir, Cgroup: cgroup}
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
		if err := netns.Remove(e.netns); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if e.Daemon == nil {
			return
		}
		if t.Failed() {
			t.Logf("the end of the log of berthd:\n%s", daemon.Tail(e.command.Log, 3000))
		}
		select {
		case <-e.Ended():
		default:
			if err := e.Stop(30 * time.Second); err != nil {
				t.Error(err)
			}
		}
		e.healthy()
	})
	return e
}

// comesUp starts the daemon, also again after it was killed.
func (e *engine) comesUp() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e.hc.CloseIdleConnections()
	d, err := daemon.Start(ctx, e.command)
	if err != nil {
		e.t.Fatal(err)
	}
	e.Daemon = d
}

// interrupted starts the daemon and kills it after a while, ready or not.
func (e *engine) interrupted(after time.Duration) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	if d, err := daemon.Start(ctx, e.command); err == nil {
		<-ctx.Done()
		d.Kill()
	}
}

// healthy looks for what a daemon's log must not hold.
func (e *engine) healthy() {
	e.t.Helper()
	if err := daemon.Healthy(e.command.Log); err != nil {
		e.t.Error(err)
	}
}

// logged says whether the daemon's log holds a text.
func (e *engine) logged(text string) bool {
	log, err := os.ReadFile(e.command.Log)
	return err == nil && bytes.Contains(log, []byte(text))
}

// data is a path below the data root.
func (e *engine) data(path ...string) string {
	return filepath.Join(append([]string{e.dir, "data"}, path...)...)
}

// loadBusybox loads the image that all tests use, busybox:latest.
func (e *engine) loadBusybox() {
	e.t.Helper()
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		e.t.Fatal(err)
	}
	e.must(http.MethodPost, "/images/load", raw{"application/x-tar", &image}, http.StatusOK)
}

// warm has the engine make what it makes once and keeps: that is no leak.
func (e *engine) warm() {
	e.t.Helper()
	id := e.create("", map[string]any{"Image": "busybox", "Cmd": sleep, "Volumes": map[string]any{"/anonymous": map[string]any{}},
		"ExposedPorts": map[string]any{"8080/tcp": map[string]any{}}, "HostConfig": map[string]any{"PublishAllPorts": true}})
	e.begin(id)
	e.run(id, "true")
	e.remove(id)
}

func (e *engine) census() census.Census {
	e.t.Helper()
	e.hc.CloseIdleConnections()
	p := e.place
	p.Pid = e.Pid()
	c, err := census.Take(p)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// steady is a census of what stays.
func (e *engine) steady() census.Census {
	e.t.Helper()
	return census.Steady(e.census)
}

// settles waits until nothing is there that was not there before, and nothing
// is missing.
func (e *engine) settles(before census.Census) {
	e.t.Helper()
	var left []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if left = e.census().Since(before); len(left) == 0 {
			return
		}
	}
	e.t.Errorf("left over (+) or missing (-):\n%s", strings.Join(left, "\n"))
}

// stacks are those of the daemon's goroutines, to tell where a request hangs.
func (e *engine) stacks() string {
	_ = syscall.Kill(e.Pid(), syscall.SIGUSR1)
	for range 100 {
		if found, _ := filepath.Glob(filepath.Join(e.place.Stacks, "goroutines-*.txt")); len(found) > 0 {
			text, _ := os.ReadFile(found[0])
			return string(text)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "no stacks"
}

// memory is the daemon's resident memory in bytes, after it was left alone for
// a moment.
func (e *engine) memory() int64 {
	e.t.Helper()
	n, err := census.Memory(e.Pid())
	if err != nil {
		e.t.Fatal(err)
	}
	return n
}

// dial reaches a TCP address inside the engine's network namespace.
func (e *engine) dial(address string) (conn net.Conn, err error) {
	inside := netns.Do(e.netns, func() error {
		conn, err = net.DialTimeout("tcp", address, 5*time.Second)
		return nil
	})
	if inside != nil {
		return nil, inside
	}
	return conn, err
}

// registry starts Debian's docker-registry inside the engine's network
// namespace and gives its address.
func (e *engine) registry() string {
	e.t.Helper()
	const address = "127.0.0.1:5000"
	dir := e.t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
	cmd := exec.Command("nsenter", "--net="+e.netns, "/usr/bin/docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	eventually(e.t, "the registry answers (make setup-test installs Debian's docker-registry)", func() bool {
		conn, err := e.dial(address)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return address
}
