package runtime_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestPause(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "while :; do echo x; sleep 0.01; done")
	task := w.start(spec)
	must(t, task.Pause(testContext(t)))
	if paused, err := task.Paused(testContext(t)); err != nil || !paused {
		t.Errorf("paused = %v, %v", paused, err)
	}
	size := func() int64 {
		st, err := os.Stat(spec.Log.Path)
		must(t, err)
		return st.Size()
	}
	eventually(t, "silence", func() bool {
		before := size()
		for range 20 {
			if _, err := task.Paused(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		return size() == before
	})
	before := size()
	must(t, task.Resume(testContext(t)))
	eventually(t, "output again", func() bool { return size() > before })
}

func TestKillPaused(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	must(t, task.Pause(testContext(t)))
	must(t, task.Signal(testContext(t), 9))
	if exit := wait(t, task); exit.Code != 137 {
		t.Errorf("exit = %+v", exit)
	}
}

func TestOOM(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo survived")
	limit := int64(16 << 20)
	spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit, Swap: &limit}
	task := w.start(spec)
	exit := wait(t, task)
	if !exit.OOMKilled || exit.Code == 0 {
		t.Errorf("exit = %+v", exit)
	}
	select {
	case <-task.OOM():
	default:
		t.Error("no notice")
	}
	// It is known after a restart, too.
	again, err := newRuntime(t, w.root).Load(testContext(t), task.ID())
	must(t, err)
	if exit, over := again.Exit(); !over || !exit.OOMKilled {
		t.Errorf("loaded: %+v, %v", exit, over)
	}
}

func TestUpdateAndStats(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sleep", "1000")
	limit := int64(64 << 20)
	spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	task := w.start(spec)
	s, err := task.Stats(testContext(t))
	must(t, err)
	if got := s.Cgroup.MemoryStats.Usage.Limit; got != uint64(limit) {
		t.Errorf("limit = %d", got)
	}
	if s.Cgroup.PidsStats.Current != 1 || s.Read.IsZero() {
		t.Errorf("stats = %+v", s)
	}
	limit = 128 << 20
	shares, pids := uint64(512), int64(50)
	must(t, task.Update(testContext(t), &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &limit}, CPU: &specs.LinuxCPU{Shares: &shares},
		Pids: &specs.LinuxPids{Limit: &pids},
	}))
	s, err = task.Stats(testContext(t))
	must(t, err)
	if got := s.Cgroup.MemoryStats.Usage.Limit; got != uint64(limit) {
		t.Errorf("limit = %d", got)
	}
	if s.Cgroup.PidsStats.Limit != 50 {
		t.Errorf("pids limit = %d", s.Cgroup.PidsStats.Limit)
	}
	bad := "100-200"
	if err := task.Update(testContext(t), &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: bad}}); err == nil {
		t.Error("an impossible cpuset was taken")
	}
	// The failed update is undone and the handle has the good one.
	again, err := newRuntime(t, w.root).Load(testContext(t), task.ID())
	must(t, err)
	limit = 96 << 20
	must(t, again.Update(testContext(t), &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}))
	s, err = again.Stats(testContext(t))
	must(t, err)
	if s.Cgroup.PidsStats.Limit != 50 || s.Cgroup.MemoryStats.Usage.Limit != uint64(limit) {
		t.Errorf("stats = %+v", s.Cgroup)
	}
}

func TestParallelStarts(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	var group sync.WaitGroup
	for range 20 {
		spec := w.spec("sh", "-c", "echo $HOSTNAME; exit 11")
		group.Go(func() {
			task, err := w.rt.Start(testContext(t), spec)
			if err != nil {
				t.Error(err)
				return
			}
			exit, err := task.Wait(testContext(t))
			if err != nil || exit.Code != 11 {
				t.Errorf("exit = %+v, %v", exit, err)
			}
			if err := task.Delete(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	before.compare(t, census(t))
}

// Without a pid namespace of its own, all processes end with the first.
func TestHostPids(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	spec := w.spec("sh", "-c", "sleep 1000 & sleep 1000 & echo $!; exit 8")
	namespaces := spec.OCI.Linux.Namespaces[:0]
	for _, ns := range spec.OCI.Linux.Namespaces {
		if ns.Type != specs.PIDNamespace {
			namespaces = append(namespaces, ns)
		}
	}
	spec.OCI.Linux.Namespaces = namespaces
	task, err := w.rt.Start(testContext(t), spec)
	must(t, err)
	if exit := wait(t, task); exit.Code != 8 {
		t.Errorf("exit = %+v", exit)
	}
	must(t, task.Delete(testContext(t)))
	before.compare(t, census(t))
	left, err := filepath.Glob("/proc/[0-9]*/cgroup")
	must(t, err)
	for _, name := range left {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), task.ID()) {
			t.Errorf("%s: still there", name)
		}
	}
}

// What a privileged and an ordinary container may do, seen from inside.
func TestDefaultsInside(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "grep -E 'CapBnd|CapInh|Seccomp:' /proc/self/status; cat /proc/keys | wc -c; touch /proc/sys/x 2>&1; touch /sys/x 2>&1; ls /dev; df -k /dev/shm | tail -1")
	wait(t, w.start(spec))
	got := output(readLog(t, spec.Log.Path), "stdout")
	for _, want := range []string{
		"CapInh:\t0000000000000000", "CapBnd:\t00000000a80425fb", "Seccomp:\t2", "\n0\n", "Read-only file system",
		"65536", "null\n", "pts\n", "shm\n", "urandom\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// The container's first process has nothing of the host's: no descriptor, no
// environment, no directory, no protection from the kernel's memory killer.
func TestNothingInherited(t *testing.T) {
	must(t, os.Setenv("SECRET_OF_THE_DAEMON", "x"))
	defer os.Unsetenv("SECRET_OF_THE_DAEMON")
	w := newWorld(t)
	list := w.spec("ls", "/proc/self/fd")
	wait(t, w.start(list))
	if fds := output(readLog(t, list.Log.Path), "stdout"); fds != "0\n1\n2\n3\n" { // 3 is the directory
		t.Errorf("descriptors %q", fds)
	}
	spec := w.spec("sh", "-c", "tr '\\0' ' ' < /proc/1/environ; echo; readlink /proc/1/cwd; cat /proc/1/oom_score_adj")
	wait(t, w.start(spec))
	lines := strings.Split(output(readLog(t, spec.Log.Path), "stdout"), "\n")
	if lines[0] != "PATH=/bin HOME=/root " {
		t.Errorf("environment %q", lines[0])
	}
	if lines[1] != "/" || lines[2] != "0" {
		t.Errorf("directory %q, score %q", lines[1], lines[2])
	}
}

// What the container sees of its cgroups: its own, and nothing to write to.
func TestCgroupView(t *testing.T) {
	w := newWorld(t)
	limit := int64(77 << 20)
	spec := w.spec("sh", "-c", "cd /sys/fs/cgroup; ls; cat */memory.limit_in_bytes memory.max 2>/dev/null; cat */cgroup.procs cgroup.procs 2>/dev/null | sort -u; mkdir pids/x x 2>&1; grep /sys/fs/cgroup /proc/self/mountinfo | cut -d' ' -f5-6")
	spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	wait(t, w.start(spec))
	got := output(readLog(t, spec.Log.Path), "stdout")
	t.Log(got)
	if !strings.Contains(got, "\n80740352\n") {
		t.Error("the limit is not there")
	}
	if n := strings.Count(got, "Read-only file system"); n != 2 {
		t.Errorf("%d directories could not be made", n)
	}
	for line := range strings.Lines(got) {
		if path, options, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(path, "/sys/fs/cgroup") &&
			!strings.Contains(options, ":") && !strings.HasPrefix(options, "ro,nosuid,nodev,noexec") {
			t.Errorf("mount %s", line)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(w.root, spec.ID, "cgroup")); err == nil && len(entries) > 0 {
		t.Errorf("visible on the host: %v", entries)
	}
}

// Processes that fork all the time and hardly get any of the processors' time are
// frozen, too.
func TestPauseOfForks(t *testing.T) {
	w := newWorld(t)
	busy := w.start(w.spec("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait"))
	defer func() { _ = busy.KillAll(testContext(t), 9) }()
	spec, least := w.spec("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do while :; do /bin/true; done & done; wait"), uint64(2)
	spec.OCI.Linux.Resources.CPU = &specs.LinuxCPU{Shares: &least}
	task := w.start(spec)
	for i := range 10 {
		if err := task.Pause(testContext(t)); err != nil {
			t.Fatalf("pause %d: %v", i, err)
		}
		if paused, err := task.Paused(testContext(t)); err != nil || !paused {
			t.Fatalf("pause %d: %v, %v", i, paused, err)
		}
		must(t, task.Resume(testContext(t)))
	}
	// One that nobody waits for any more is not frozen later.
	gone, leave := context.WithCancel(testContext(t))
	leave()
	for range 3 {
		err := task.Pause(gone)
		paused, perr := task.Paused(testContext(t))
		if perr != nil || paused != (err == nil) {
			t.Errorf("paused %v after %v: %v", paused, err, perr)
		}
		must(t, task.Resume(testContext(t)))
	}
}
