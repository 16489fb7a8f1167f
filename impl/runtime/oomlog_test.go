package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestOOMWithoutCgroup: systemd removes an empty control group, maybe before the monitor
// has read how many processes the kernel killed there.
func TestOOMWithoutCgroup(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, then string
		killed     bool
	}{
		{"its own", "exec tail /dev/zero", true},
		{"another process", "tail /dev/zero; kill -KILL $$", true},
		{"no kill for memory", "kill -KILL $$", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The first process of a pid namespace cannot kill itself (pid_namespaces(7)).
			spec := w.spec("sh", "-c", "sh -c 'until [ -e /go ]; do sleep 0.02; done; "+c.then+"'; exit 137")
			limit := int64(16 << 20)
			spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit, Swap: &limit}
			task := w.start(spec)
			group := memoryGroup(t, task.Pid())
			must(t, syscall.Kill(task.MonitorPid(), syscall.SIGSTOP))
			_, err := inside(task, "go", func(path string) (any, error) { return nil, os.WriteFile(path, nil, 0o600) })
			must(t, err)
			eventually(t, "the control group is gone", func() bool { return syscall.Rmdir(group) == nil })
			must(t, syscall.Kill(task.MonitorPid(), syscall.SIGCONT))
			if exit := wait(t, task); exit.Code != 137 || exit.OOMKilled != c.killed {
				t.Errorf("exit = %+v", exit)
			}
			select {
			case <-task.OOM():
				if !c.killed {
					t.Error("a notice")
				}
			default:
				if c.killed {
					t.Error("no notice")
				}
			}
			again, err := newRuntime(t, w.root).Load(testContext(t), task.ID())
			must(t, err)
			if exit, over := again.Exit(); !over || exit.OOMKilled != c.killed {
				t.Errorf("loaded: %+v, %v", exit, over)
			}
		})
	}
}

// memoryGroup is the directory of a process's group that counts memory (cgroups(7)).
func memoryGroup(tb testing.TB, pid int) string {
	tb.Helper()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	must(tb, err)
	unified := ""
	for line := range strings.Lines(string(groups)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch part[1] {
		case "memory":
			return filepath.Join("/sys/fs/cgroup/memory", part[2])
		case "":
			unified = filepath.Join("/sys/fs/cgroup", part[2])
		}
	}
	return unified
}
