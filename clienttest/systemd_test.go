package clienttest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// TestSocketActivation starts berthd as systemd does: by the first request to a socket
// that it is handed, without -H, and with somebody who wants to hear when it is ready.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	const bridge = "berthtest16"
	dir := filepath.Join(scratch, bridge)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close()
	if err := os.WriteFile(at("daemon.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(at("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("systemd-socket-activate", "--listen", at("d.sock"), "--setenv", "NOTIFY_SOCKET="+at("notify"), filepath.Join(*binaries, "berthd"),
		"--config-file", at("daemon.json"), "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", "", "--bridge", bridge, "--bip", "10.213.16.1/24", "--cgroup-parent", "/"+bridge)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if err := remains(dir, bridge).Remove(); err != nil {
			t.Error(err)
		}
	})
	hears := func(want string) {
		t.Helper()
		_ = told.SetReadDeadline(time.Now().Add(patience))
		text := make([]byte, 300)
		n, err := told.Read(text)
		if err != nil || !strings.HasPrefix(string(text[:n]), want) {
			t.Fatalf("systemd is told %q (%v), wanted %q\n%s", text[:n], err, want, daemon.Tail(at("log"), 3000))
		}
	}

	// The program that hands over listens a moment after its start.
	client := daemon.Client(at("d.sock"))
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(at("d.sock")); err == nil || time.Now().After(end) {
			break
		}
	}
	answer, err := client.Get("http://berth/v1.18/_ping")
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%v %v\n%s", answer, err, daemon.Tail(at("log"), 3000))
	}
	answer.Body.Close()
	hears("READY=1\nSTATUS=serves fd://")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hears("RELOADING=1\nMONOTONIC_USEC=")
	hears("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	hears("STOPPING=1")
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ends with %v\n%s", err, daemon.Tail(at("log"), 3000))
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
	// The socket is systemd's, which goes on listening.
	if _, err := os.Stat(at("d.sock")); err != nil {
		t.Errorf("the daemon took systemd's socket away: %v", err)
	}
	if err := daemon.Healthy(at("log")); err != nil {
		t.Error(err)
	}
}
