package runtime

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// cgroupOf says in the cgroup library's terms what Linux.CgroupsPath means for
// the driver: a path, or "slice:prefix:name" (OCI runtime specification,
// "Cgroups Path").
func cgroupOf(cgroupsPath string, systemd bool) (*cgroups.Cgroup, error) {
	c := &cgroups.Cgroup{Systemd: systemd, Resources: &cgroups.Resources{}}
	if !systemd {
		c.Path = path.Clean("/" + cgroupsPath)
		if c.Path == "/" {
			return nil, fault.Invalid("a container needs a cgroup of its own")
		}
		return c, nil
	}
	parts := strings.Split(cgroupsPath, ":")
	if len(parts) != 3 || parts[2] == "" {
		return nil, fault.Invalid("cgroup %q does not have the form slice:prefix:name", cgroupsPath)
	}
	c.Parent, c.ScopePrefix, c.Name = parts[0], parts[1], parts[2]
	return c, nil
}

// managerOf makes a manager for one operation: they keep state that does not
// fit a second one. It gets copies, because Destroy empties the map of paths
// and Freeze writes into the resources while another operation may read them.
func managerOf(h *protocol.Handle) (cgroups.Manager, error) {
	if h.Cgroup == nil {
		return nil, errors.New("the handle has no cgroup")
	}
	c := *h.Cgroup
	resources := cgroups.Resources{}
	if c.Resources != nil {
		resources = *c.Resources
	}
	c.Resources = &resources
	m, err := manager.NewWithPaths(&c, maps.Clone(h.CgroupPaths))
	if err != nil {
		return nil, fmt.Errorf("open the cgroup: %w", err)
	}
	return m, nil
}

// killCgroup kills all processes of a cgroup and waits, for a bounded time,
// until they are gone.
func killCgroup(m cgroups.Manager) {
	_ = m.Freeze(cgroups.Thawed)
	for pause := time.Millisecond; pause < time.Second; pause *= 2 {
		pids, err := m.GetAllPids()
		if err != nil || len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(pause)
	}
}

func signalCgroup(m cgroups.Manager, sig syscall.Signal) error {
	pids, err := m.GetAllPids()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list the processes: %w", err)
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("signal process %d: %w", pid, err)
		}
	}
	return nil
}
