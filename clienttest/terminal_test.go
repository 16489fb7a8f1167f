package clienttest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/containerd/console"
)

// terminal is a pseudo terminal with the docker command at its other end.
type terminal struct {
	t      *testing.T
	master console.Console
	cmd    *exec.Cmd

	mu   sync.Mutex
	seen bytes.Buffer
}

// terminal starts the docker command in a terminal of 30 rows and 100 columns.
func (d *docker) terminal(args ...string) *terminal {
	d.t.Helper()
	master, path, err := console.NewPty()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { master.Close() })
	if err := master.Resize(console.WinSize{Height: 30, Width: 100}); err != nil {
		d.t.Fatal(err)
	}
	slave, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	defer slave.Close()
	t := &terminal{t: d.t, master: master}
	t.cmd = d.start(func(cmd *exec.Cmd) {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}, args...)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			t.mu.Lock()
			t.seen.Write(buffer[:n])
			t.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return t
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String()
}

// sends types text.
func (t *terminal) sends(text string) {
	t.t.Helper()
	if _, err := t.master.Write([]byte(text)); err != nil {
		t.t.Fatal(err)
	}
}

// shows waits until the text has appeared.
func (t *terminal) shows(text string) {
	t.t.Helper()
	eventually(t.t, "the terminal shows "+text+"; it shows: "+t.text(), func() bool { return strings.Contains(t.text(), text) })
}

// ends waits for the end of the command and checks its exit code.
func (t *terminal) ends(code int) {
	t.t.Helper()
	_ = t.cmd.Wait()
	if got := t.cmd.ProcessState.ExitCode(); got != code {
		t.t.Errorf("exit code %d, want %d; the terminal shows: %s", got, code, t.text())
	}
}

func TestRunTerminal(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		shell := d.terminal("run", "--rm", "-it", "--name", d.name("c"), "busybox", "sh")
		shell.sends("tty; echo is-$((40+2))\r")
		shell.shows("is-42")
		shell.shows("/dev/")
		// The client tells its size when the container runs.
		eventually(t, "the terminal has the client's size", func() bool {
			shell.sends("stty size\r")
			return strings.Contains(shell.text(), "30 100")
		})
		eventually(t, "the terminal follows the client's size", func() bool {
			// Twice, because the client may not have been listening the first time.
			for _, height := range []uint16{43, 44} {
				if err := shell.master.Resize(console.WinSize{Height: height, Width: 123}); err != nil {
					t.Fatal(err)
				}
			}
			shell.sends("stty size\r")
			return strings.Contains(shell.text(), "44 123")
		})
		shell.sends("exit 3\r")
		shell.ends(3)
	})
}

// The detach keys leave the container running; attach comes back to it.
func TestDetachAndAttachTerminal(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		shell := d.terminal("run", "-it", "--name", name, "busybox", "sh")
		shell.sends("echo first-$((1+1))\r")
		shell.shows("first-2")
		shell.sends("\x10\x11")
		shell.ends(0)
		d.equal("after the detach keys", d.inspect(name, "{{.State.Running}}"), "true")
		again := d.terminal("attach", name)
		again.sends("echo second-$((1+1))\r")
		again.shows("second-2")
		again.sends("exit 5\r")
		again.ends(5)
	})
}

func TestExecTerminal(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "busybox", "sleep", "1000")
		shell := d.terminal("exec", "-it", name, "sh")
		shell.sends("tty; echo is-$((40+2))\r")
		shell.shows("is-42")
		shell.shows("/dev/")
		eventually(t, "the exec has the client's size", func() bool {
			shell.sends("stty size\r")
			return strings.Contains(shell.text(), "30 100")
		})
		shell.sends("exit 6\r")
		shell.ends(6)
	})
}

// interrupts types ctrl-c and waits for the end of the command.
func (t *terminal) interrupts() {
	t.t.Helper()
	t.sends("\x03")
	_ = t.cmd.Wait()
}

// The commands that follow what happens, in a terminal.
func TestFollowTerminal(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		events := d.terminal("events", "--format", "event {{.Status}}", "--filter", "container="+name, "--since", "1m")
		d.run("run", "-d", "-i", "-m", "64m", "--name", name, "busybox", "sh", "-c", "echo before; read line; seq 100; exit 1")
		events.shows("event start")
		logs := d.terminal("logs", "-f", name)
		logs.shows("before")
		stats := d.terminal("stats", name)
		stats.shows("/ 64MiB")
		stats.interrupts()
		d.try("go\n", "attach", name)
		logs.shows("100")
		logs.ends(0)
		events.shows("event die")
		d.run("rm", name)
		events.shows("event destroy")
		events.interrupts()
	})
}

// Files both ways, and new limits, by commands in a terminal.
func TestChangeTerminal(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "-m", "64m", "--memory-swap", "128m", "--name", name, "busybox", "sleep", "1000")
		if d.since("1.20") { // the archive came with 1.20
			given, taken := file(t, "given", "content\n"), t.TempDir()
			d.terminal("cp", given, name+":/tmp").ends(0)
			d.terminal("cp", name+":/tmp/given", taken).ends(0)
			got, err := os.ReadFile(filepath.Join(taken, "given"))
			if err != nil || string(got) != "content\n" {
				t.Errorf("there and back: %q, %v", got, err)
			}
			d.terminal("cp", name+":/no/such", taken).ends(1)
		}
		if d.since("1.22") { // and update with 1.22
			update := d.terminal("update", "-m", "32m", name)
			update.shows(name)
			update.ends(0)
			d.equal("limit", d.inspect(name, "{{.HostConfig.Memory}}"), "33554432")
		}
	})
}
