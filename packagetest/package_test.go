// Package packagetest tries the Debian package on a system of its own, with
// systemd as its first process: tools/test-package boots it in a virtual machine.
// The tests install the package, use it as its users do, and remove it; they run
// in their order.
package packagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
)

const socket = "/run/berth.sock"

var archive = flag.String("package", "", "the .deb `file`; installing it changes this system")

func TestMain(m *testing.M) {
	flag.Parse()
	if *archive == "" {
		fmt.Fprintln(os.Stderr, "package tests: they install and remove a package on the system that they run on: use make test-package")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// does runs a program and gives what it says; it must succeed.
func does(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tries(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func tries(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute) // without KVM, a package is slowly unpacked
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// unit gives a property of a unit.
func unit(t *testing.T, name, property string) string {
	t.Helper()
	return does(t, "systemctl", "show", "--value", "-p", property, name)
}

// becomes waits until what says want.
func becomes(t *testing.T, want string, what func() string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = what(); got == want {
			return
		}
	}
	t.Fatalf("it stays %q, wanted %q", got, want)
}

var client = http.Client{Timeout: time.Minute, Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	},
}}

// ask sends a request of version 1.23; out may be nil.
func ask(t *testing.T, method, path, body string, out any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://berth/v1.23"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil || response.StatusCode >= 400 {
		t.Fatalf("%s %s: %s: %s (%v)", method, path, response.Status, &answer, err)
	}
	if out != nil {
		if err := json.Unmarshal(answer.Bytes(), out); err != nil {
			t.Fatal(err)
		}
	}
}

func mainPid(t *testing.T) string { return unit(t, "berth.service", "MainPID") }

// container is what the tests run across restarts.
var container string

func containerPid(t *testing.T) int {
	t.Helper()
	var found struct{ State struct{ Pid int } }
	ask(t, "GET", "/containers/"+container+"/json", "", &found)
	return found.State.Pid
}

func TestPackage(t *testing.T) {
	for _, step := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"install", install}, {"verify", verify}, {"activation", activation}, {"run", runs}, {"doctor", doctor}, {"reload", reload},
		{"stop", stop}, {"kill", kill}, {"upgrade", upgrade}, {"hosts", hosts}, {"remove", remove}, {"purge", purge},
	} {
		if !t.Run(step.name, step.test) {
			t.Logf("berth.service:\n%s", does(t, "journalctl", "--no-pager", "-n", "60", "-u", "berth.service"))
			return // each stands on the one before
		}
	}
}

func install(t *testing.T) {
	does(t, "dpkg", "-i", *archive)
	for _, name := range []string{"berth.socket", "berth.service"} {
		if got := unit(t, name, "ActiveState") + " " + unit(t, name, "UnitFileState"); got != "active enabled" {
			t.Errorf("%s is %s", name, got)
		}
	}
	if got := unit(t, "berth.service", "Type") + " " + unit(t, "berth.service", "StatusText"); got != "notify serves fd://" {
		t.Errorf("the service says %q", got)
	}
	if got := does(t, "stat", "-c", "%U:%G %a", socket); got != "root:docker 660" {
		t.Errorf("the socket is of %s", got)
	}
	if got := does(t, "berthd", "--version"); !strings.HasPrefix(got, "berthd version ") || strings.Contains(got, "unknown") {
		t.Errorf("%q", got)
	}
}

func verify(t *testing.T) {
	if out := does(t, "systemd-analyze", "verify", "--man=no", "/lib/systemd/system/berth.service", "/lib/systemd/system/berth.socket"); strings.Contains(out, "berth") {
		t.Error(out)
	}
	if out := does(t, "dpkg", "-V", "berth"); out != "" {
		t.Error(out)
	}
}

// activation: the first request starts the daemon.
func activation(t *testing.T) {
	does(t, "systemctl", "stop", "berth.service")
	if got := unit(t, "berth.service", "ActiveState"); got != "inactive" {
		t.Fatal(got)
	}
	var version struct{ APIVersion string }
	ask(t, "GET", "/version", "", &version)
	if version.APIVersion != "1.23" || unit(t, "berth.service", "ActiveState") != "active" {
		t.Errorf("%+v", version)
	}
}

func runs(t *testing.T) {
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		t.Fatal(err)
	}
	response, err := client.Post("http://berth/v1.23/images/load", "application/x-tar", &image)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || bytes.Contains(answer, []byte("error")) {
		t.Fatalf("load: %s (%v)", answer, err)
	}
	var made struct{ ID string }
	ask(t, "POST", "/containers/create", `{"Image": "busybox", "Cmd": ["sh", "-c", "while :; do date; sleep 0.2; done"], "HostConfig": {"Memory": 33554432}}`, &made)
	container = made.ID
	ask(t, "POST", "/containers/"+container+"/start", "", nil)
	if containerPid(t) == 0 {
		t.Error("it does not run")
	}
}

func doctor(t *testing.T) {
	out, err := tries(t, "berthd", "doctor")
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// reload: systemd waits until the daemon has read its configuration again.
func reload(t *testing.T) {
	pid := mainPid(t)
	if err := os.WriteFile("/etc/berth/daemon.json", []byte(`{"labels": ["place=here"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	does(t, "systemctl", "reload", "berth.service")
	becomes(t, "[place=here]", func() string {
		var info struct{ Labels []string }
		ask(t, "GET", "/info", "", &info)
		return fmt.Sprint(info.Labels)
	})
	becomes(t, "active read its configuration again", func() string {
		return unit(t, "berth.service", "ActiveState") + " " + unit(t, "berth.service", "StatusText")
	})
	if mainPid(t) != pid {
		t.Error("it is another process")
	}
}

// stop: containers outlive the service, and the next one finds them.
func stop(t *testing.T) {
	pid, daemon := containerPid(t), mainPid(t)
	does(t, "systemctl", "restart", "berth.service")
	if containerPid(t) != pid || mainPid(t) == daemon {
		t.Errorf("the container's process was %d and is %d", pid, containerPid(t))
	}
}

// kill: systemd starts the daemon again.
func kill(t *testing.T) {
	pid, daemon := containerPid(t), mainPid(t)
	does(t, "kill", "-9", daemon)
	becomes(t, "true", func() string {
		now := mainPid(t)
		return strconv.FormatBool(now != daemon && now != "0" && unit(t, "berth.service", "ActiveState") == "active")
	})
	if containerPid(t) != pid {
		t.Errorf("the container's process was %d and is %d", pid, containerPid(t))
	}
}

// upgrade: the same package once more.
func upgrade(t *testing.T) {
	pid, daemon := containerPid(t), mainPid(t)
	does(t, "dpkg", "-i", *archive)
	if containerPid(t) != pid || mainPid(t) == daemon || unit(t, "berth.service", "ActiveState") != "active" {
		t.Errorf("the container's process was %d and is %d; the daemon's was %s and is %s", pid, containerPid(t), daemon, mainPid(t))
	}
}

// hosts adds an address to the socket of systemd's.
func hosts(t *testing.T) {
	if err := os.WriteFile("/etc/berth/daemon.json", []byte(`{"hosts": ["fd://", "tcp://127.0.0.1:2375"], "allow-plain-tcp": true}`), 0o644); err != nil {
		t.Fatal(err)
	}
	does(t, "systemctl", "restart", "berth.service")
	response, err := http.Get("http://127.0.0.1:2375/_ping")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	ask(t, "GET", "/_ping", "", nil)
}

// remove: the daemon goes, the containers and their data stay.
func remove(t *testing.T) {
	pid := containerPid(t)
	does(t, "dpkg", "-r", "berth")
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err != nil {
		t.Error("the container went with the package")
	}
	if out, err := tries(t, "systemctl", "is-active", "berth.service", "berth.socket"); err == nil || strings.Contains(out, "\nactive") || strings.HasPrefix(out, "active") {
		t.Error(out)
	}
	does(t, "dpkg", "-i", *archive)
	if containerPid(t) != pid {
		t.Error("the container is not found again")
	}
	ask(t, "DELETE", "/containers/"+container+"?force=1", "", nil)
}

func purge(t *testing.T) {
	if err := os.Remove("/etc/berth/daemon.json"); err != nil {
		t.Fatal(err)
	}
	does(t, "dpkg", "-P", "berth")
	if _, err := os.Stat("/var/lib/berth"); err != nil {
		t.Error("the images went with the package")
	}
	for _, path := range []string{"/etc/berth", socket, "/usr/bin/berthd", "/etc/systemd/system/multi-user.target.wants/berth.service", "/usr/share/doc/berth"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}
