package thread

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// threads is how many threads this process has.
func threads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestReserve makes threads, which stay.
func TestReserve(t *testing.T) {
	if made := Reserve(40); made != 40 {
		t.Fatalf("%d threads", made)
	}
	if n := threads(t); n < 40 {
		t.Errorf("%d threads", n)
	}
}

// TestSlackenMonitor changes the slack of one thread, which is not the first one and
// sleeps all the time.
func TestSlackenMonitor(t *testing.T) {
	if err := SlackenMonitor(123 * time.Microsecond); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if text, _ := os.ReadFile("/proc/" + e.Name() + "/timerslack_ns"); string(text) == "123000\n" {
			found = append(found, e.Name())
		}
	}
	if len(found) != 1 || found[0] == strconv.Itoa(os.Getpid()) {
		t.Fatalf("threads %v", found)
	}
	// The runtime's monitor has nothing to wait for but time (hrtimer_nanosleep)
	// while others work, and its note when none does.
	sleeps := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if text, _ := os.ReadFile("/proc/self/task/" + found[0] + "/wchan"); strings.Contains(string(text), "nanosleep") {
			sleeps++
		}
	}
	if sleeps == 0 {
		t.Error("the thread never sleeps for a time")
	}
}

// TestRoom moves the process into a group with a limit, and into one below it.
func TestRoom(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("control groups are made by root")
	}
	home, root, err := group()
	if err != nil {
		t.Fatal(err)
	}
	outer := filepath.Join(root, "berth-thread-test")
	inner := filepath.Join(outer, "inner")
	pid := []byte(strconv.Itoa(os.Getpid()))
	write := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		write(filepath.Join(home, "cgroup.procs"), pid)
		_ = os.Remove(inner)
		if err := os.Remove(outer); err != nil {
			t.Error(err)
		}
	})
	write(filepath.Join(inner, "cgroup.procs"), pid)
	present := threads(t)
	write(filepath.Join(outer, "pids.max"), []byte(strconv.Itoa(present+10)))
	if n, limit, err := room(); err != nil || n < 5 || n > 10 || limit != filepath.Join(outer, "pids.max") {
		t.Errorf("%d %s %v", n, limit, err)
	}
	if err := Spare(4); err != nil {
		t.Error(err)
	}
	if made := Reserve(100); made > 5 {
		t.Errorf("%d threads where there was room for 10", made)
	}
	write(filepath.Join(outer, "pids.max"), []byte("1"))
	if err := Spare(4); err == nil || !strings.Contains(err.Error(), outer) {
		t.Error(err)
	}
	write(filepath.Join(outer, "pids.max"), []byte("max"))
	if err := Spare(4); err != nil {
		t.Error(err)
	}
}
