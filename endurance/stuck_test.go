package endurance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// stuck is a container that does not get on.
type stuck struct {
	// what it is stuck in, its id, and a request that waits for it.
	what, id, waits string
	// free lets it go on; again does what a new daemon undid, if there is such a thing.
	free, again func()
	// holds says whether it is stuck.
	holds func() bool
}

// stuckMount waits for a mount and cannot be killed: whoever writes to a frozen file
// system waits uninterruptibly (fs/super.c, freeze_super; ioctl_fs(2)).
func stuckMount(t *testing.T, e *engine) stuck {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "disk")
	for _, command := range [][]string{{"truncate", "-s", "32M", file}, {"mkfs.ext4", "-q", file}, {"mount", "-o", "loop", file, dir}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", command, err, out)
		}
	}
	top, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	// linux/fs.h; nothing is left frozen.
	const freeze, thaw = 0xc0045877, 0xc0045878
	free := sync.OnceFunc(func() {
		if err := errors.Join(unix.IoctlSetInt(int(top.Fd()), thaw, 0), top.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		free()
		eventually(t, "the file system is unmounted", func() bool { return unix.Unmount(dir, 0) == nil })
	})
	if err := unix.IoctlSetInt(int(top.Fd()), freeze, 0); err != nil {
		t.Fatal(err)
	}
	id := e.create("mount", map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", "echo >/m/new"},
		"HostConfig": map[string]any{"Binds": []string{dir + ":/m"}}})
	e.begin(id)
	holds := func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.inspect(id).State.Pid))
		return err == nil && strings.Contains(string(stat), ") D ") // proc(5)
	}
	eventually(t, "the container waits uninterruptibly", holds)
	return stuck{what: "mount", id: id, waits: "/stop?t=0", free: free, holds: holds}
}

// stuckFreezer is frozen by somebody else than the engine.
func stuckFreezer(t *testing.T, e *engine) stuck {
	id := e.sleeper("frozen", nil)
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", e.inspect(id).State.Pid))
	if err != nil {
		t.Fatal(err)
	}
	path, value, release := "", "FROZEN", "THAWED"
	for line := range strings.Lines(string(groups)) { // cgroups(7): number:controllers:path
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case part[1] == "freezer":
			path = filepath.Join("/sys/fs/cgroup/freezer", part[2], "freezer.state")
		case part[1] == "" && path == "":
			path = filepath.Join("/sys/fs/cgroup", part[2], "cgroup.freeze")
		}
	}
	if filepath.Base(path) == "cgroup.freeze" {
		value, release = "1", "0"
	}
	set := func(to string) {
		if err := os.WriteFile(path, []byte(to), 0); err != nil {
			t.Error(err)
		}
	}
	set(value)
	holds := func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.TrimSpace(string(text)) == value
	}
	eventually(t, "the container is frozen", holds)
	return stuck{what: "freezer", id: id, waits: "/wait", free: sync.OnceFunc(func() { set(release) }), holds: holds}
}

func stuckPause(_ *testing.T, e *engine) stuck {
	id := e.sleeper("paused", nil)
	e.must(http.MethodPost, "/containers/"+id+"/pause", nil)
	return stuck{what: "pause", id: id, waits: "/wait", free: func() {}, holds: func() bool { return e.inspect(id).State.Paused }}
}

// stuckReader has a client that never reads what the container writes, which gets on
// all the same.
func stuckReader(t *testing.T, e *engine) stuck {
	dir := t.TempDir()
	id := e.create("reader", map[string]any{"Image": "busybox", "OpenStdin": true,
		"Cmd":        []string{"sh", "-c", "while read name; do yes | head -c 20000000; : >/m/$name; done"},
		"HostConfig": map[string]any{"Binds": []string{dir + ":/m"}, "LogConfig": map[string]any{"Type": "none"}}})
	e.begin(id)
	var conn net.Conn
	lag := func(name string) {
		conn = attached(t, e, id, "stdin=1&stdout=1")
		if _, err := fmt.Fprintln(conn, name); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the container has written all", func() bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		})
	}
	lag("one")
	return stuck{what: "reader", id: id, waits: "/stop?t=600", free: func() { conn.Close() }, again: func() { lag("two") }, holds: func() bool { return unread(t, conn) > 0 }}
}

// stuckPipe never reads its input, and its client has more.
func stuckPipe(t *testing.T, e *engine) stuck {
	id := e.create("pipe", map[string]any{"Image": "busybox", "Cmd": sleep, "OpenStdin": true})
	e.begin(id)
	var conn net.Conn
	// full sends until nothing is taken any more.
	full := func() bool {
		for sent, chunk := 0, make([]byte, 64<<10); sent < 64<<20; {
			if err := conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Write(chunk)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return true
			} else if err != nil {
				t.Fatal(err)
			}
			sent += n
		}
		return false
	}
	fill := func() {
		if conn = attached(t, e, id, "stdin=1"); !full() {
			t.Fatal("the pipe takes all")
		}
	}
	fill()
	return stuck{what: "pipe", id: id, waits: "/stop?t=600", free: func() { conn.Close() }, again: fill, holds: full}
}

// attached is a client of a container's streams that does nothing more by itself.
func attached(t *testing.T, e *engine, id, streams string) net.Conn {
	conn, _, resp, err := e.hijack(http.MethodPost, "/containers/"+id+"/attach?stream=1&"+streams, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	return conn
}

// stuckLog has a log server that does not read. The container gets on, and what it
// wrote comes to the server in the end.
func stuckLog(t *testing.T, e *engine) stuck {
	var l net.Listener
	var err error
	if inside := netns.Do(e.netns, func() error { l, err = net.Listen("tcp", "127.0.0.1:0"); return nil }); inside != nil || err != nil {
		t.Fatal(inside, err)
	}
	t.Cleanup(func() { l.Close() })
	const size = 50_000_000
	id := e.create("log", map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", fmt.Sprintf("yes %01000d | head -c %d; sleep 1000", 0, size)},
		"HostConfig": map[string]any{"LogConfig": map[string]any{"Type": "syslog", "Config": map[string]string{"syslog-address": "tcp://" + l.Addr().String()}}}})
	e.begin(id)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return stuck{what: "log", id: id, waits: "/stop?t=600", holds: func() bool { return unread(t, conn) > 0 }, free: func() {
		var got atomic.Int64
		go func() {
			for p := make([]byte, 64<<10); ; {
				n, err := conn.Read(p)
				if got.Add(int64(n)); err != nil {
					return
				}
			}
		}()
		eventually(t, "the log server has got all", func() bool { return got.Load() > size })
	}}
}

// unread is how much a connection has that its owner did not read (unix(7), tcp(7)).
func unread(t *testing.T, conn net.Conn) (bytes int) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	outer := raw.Control(func(fd uintptr) { bytes, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err := errors.Join(outer, err); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// stuckPlugin waits for a volume plugin that never answers, and so it does not start.
func stuckPlugin(t *testing.T, e *engine, dir string) stuck {
	serve := func() *plugin.Process {
		p, err := plugin.Start("volume", filepath.Join(dir, "dumb.sock"), filepath.Join(dir, "dumb.desk"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	p := serve()
	id := e.create("plugin", map[string]any{"Image": "busybox", "Cmd": sleep,
		"HostConfig": map[string]any{"VolumeDriver": "dumb", "Binds": []string{"v:/v"}}})
	behave(t, p, "Mount", "hang")
	return stuck{what: "plugin", id: id, waits: "/start", free: func() {
		p.Kill()
		behave(t, p, "Mount", "")
		serve()
	}, holds: func() bool { return !e.inspect(id).State.Running }}
}

// TestStuckContainers: containers that do not get on, each for another reason, hold
// neither list, nor inspect, nor events, nor other containers up, nor a new daemon.
func TestStuckContainers(t *testing.T) {
	plugins, err := os.MkdirTemp("/tmp", "berth-stuck-") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(plugins) })
	e := start(t, options{flags: []string{"--plugin-sockets", plugins, "--plugin-spec", filepath.Join(plugins, "none")}})
	before := e.steady()
	quick := e.sleeper("quick", nil)
	all := []stuck{stuckMount(t, e), stuckFreezer(t, e), stuckPause(t, e), stuckReader(t, e), stuckPipe(t, e), stuckLog(t, e), stuckPlugin(t, e, plugins)}
	e.othersGetOn(t, quick, all)
	e.Kill()
	began := time.Now()
	e.comesUp()
	t.Logf("a new daemon beside stuck containers: %v", time.Since(began))
	for _, s := range all {
		if s.again != nil {
			s.again()
		}
	}
	e.othersGetOn(t, quick, all)
	for _, s := range all {
		s.free()
	}
	for _, s := range all {
		e.remove(s.id)
	}
	e.remove(quick)
	e.must(http.MethodDelete, "/volumes/v", nil)
	e.settles(before)
}

// othersGetOn measures how long the rest takes while a request waits for each of the stuck.
func (e *engine) othersGetOn(t *testing.T, quick string, all []stuck) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	var answered sync.Map
	for _, s := range all {
		waiting.Go(func() {
			a, err := e.send(ctx, http.MethodPost, "/containers/"+s.id+s.waits, nil)
			if err == nil {
				answered.Store(s.what, a)
			}
		})
	}
	time.Sleep(300 * time.Millisecond) // until the requests are there
	took := map[string][]time.Duration{}
	timed := func(what string, fn func()) {
		began := time.Now()
		fn()
		took[what] = append(took[what], time.Since(began))
	}
	for range 10 {
		timed("list", func() { e.must(http.MethodGet, "/containers/json?all=1", nil, http.StatusOK) })
		timed("info", func() { e.must(http.MethodGet, "/info", nil, http.StatusOK) })
		timed("events", func() { e.must(http.MethodGet, "/events?since=0&until=1", nil, http.StatusOK) })
		timed("inspect", func() { e.inspect(quick) })
		for _, s := range all {
			timed("inspect of the stuck", func() { e.inspect(s.id) })
		}
		timed("exec", func() {
			if o := e.run(quick, "echo", "fine"); o.stdout != "fine\n" {
				t.Errorf("%+v", o)
			}
		})
		timed("another container's life", func() {
			if o := e.whole(map[string]any{"Image": "busybox", "Cmd": []string{"echo", "fine"}}); o.stdout != "fine\n" {
				t.Errorf("%+v", o)
			}
		})
	}
	answered.Range(func(what, a any) bool {
		t.Errorf("%s: nothing is stuck: %v", what, a)
		return true
	})
	for _, s := range all {
		if !s.holds() {
			t.Errorf("%s: it is not stuck", s.what)
		}
	}
	for what, times := range took {
		slices.Sort(times)
		worst := times[len(times)-1]
		t.Logf("%s: median %v, worst %v of %d", what, times[len(times)/2], worst, len(times))
		if worst > 3*time.Second {
			t.Errorf("%s takes %v beside stuck containers", what, worst)
		}
	}
}
