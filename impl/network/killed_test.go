package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/network/netns"
)

// restlessEnv makes the test's process a restless one; its value is the directory.
const restlessEnv = "BERTH_TEST_RESTLESS"

const restlessContainers = 64

// restless is a Manager whose 64 containers come, go, connect and disconnect all
// at once until the process is killed. It returns an error that nobody expects.
func restless(dir string) error {
	m, err := Open(Options{Root: filepath.Join(dir, "root"), ExecRoot: filepath.Join(dir, "exec"), Bridge: "berthtest0",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	ctx := context.Background()
	failed := make(chan error)
	for i := range restlessContainers {
		go func() {
			id := fmt.Sprint("c", i)
			for {
				var err error
				network := []string{"red", "blue", "lan"}[rand.IntN(3)]
				switch n := rand.IntN(10); {
				case n == 0:
					err = m.Release(ctx, id)
				case n == 1:
					_, err = m.NewSandbox(ctx, SandboxSpec{ContainerID: id, Mode: ModeBridge, Ports: []PortSpec{
						{Proto: TCP, ContainerPort: 80}, {Proto: UDP, ContainerPort: 53, HostIP: netip.IPv6Loopback()}}})
				case n < 6:
					_, err = m.Connect(ctx, id, EndpointSpec{Network: network})
				default:
					_, err = m.Disconnect(ctx, id, []string{network, NameBridge}[rand.IntN(2)])
				}
				// Of what is done by chance much is not possible.
				if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
					failed <- err
				}
			}
		}()
	}
	fmt.Println("ready")
	return <-failed
}

// TestKilled kills a daemon with 64 restless containers and compares what the
// kernel has with what the next daemon knows.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	e := newEnv(t, func(o *Options) { o.Root, o.ExecRoot = filepath.Join(dir, "root"), filepath.Join(dir, "exec") })
	e.create(CreateSpec{Name: "red", EnableIPv6: true, IPAM: dual("10.77.0.0/24", "fd00:77::/64")})
	e.create(CreateSpec{Name: "blue", EnableIPv6: true, Internal: true, IPAM: dual("10.78.0.0/24", "fd00:78::/64")})
	lan := macvlanSpec("lan", "", dual("10.79.0.0/24", "fd00:79::/64"))
	lan.EnableIPv6 = true
	e.create(lan)
	lost := 0
	for round := range 6 {
		e.crash()
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), restlessEnv+"="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		var log bytes.Buffer
		cmd.Stderr = &log
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if _, err := out.Read(make([]byte, 16)); err != nil {
			t.Fatalf("round %d: the daemon does not start: %v\n%s", round, err, &log)
		}
		time.Sleep(400*time.Millisecond + rand.N(600*time.Millisecond))
		cmd.Process.Kill()
		var ended *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != -1 {
			t.Fatalf("round %d: the daemon ended by itself: %v\n%s", round, err, log.String()[max(0, log.Len()-2000):])
		}
		e.open()
		must(t, e.Reconcile(context.Background(), func(string) bool { return true }))
		e.settle()
		if e.agree(fmt.Sprintf("round %d: ", round)); len(e.sandboxes) > 0 {
			lost++
		}
	}
	if lost == 0 {
		t.Error("no container was there at any kill")
	}
	must(t, e.Reconcile(context.Background(), func(string) bool { return false }))
	e.settle()
	// Of each pool of IPv4 three addresses are no container's, of IPv6 two.
	if c := e.census(); c != (census{addresses: 4*3 + 3*2}) {
		t.Errorf("after all were released: %+v", c)
	}
}

// agree asserts that kernel and disk hold what the Manager knows.
func (e *env) agree(when string) {
	e.t.Helper()
	var want census
	veths := map[string]bool{}
	for _, n := range e.networks {
		want.addresses += 3*len(n.of(false)) + 2*len(n.of(true))
	}
	for id, s := range e.sandboxes {
		want.states++
		want.mounts++
		want.files++
		want.held += len(s.portKeys())
		want.published += len(s.forwards())
		for _, ep := range s.Endpoints {
			if !ep.Direct {
				veths[ep.HostInterface] = true
			}
			want.addresses += len(ep.addresses())
		}
		if err := netns.Do(s.Key, func() error { return s.inKernel() }); err != nil {
			e.t.Errorf("%scontainer %s: %v", when, id, err)
		}
	}
	want.veths = len(veths)
	if got := e.census(); got != want {
		e.t.Errorf("%sthere is %+v, known is %+v", when, got, want)
	}
	for name := range veths {
		if _, err := net.InterfaceByName(name); err != nil {
			e.t.Errorf("%s%s: %v", when, name, err)
		}
	}
}

// inKernel compares the calling thread's namespace with the sandbox.
func (s *Sandbox) inKernel() error {
	want, got := map[string]string{}, map[string]string{}
	for _, ep := range s.Endpoints {
		list := []string{ep.IPv4.String()}
		if ep.IPv6.IsValid() {
			list = append(list, ep.IPv6.String())
		}
		want[ep.Interface] = strings.Join(list, " ")
	}
	for six, family := range map[bool]int{false: unix.AF_INET, true: unix.AF_INET6} {
		if i := s.exit(); !six && i >= 0 {
			want["by IPv4"] = s.Endpoints[i].IPv4Gateway.String()
		}
		if i := s.exit6(); six && i >= 0 {
			want["by IPv6"] = s.Endpoints[i].IPv6Gateway.String()
		}
		routes, err := netlink.RouteList(nil, family)
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Gw != nil {
				got[map[bool]string{false: "by IPv4", true: "by IPv6"}[six]] = r.Gw.String()
			}
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Attrs().Name == "lo" {
			continue
		}
		addrs, err := netlink.AddrList(l, unix.AF_UNSPEC)
		if err != nil {
			return err
		}
		var list []string
		for _, a := range addrs {
			if !a.IP.IsLinkLocalUnicast() {
				list = append(list, a.IPNet.String())
			}
		}
		slices.SortFunc(list, func(a, b string) int { return strings.Count(a, ":") - strings.Count(b, ":") })
		got[l.Attrs().Name] = strings.Join(list, " ")
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("the kernel has %v, known is %v", got, want)
	}
	return nil
}

// TestAtOnce: 64 containers connect and disconnect at once, and each gets what it
// asks for.
func TestAtOnce(t *testing.T) {
	e := newEnv(t)
	e.create(CreateSpec{Name: "red", EnableIPv6: true, IPAM: dual("10.77.0.0/24", "fd00:77::/64")})
	var wg sync.WaitGroup
	each := func(do func(id string) error) {
		t.Helper()
		for i := range restlessContainers {
			wg.Go(func() {
				if err := do(fmt.Sprint("c", i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		e.settle()
		e.agree("")
	}
	ctx := context.Background()
	each(func(id string) error {
		_, err := e.NewSandbox(ctx, SandboxSpec{ContainerID: id, Mode: ModeBridge, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80}}})
		return err
	})
	each(func(id string) error { _, err := e.Connect(ctx, id, EndpointSpec{Network: "red"}); return err })
	each(func(id string) error { _, err := e.Disconnect(ctx, id, NameBridge); return err })
	each(func(id string) error { return e.Release(ctx, id) })
}

// TestSixtyNetworks: the table of rules has no limit that a host could reach.
func TestSixtyNetworks(t *testing.T) {
	e := newEnv(t)
	for i := range 60 {
		e.create(CreateSpec{Name: fmt.Sprint("net", i), EnableIPv6: true, IPAM: dual(fmt.Sprintf("10.90.%d.0/24", i), fmt.Sprintf("fd00:90:%d::/64", i))})
	}
	e.crash()
	e.open()
	s := e.start(SandboxSpec{ContainerID: "c", Endpoints: []EndpointSpec{{Network: "net59"}}, Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, s, TCP, 80, "c")
	want(t, "host", "", TCP, at(hostAddr6, 8080), "c")
	e.release("c")
	e.settle()
}

// TestStrangeNames: a network may be called anything.
func TestStrangeNames(t *testing.T) {
	ctx := context.Background()
	e := newEnv(t)
	names := []string{"a b", "ü/ñ 網", "x\ny", "%2e%2e", "..", "-rf", `"; drop`, "{{.}}", "\x01\x7f", strings.Repeat("n", 300), "0"}
	ids := map[string]string{}
	for _, name := range names {
		ids[name] = e.create(CreateSpec{Name: name}).ID
	}
	// A name goes before an id that begins with it.
	prefix := ids["a b"][:6]
	ids[prefix] = e.create(CreateSpec{Name: prefix}).ID
	s := e.start(SandboxSpec{ContainerID: "c", Endpoints: []EndpointSpec{{Network: names[1], Aliases: []string{"Ä.b c", "%"}}}})
	e.crash()
	e.open()
	for name, id := range ids {
		if n, err := e.Network(name); err != nil || n.ID != id || n.Name != name {
			t.Errorf("%q: %+v, %v", name, n, err)
		}
	}
	for _, alias := range []string{"ä.b c", "%"} {
		if addrs, ok := (view{e.Manager, "c"}).Lookup(alias); !ok || addrs[0] != addr(s) {
			t.Errorf("%q is %v", alias, addrs)
		}
	}
	e.release("c")
	e.settle()
	for name := range ids {
		if _, err := e.RemoveNetwork(ctx, name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n := len(e.Networks()); n != 3 {
		t.Errorf("%d networks are left", n)
	}
}
