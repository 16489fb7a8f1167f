package doctor

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/instance"
)

// well are settings that this machine can serve.
func well(t *testing.T) Settings {
	t.Helper()
	dir := t.TempDir()
	shim := filepath.Join(dir, "berth-shim")
	if err := os.WriteFile(shim, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Settings{
		DataRoot: filepath.Join(dir, "data"), ExecRoot: filepath.Join(dir, "run"),
		Databases: map[string][]string{filepath.Join(dir, "data", "x.db"): nil},
		Hosts:     []string{"unix://" + filepath.Join(dir, "d.sock")}, Bridge: "berthdoc0", MTU: 576,
		LogDriver: "json-file", Driver: "cgroupfs", Shim: shim, LoggerPath: filepath.Join(dir, "berth-logger"),
	}
}

// of gives the findings on a subject.
func of(found []Finding, subject string) string {
	var b strings.Builder
	for _, f := range found {
		if strings.HasPrefix(f.Subject, subject) {
			b.WriteString(string(f.Level) + " " + f.Subject + ": " + f.Text + " → " + f.Advice + "\n")
		}
	}
	return b.String()
}

func TestWell(t *testing.T) {
	s := well(t)
	found := Examine(s)
	if Worst(found) == Problem {
		var b bytes.Buffer
		_ = Print(&b, found, true)
		t.Error(b.String())
	}
	for _, f := range found {
		if (f.Level == OK) != (f.Advice == "") {
			t.Errorf("%+v: what is not in order has advice, and nothing else", f)
		}
	}
	for _, subject := range []string{"kernel", "seccomp", "control groups", "nftables", "network devices", "overlayfs", "data root", "store x.db", "bridge", "host", "berth-shim", "limits"} {
		if of(found, subject) == "" {
			t.Errorf("nothing is said of %s", subject)
		}
	}
	// Nothing is left: no directory, no device.
	entries, err := os.ReadDir(filepath.Dir(s.DataRoot))
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v %v", entries, err)
	}
	links, err := net.Interfaces()
	if err != nil || slices.ContainsFunc(links, func(l net.Interface) bool { return strings.HasPrefix(l.Name, "doctor") }) {
		t.Errorf("devices %v %v", links, err)
	}
}

// certificate makes one that ends after some days.
func certificate(t *testing.T, days int) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(0, 0, days)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestUnwell breaks one thing at a time.
func TestUnwell(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	busy := listener.Addr().String()
	cert, key := certificate(t, 3650)
	shortCert, shortKey := certificate(t, 5)
	for name, c := range map[string]struct {
		spoil   func(t *testing.T, s *Settings)
		subject string
		want    []string
	}{
		"no shim":       {func(_ *testing.T, s *Settings) { s.Shim += "x" }, "berth-shim", []string{"problem", "--shim"}},
		"shim, no exec": {func(_ *testing.T, s *Settings) { _ = os.Chmod(s.Shim, 0o644) }, "berth-shim", []string{"problem"}},
		"no logger":     {func(_ *testing.T, s *Settings) { s.LogDriver = "syslog" }, "berth-logger", []string{"problem", "syslog"}},
		"port": {func(_ *testing.T, s *Settings) { s.Hosts, s.AllowPlainTCP = []string{"tcp://" + busy}, true }, "host",
			[]string{"problem", "another process listens on " + busy, "ss -ltnxp"}},
		"port of the metrics": {func(_ *testing.T, s *Settings) { s.Asides = map[string]string{"metrics-addr": busy} }, "metrics-addr", []string{"problem"}},
		"not an address":      {func(_ *testing.T, s *Settings) { s.Asides = map[string]string{"docs-addr": "192.0.2.1:80"} }, "docs-addr", []string{"problem", "address of this host"}},
		"plain tcp":           {func(_ *testing.T, s *Settings) { s.Hosts = []string{"tcp://127.0.0.1:0"} }, "host", []string{"problem", "--tlsverify"}},
		"plain tcp for all": {func(_ *testing.T, s *Settings) { s.Hosts, s.AllowPlainTCP = []string{"tcp://0.0.0.0:0"}, true }, "host",
			[]string{"warning", "127.0.0.1"}},
		"scheme": {func(_ *testing.T, s *Settings) { s.Hosts = []string{"npipe://x"} }, "host", []string{"problem"}},
		"file in the way": {func(t *testing.T, s *Settings) {
			path := filepath.Join(t.TempDir(), "x")
			_ = os.WriteFile(path, nil, 0o600)
			s.Hosts = []string{"unix://" + path}
		}, "host", []string{"problem", "no socket"}},
		"fd without systemd": {func(t *testing.T, s *Settings) { s.Hosts, s.Root = []string{"fd://"}, t.TempDir() }, "host", []string{"problem", "passes no sockets"}},
		"driver systemd":     {func(t *testing.T, s *Settings) { s.Driver, s.Root = "systemd", t.TempDir() }, "cgroup driver", []string{"problem", "cgroupfs"}},
		"group":              {func(_ *testing.T, s *Settings) { s.Group = "no-such-group" }, "group", []string{"problem", "groupadd"}},
		"loopback as bridge": {func(_ *testing.T, s *Settings) { s.Bridge = "lo" }, "bridge", []string{"problem", "--bridge"}},
		"no seccomp":         {func(t *testing.T, s *Settings) { s.Root = t.TempDir() }, "seccomp", []string{"problem", "CONFIG_SECCOMP_FILTER"}},
		"no namespaces":      {func(t *testing.T, s *Settings) { s.Root = t.TempDir() }, "kernel", []string{"problem", "pid namespaces"}},
		"no user namespaces": {func(t *testing.T, s *Settings) { s.Remap, s.Root = true, t.TempDir() }, "user namespaces", []string{"problem", "--userns-remap"}},
		"no programs":        {func(t *testing.T, s *Settings) { s.Root = t.TempDir() }, "programs", []string{"warning", "git (", "xz-utils"}},
		"stub resolver": {func(t *testing.T, s *Settings) {
			s.Root = t.TempDir()
			_ = os.Mkdir(filepath.Join(s.Root, "etc"), 0o755)
			_ = os.WriteFile(filepath.Join(s.Root, "etc/resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644)
		}, "name servers", []string{"warning", "--dns"}},
		"low limits": {func(t *testing.T, s *Settings) {
			s.Root = t.TempDir()
			_ = os.MkdirAll(filepath.Join(s.Root, "proc/sys/fs/inotify"), 0o755)
			_ = os.WriteFile(filepath.Join(s.Root, "proc/sys/fs/inotify/max_user_instances"), []byte("10\n"), 0o644)
		}, "limits", []string{"warning", "fs.inotify.max_user_instances=10"}},
		"small disk":         {func(t *testing.T, s *Settings) { s.DataRoot = memory(t, "size=8m") }, "data root", []string{"warning", "docker rmi"}},
		"noexec":             {func(t *testing.T, s *Settings) { s.DataRoot = memory(t, "noexec") }, "data root", []string{"problem", "noexec"}},
		"read-only":          {func(t *testing.T, s *Settings) { s.DataRoot = memory(t, "ro") }, "data root", []string{"problem", "read-only"}},
		"overlay on overlay": {func(t *testing.T, s *Settings) { s.DataRoot = overlaid(t) }, "overlayfs", []string{"problem", "cannot lie on another"}},
		"damaged store": {func(_ *testing.T, s *Settings) {
			_ = os.MkdirAll(s.DataRoot, 0o700)
			_ = os.WriteFile(filepath.Join(s.DataRoot, "x.db"), bytes.Repeat([]byte("x"), 1<<16), 0o600)
		}, "store", []string{"problem", "berthd check"}},
		"no certificate": {func(_ *testing.T, s *Settings) { s.TLS, s.Cert, s.Key = true, "/nonexistent", "/nonexistent" }, "certificates", []string{"problem"}},
		"no client certificates": {func(_ *testing.T, s *Settings) { s.TLS, s.Cert, s.Key = true, cert, key }, "certificates",
			[]string{"warning", "--tlsverify", "ok certificates: valid until"}},
		"ends soon": {func(_ *testing.T, s *Settings) { s.TLS, s.Cert, s.Key, s.CA = true, shortCert, shortKey, cert }, "certificates", []string{"warning", "ends on"}},
		"key for all": {func(_ *testing.T, s *Settings) {
			_ = os.Chmod(shortKey, 0o644)
			s.TLS, s.Cert, s.Key, s.CA = true, shortCert, shortKey, cert
		}, "certificates", []string{"warning", "chmod o-rwx"}},
		"user namespaces on tmpfs": {func(t *testing.T, s *Settings) { s.Remap, s.DataRoot = true, memory(t, "size=8m") }, "user namespaces", []string{"problem", "ext4"}},
		"user namespaces":          {func(_ *testing.T, s *Settings) { s.Remap = true }, "user namespaces", []string{"ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := well(t)
			c.spoil(t, &s)
			said := of(Examine(s), c.subject)
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("it says %q, wanted %q", said, want)
				}
			}
		})
	}
}

// TestBridgeOverlap takes a subnet that this host's own network has.
func TestBridgeOverlap(t *testing.T) {
	e := &examination{}
	err := aside(unix.CLONE_NEWNET, func() error {
		if out, err := exec.Command("ip", "link", "add", "d0", "type", "bridge").CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
		for _, args := range [][]string{{"addr", "add", "10.77.0.1/16", "dev", "d0"}, {"link", "set", "d0", "mtu", "1400", "up"}, {"route", "add", "default", "dev", "d0"}} {
			if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				t.Errorf("%v %s", err, out)
			}
		}
		e.Bridge, e.BridgeIP, e.MTU = "berthdoc0", netip.MustParsePrefix("10.77.3.1/24"), 1500
		e.bridge()
		e.BridgeIP = netip.MustParsePrefix("10.78.3.1/24")
		e.bridge()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	said := of(e.found, "")
	for _, want := range []string{"problem bridge: --bip 10.77.3.1/24 overlaps 10.77.0.0/16, which the host reaches through d0", "ok bridge", "warning MTU", "--mtu 1400"} {
		if !strings.Contains(said, want) {
			t.Errorf("it says %q, wanted %q", said, want)
		}
	}
}

// TestPortThatIsNotNamed: the port is looked at that the daemon would take.
func TestPortThatIsNotNamed(t *testing.T) {
	e := &examination{Settings: Settings{
		Hosts: []string{"tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1/"}, AllowPlainTCP: true,
	}}
	err := aside(unix.CLONE_NEWNET, func() error {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:2375")
		if err != nil {
			return err
		}
		defer listener.Close()
		e.listeners()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if said := of(e.found, "host"); strings.Count(said, "problem host tcp://127.0.0.1") != 3 || strings.Count(said, "another process listens on 127.0.0.1:2375") != 3 {
		t.Errorf("it says %q", said)
	}
}

// TestBesideTheDaemon: what a running daemon has is in order.
func TestBesideTheDaemon(t *testing.T) {
	s := well(t)
	socket, err := net.Listen("unix", strings.TrimPrefix(s.Hosts[0], "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if said := of(Examine(s), "host"); !strings.Contains(said, "problem") {
		t.Errorf("somebody else's socket: %q", said)
	}
	lock, err := instance.Acquire(s.DataRoot)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	if found := Examine(s); !strings.Contains(of(found, "host"), "ok") || !strings.Contains(of(found, "data root"), "serves it now") {
		t.Errorf("%+v", found)
	}
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	found := []Finding{{OK, "a", "fine", ""}, {Problem, "b", "broken", "mend it"}, {Warning, "c", "meh", "see"}}
	if err := Print(&b, found, true); err != nil {
		t.Fatal(err)
	}
	want := "problem  b: broken\n         → mend it\nwarning  c: meh\n         → see\n1 in order, 1 warnings, 1 problems\n"
	if b.String() != want || Worst(found) != Problem || Worst(found[:1]) != OK || Worst(found[2:]) != Warning {
		t.Errorf("%q %s", b.String(), Worst(found))
	}
}

// memory mounts a tmpfs for the test.
func memory(t *testing.T, options string) string {
	t.Helper()
	return mounted(t, "-t", "tmpfs", "-o", options, "tmpfs")
}

// overlaid mounts an overlay for the test.
func overlaid(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"l", "u", "w"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return mounted(t, "-t", "overlay", "-o", "lowerdir="+dir+"/l,upperdir="+dir+"/u,workdir="+dir+"/w", "overlay")
}

func mounted(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(5 * time.Second); unix.Unmount(dir, 0) != nil && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}
