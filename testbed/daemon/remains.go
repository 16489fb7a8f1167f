package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// Remains are what an engine leaves when it ends, so that its containers and
// the next engine find it again, or because it was killed. Nothing of it is
// shared with other engines if the directory, the bridge and the cgroup were
// its own.
type Remains struct {
	// Dir holds its roots. It must be absolute.
	Dir string
	// Bridge is the device of its default network, and the name of its nftables
	// table; empty if it had a network namespace of its own.
	Bridge string
	// Cgroup is the parent of its containers' cgroups, e.g. "/berth-run"; empty
	// if the containers are known to be gone.
	Cgroup string
}

// Remove ends what still runs and removes everything. It goes on after an
// error and returns all of them.
func (r Remains) Remove() error {
	dir, err := r.root()
	if err != nil {
		return err
	}
	return errors.Join(r.PowerOff(), os.RemoveAll(dir))
}

// PowerOff ends what runs, as the end of the machine would: processes, mounts and
// devices are gone, the files are as they were.
func (r Remains) PowerOff() error {
	dir, err := r.root()
	if err != nil {
		return err
	}
	return errors.Join(r.endCgroups(), endProcesses(dir), unmount(dir), r.forgetNetwork())
}

// root refuses to work where no engine is.
func (r Remains) root() (string, error) {
	dir := filepath.Clean(r.Dir)
	if !filepath.IsAbs(dir) || dir == "/" {
		return "", fmt.Errorf("remove the remains in %q: not a directory of an engine", r.Dir)
	}
	return dir, nil
}

// endCgroups kills what runs in the cgroup and removes it, in every hierarchy.
func (r Remains) endCgroups() error {
	if r.Cgroup == "" {
		return nil
	}
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + filepath.Clean(r.Cgroup))
	if err != nil {
		return err
	}
	var dirs []string
	for _, root := range append(roots, "/sys/fs/cgroup"+filepath.Clean(r.Cgroup)) {
		var below []string
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				below = append(below, path)
			}
			return nil // gone meanwhile
		})
		slices.Reverse(below) // children first
		dirs = append(dirs, below...)
	}
	// A frozen process does not die (cgroup v1 freezer, one hierarchy of many; v2's
	// cgroup.freeze).
	for _, d := range dirs {
		_ = os.WriteFile(filepath.Join(d, "freezer.state"), []byte("THAWED"), 0)
		_ = os.WriteFile(filepath.Join(d, "cgroup.freeze"), []byte("0"), 0)
	}
	var all []error
	for _, d := range dirs {
		if err := endCgroup(d); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

func endCgroup(dir string) error {
	var err error
	for range 200 { // a killed process needs a moment to leave its cgroup
		procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, pid := range strings.Fields(string(procs)) {
			if n, err := strconv.Atoi(pid); err == nil && n > 1 {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
		if err = syscall.Rmdir(dir); err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("remove cgroup %s: %w", dir, err)
}

// endProcesses kills the processes that have a file below dir open or were
// told of it: the shims of an engine that was killed.
func endProcesses(dir string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || pid == os.Getppid() {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || !strings.HasPrefix(filepath.Base(string(command)), "berth-shim\x00") {
			continue
		}
		if strings.Contains(string(command), dir+"/") || holds(pid, dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return nil
}

func holds(pid int, dir string) bool {
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, _ := os.ReadDir(fds)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil && strings.HasPrefix(target, dir+"/") {
			return true
		}
	}
	return false
}

// unmount detaches every mount below dir, the innermost first.
func unmount(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var all []error
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for _, line := range slices.Backward(lines) {
		fields := strings.Fields(line) // proc(5): the fifth is the mount point
		if len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			if err := syscall.Unmount(fields[4], syscall.MNT_DETACH); err != nil {
				all = append(all, fmt.Errorf("unmount %s: %w", fields[4], err))
			}
		}
	}
	return errors.Join(all...)
}

func (r Remains) forgetNetwork() error {
	if r.Bridge == "" {
		return nil
	}
	var all []error
	if link, err := netlink.LinkByName(r.Bridge); err == nil {
		if err := netlink.LinkDel(link); err != nil {
			all = append(all, fmt.Errorf("remove bridge %s: %w", r.Bridge, err))
		}
	}
	conn, err := nftables.New()
	if err != nil {
		return errors.Join(append(all, err)...)
	}
	tables, err := conn.ListTables()
	if err != nil {
		return errors.Join(append(all, fmt.Errorf("list nftables tables: %w", err))...)
	}
	for _, t := range tables {
		if t.Name == r.Bridge {
			conn.DelTable(t)
		}
	}
	if err := conn.Flush(); err != nil {
		all = append(all, fmt.Errorf("remove nftables table %s: %w", r.Bridge, err))
	}
	return errors.Join(all...)
}
