package endurance

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// shimOf is the process that holds a container: the parent of its first one.
func shimOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no parent")
	return 0
}

// kill -9 of one shim ends its container alone: that one is shown with a reason,
// can be started again, and the others go on. It makes no difference whether the
// daemon is there when it happens.
func TestShimKilled(t *testing.T) {
	e := start(t, options{})
	before := e.steady()
	victim, other := e.sleeper("victim", nil), e.sleeper("other", nil)
	untouched := e.inspect(other)
	for _, daemonThere := range []bool{true, false} {
		pid := e.inspect(victim).State.Pid
		if !daemonThere {
			e.Kill()
		}
		signal(t, shimOf(t, pid), syscall.SIGKILL)
		if !daemonThere {
			e.comesUp()
		}
		eventually(t, "the container is shown as ended", func() bool { return !e.inspect(victim).State.Running })
		s := e.inspect(victim).State
		if s.Status != "exited" && s.Status != "dead" || s.Error == "" || s.ExitCode == 0 || s.Pid != 0 || s.FinishedAt.IsZero() {
			t.Errorf("the daemon there: %v; shown as %+v", daemonThere, s)
		}
		t.Logf("reason: %q, exit code %d", s.Error, s.ExitCode)
		if err := syscall.Kill(pid, 0); err == nil {
			eventually(t, "the container's process is gone with its shim", func() bool { return syscall.Kill(pid, 0) != nil })
		}
		if now := e.inspect(other); now.State != untouched.State {
			t.Errorf("the other container: %+v, was %+v", now.State, untouched.State)
		}
		if o := e.run(other, "echo", "fine"); o.stdout != "fine\n" {
			t.Errorf("exec in the other: %+v", o)
		}
		e.begin(victim)
		if o := e.run(victim, "echo", "fine"); o.stdout != "fine\n" {
			t.Errorf("exec in the container after a new start: %+v", o)
		}
	}
	e.remove(victim)
	e.remove(other)
	e.warm() // the daemon is a new one
	e.settles(before)
}
