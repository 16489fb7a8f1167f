package clienttest

import (
	"bytes"
	"os"
	"os/exec"
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
