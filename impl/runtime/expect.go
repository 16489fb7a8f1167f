package runtime

import (
	"os"
	"path/filepath"

	"github.com/opencontainers/cgroups"
)

// Expect says that a container or an exec will be started in a moment. It does
// not wait, and nothing happens if none comes.
//
// The kernel lets a process change its cgroup only after an RCU grace period,
// 5 to 12 ms during which the start of a container would stand still. For about
// 10 ms afterwards it lets everybody do so at once
// (kernel/cgroup/cgroup.c, cgroup_threadgroup_rwsem; kernel/rcu/sync.c). So the
// daemon moves itself to where it is already, and the wait passes while the
// network and the shim are got ready. Meanwhile nobody makes a cgroup either. Start
// and Exec do this, too; an engine that has to prepare something first calls it
// before, best when a client defines what it is going to start.
func (r *Runtime) Expect() {
	if !r.expecting.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer r.expecting.Store(false)
		if name := ownProcs(); name != "" {
			// Failing is harmless: the start takes the time that it takes.
			_ = os.WriteFile(name, []byte("0"), 0)
		}
	}()
}

// ownProcs is the file that this process's cgroup has for it, in a hierarchy
// where moving costs nothing; empty if it cannot be reached. It is looked up
// each time, because writing to a former one would really move the process.
func ownProcs() string {
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	const root = "/sys/fs/cgroup"
	if cgroups.IsCgroup2UnifiedMode() {
		return filepath.Join(root, own[""], "cgroup.procs")
	}
	for _, c := range []struct{ name, dir string }{{"name=systemd", "systemd"}, {"pids", "pids"}, {"cpu", "cpu"}} {
		path, ok := own[c.name]
		if !ok {
			continue
		}
		procs := filepath.Join(root, c.dir, path, "cgroup.procs")
		if _, err := os.Stat(procs); err == nil {
			return procs
		}
	}
	return ""
}
