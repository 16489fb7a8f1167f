package shim

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// watchMemory gives a descriptor that becomes readable when the kernel kills
// for memory in the container's cgroup, and the file that counts the kills:
// memory.events (Documentation/admin-guide/cgroup-v2.rst) or
// memory.oom_control (cgroup-v1/memory.rst, section 10). Both are -1 where the
// kernel has no memory controller: then nothing is known of such kills.
func watchMemory(paths map[string]string) (event, file int) {
	if cgroups.IsCgroup2UnifiedMode() {
		return watchEvents(filepath.Join(paths[""], "memory.events"))
	}
	if dir, ok := paths["memory"]; ok {
		return watchControl(dir)
	}
	return -1, -1
}

func watchEvents(name string) (event, file int) {
	file, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1
	}
	event, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1, file
	}
	if _, err := unix.InotifyAddWatch(event, name, unix.IN_MODIFY); err != nil {
		_ = unix.Close(event)
		return -1, file
	}
	return event, file
}

func watchControl(dir string) (event, file int) {
	file, err := unix.Open(filepath.Join(dir, "memory.oom_control"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1
	}
	event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, file
	}
	control := fmt.Sprintf("%d %d", event, file)
	if err := os.WriteFile(filepath.Join(dir, "cgroup.event_control"), []byte(control), 0); err != nil {
		_ = unix.Close(event)
		return -1, file
	}
	return event, file
}

// procsFile is the file with the pids of all of the container's processes.
func procsFile(paths map[string]string) string {
	controllers := []string{"pids", "devices", "memory", "freezer"}
	if cgroups.IsCgroup2UnifiedMode() {
		controllers = []string{""}
	}
	for _, controller := range controllers {
		if dir, ok := paths[controller]; ok {
			return filepath.Join(dir, "cgroup.procs")
		}
	}
	return ""
}
