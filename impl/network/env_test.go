package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/netns"
)

// env is a Manager with directories of its own; restart opens a new one on
// them.
type env struct {
	*Manager
	t    testing.TB
	opts Options
}

func newEnv(t testing.TB, change ...func(*Options)) *env {
	t.Helper()
	dir := t.TempDir()
	opts := Options{
		Root:     filepath.Join(dir, "root"),
		ExecRoot: filepath.Join(dir, "exec"),
		Bridge:   "berthtest0",
		Logger:   slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	for _, c := range change {
		c(&opts)
	}
	e := &env{t: t, opts: opts}
	e.open()
	t.Cleanup(e.tearDown)
	return e
}

func (e *env) open() {
	e.t.Helper()
	m, err := Open(e.opts)
	if err != nil {
		e.t.Fatalf("open: %v", err)
	}
	e.Manager = m
}

// crash drops the Manager as kill -9 would: the kernel closes its sockets,
// nothing else happens.
func (e *env) crash() {
	e.t.Helper()
	e.Close()
	e.Manager = nil
}

func (e *env) tearDown() {
	if e.Manager == nil { // the test ended between two
		if m, err := Open(e.opts); err != nil {
			e.t.Error(err)
		} else {
			e.Manager = m
		}
	}
	if e.Manager != nil {
		if err := e.Reconcile(context.Background(), func(string) bool { return false }); err != nil {
			e.t.Errorf("release all: %v", err)
		}
		e.settle()
		e.Close()
		if err := e.table.Uninstall(); err != nil {
			e.t.Error(err)
		}
	}
	if err := bridge.Remove(e.opts.Bridge); err != nil {
		e.t.Error(err)
	}
}

// settle waits until no released interface is left.
func (e *env) settle() {
	e.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		e.reap.mu.Lock()
		n := len(e.reap.waiting)
		running := e.reap.running
		e.reap.mu.Unlock()
		if n == 0 && !running {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	e.t.Error("released interfaces are still there after 20 s")
}

// census is what the kernel and the disk hold for sandboxes.
type census struct{ mounts, files, states, veths, published, held, addresses int }

func (e *env) census() census {
	e.t.Helper()
	var c census
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(e.t, err)
	c.mounts = strings.Count(string(mounts), e.opts.ExecRoot)
	paths, err := netns.List(filepath.Join(e.opts.ExecRoot, "netns"))
	must(e.t, err)
	c.files = len(paths)
	states, err := os.ReadDir(filepath.Join(e.opts.ExecRoot, "network"))
	must(e.t, err)
	c.states = len(states)
	links, err := netlink.LinkList()
	for errors.Is(err, netlink.ErrDumpInterrupted) {
		links, err = netlink.LinkList()
	}
	must(e.t, err)
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, hostPrefix) {
			c.veths++
		}
	}
	if e.Manager != nil {
		c.published, err = e.table.Count()
		must(e.t, err)
		c.held = e.ports.Held()
		for _, n := range e.networks {
			for _, s := range n.spaces {
				c.addresses += s.Used()
			}
		}
	}
	return c
}

func (e *env) start(spec SandboxSpec) *Sandbox {
	e.t.Helper()
	if spec.Mode == "" {
		spec.Mode = ModeBridge
	}
	s, err := e.NewSandbox(context.Background(), spec)
	if err != nil {
		e.t.Fatalf("sandbox %s: %v", spec.ContainerID, err)
	}
	return s
}

func (e *env) release(id string) {
	e.t.Helper()
	if err := e.Release(context.Background(), id); err != nil {
		e.t.Fatalf("release %s: %v", id, err)
	}
}

// answer listens inside a sandbox and answers every connection or datagram with
// name and the peer's address.
func answer(t testing.TB, s *Sandbox, proto Protocol, port int, name string) {
	t.Helper()
	listen := func() error {
		if proto == UDP {
			c, err := net.ListenPacket("udp", fmt.Sprintf(":%d", port))
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				buf := make([]byte, 512)
				for {
					_, from, err := c.ReadFrom(buf)
					if err != nil {
						return
					}
					c.WriteTo([]byte(name+" "+from.String()), from)
				}
			}()
			return nil
		}
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, name+" "+c.RemoteAddr().String())
				c.Close()
			}
		}()
		return nil
	}
	if s.Key == "" {
		must(t, listen())
		return
	}
	must(t, netns.Do(s.Key, listen))
}

// ask connects from a namespace ("" is the host) and gives the answer.
func ask(key string, proto Protocol, to string, patience time.Duration) (string, error) {
	var text string
	talk := func() error {
		c, err := net.DialTimeout(string(proto), to, patience)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if proto == UDP {
			if _, err := c.Write([]byte("?")); err != nil {
				return err
			}
			buf := make([]byte, 512)
			n, err := c.Read(buf)
			text = string(buf[:n])
			return err
		}
		b, err := io.ReadAll(c)
		text = string(b)
		return err
	}
	var err error
	if key == "" {
		err = talk()
	} else {
		err = netns.Do(key, talk)
	}
	return text, err
}

func want(t testing.TB, from, key string, proto Protocol, to, name string) string {
	t.Helper()
	text, err := ask(key, proto, to, 5*time.Second)
	if err != nil {
		t.Errorf("%s to %s/%s: %v", from, to, proto, err)
		return ""
	}
	who, peer, _ := strings.Cut(text, " ")
	if who != name {
		t.Errorf("%s to %s/%s: answered by %q, want %q", from, to, proto, who, name)
	}
	host, _, _ := net.SplitHostPort(peer)
	return host
}

// refuse asserts that nothing answers.
func refuse(t testing.TB, from, key string, proto Protocol, to string) {
	t.Helper()
	if text, err := ask(key, proto, to, 400*time.Millisecond); err == nil {
		t.Errorf("%s to %s/%s: answered %q, want no answer", from, to, proto, text)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addr(s *Sandbox) netip.Addr { return s.Endpoints[0].IPv4.Addr() }

func at(a any, port int) string { return net.JoinHostPort(fmt.Sprint(a), fmt.Sprint(port)) }

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "level=ERROR") {
		w.t.Errorf("the manager logged: %s", p)
	}
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
