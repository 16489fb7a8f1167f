package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/host"
)

// path is a path below the root of the host.
func (e *examination) path(name string) string { return filepath.Join("/", e.Root, name) }

func (e *examination) read(name string) string {
	text, _ := os.ReadFile(e.path(name))
	return strings.TrimSpace(string(text))
}

// needed are capabilities without which no container starts.
func needed() []capability.Cap {
	return []capability.Cap{capability.CAP_SYS_ADMIN, capability.CAP_NET_ADMIN, capability.CAP_SYS_CHROOT, capability.CAP_MKNOD, capability.CAP_DAC_OVERRIDE, capability.CAP_SETUID, capability.CAP_SETGID, capability.CAP_CHOWN, capability.CAP_KILL}
}

func (e *examination) privileges() {
	if uid := os.Geteuid(); uid != 0 {
		e.problem("privileges", "this is user "+strconv.Itoa(uid)+", and only root can see and do what the engine needs", "run it as root: sudo berthd doctor")
		return
	}
	has := func(c capability.Cap) bool {
		bound, err := capability.GetBound(c)
		return err == nil && bound
	}
	var missing, fewer []string
	for _, c := range needed() {
		if !has(c) {
			missing = append(missing, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	supported, _ := capability.ListSupported()
	for _, c := range supported {
		if !has(c) {
			fewer = append(fewer, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	switch {
	case len(missing) > 0:
		e.problem("privileges", "root lacks "+strings.Join(missing, ", "), "run berthd outside of this container, or give the container these capabilities")
	case len(fewer) > 0:
		e.warn("privileges", "root lacks "+strings.Join(fewer, ", ")+"; privileged containers and --cap-add get what is there, with a warning",
			"nothing, unless a container needs them: then run berthd where root has them")
	default:
		e.ok("privileges", "root with all capabilities")
	}
}

func (e *examination) kernel() {
	k, err := host.ReadKernel()
	if err != nil {
		e.problem("kernel", err.Error(), "use Linux 5.8 or later")
		return
	}
	var missing []string
	if fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_IN_ROOT}); errors.Is(err, unix.ENOSYS) {
		missing = append(missing, "openat2 (5.6)")
	} else if err == nil {
		_ = unix.Close(fd)
	}
	if fd, err := unix.PidfdOpen(os.Getpid(), 0); errors.Is(err, unix.ENOSYS) {
		missing = append(missing, "pidfd_open (5.3)")
	} else if err == nil {
		_ = unix.Close(fd)
	}
	for _, name := range []string{"mnt", "net", "ipc", "pid", "uts"} {
		if _, err := os.Lstat(e.path("proc/self/ns/" + name)); err != nil {
			missing = append(missing, name+" namespaces")
		}
	}
	if len(missing) > 0 {
		e.problem("kernel", k.Release+" lacks "+strings.Join(missing, ", "), "use a newer kernel, or one with these built in")
	} else {
		e.ok("kernel", "%s on %s", k.Release, k.Machine)
	}
	// The call with nothing to do tells whether it is there (mount_setattr(2)).
	if err := unix.MountSetattr(-1, "", 0, &unix.MountAttr{}); errors.Is(err, unix.ENOSYS) {
		e.warn("mount attributes", "the kernel lacks mount_setattr: no idmapped mounts, and read-only binds are not read-only in what is mounted below them",
			"use Linux 5.12 or later if that matters")
	} else {
		e.ok("mount attributes", "mount_setattr is there (idmapped mounts, recursive read-only)")
	}
	if _, err := os.Lstat(e.path("proc/self/ns/cgroup")); err != nil {
		e.warn("cgroup namespaces", "the kernel has none: containers see the host's control groups", "use a kernel with CONFIG_CGROUPS and namespaces for them (4.6)")
	}
}

func (e *examination) seccomp() {
	actions := e.read("proc/sys/kernel/seccomp/actions_avail")
	if !strings.Contains(actions, "errno") {
		e.problem("seccomp", "the kernel has no seccomp filters, which every container gets by default",
			"use a kernel with CONFIG_SECCOMP_FILTER; until then every container needs --security-opt seccomp=unconfined")
		return
	}
	e.ok("seccomp", "filters with %s", actions)
}

func (e *examination) cgroups() {
	h, err := host.FindHierarchies()
	if err != nil {
		e.problem("control groups", err.Error(), "mount /proc and the control groups")
		return
	}
	if h.V2 == "" && len(h.V1) == 0 {
		e.problem("control groups", "none are mounted", "mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd, which does it")
		return
	}
	k, err := host.ReadKernel()
	if err != nil {
		return // said by kernel
	}
	c := h.Controls(k)
	version := "1"
	if c.Unified {
		version = "2"
	}
	var missing []string
	for _, control := range []struct {
		there bool
		name  string
	}{{c.Memory, "memory"}, {c.Pids, "pids"}, {c.CPUShares && c.CFSQuota, "cpu"}, {c.CPUSet, "cpuset"}, {c.BlockRates, "block devices"}, {c.Swap, "swap"}} {
		if !control.there {
			missing = append(missing, control.name)
		}
	}
	if len(missing) > 0 {
		e.warn("control groups", "version "+version+" without limits of "+strings.Join(missing, ", ")+"; containers that ask for them run without, with a warning",
			"boot with cgroup_enable=memory swapaccount=1 for the first two, or mount the controllers")
	} else {
		e.ok("control groups", "version %s with all limits", version)
	}
	if e.Driver != "systemd" {
		return
	}
	if _, err := os.Stat(e.path("run/systemd/system")); err != nil {
		e.problem("cgroup driver", "systemd is asked for and is not the first process here", "use --exec-opt native.cgroupdriver=cgroupfs")
		return
	}
	e.ok("cgroup driver", "systemd is here")
}

// users looks for user namespaces, if they are wanted.
func (e *examination) users() {
	if !e.Remap {
		return
	}
	if _, err := os.Lstat(e.path("proc/self/ns/user")); err != nil || e.read("proc/sys/user/max_user_namespaces") == "0" {
		e.problem("user namespaces", "--userns-remap needs them and there are none", "use a kernel with CONFIG_USER_NS, and sysctl -w user.max_user_namespaces=15000")
		return
	}
	if k, err := host.ReadKernel(); err == nil && !k.AtLeast(5, 19) {
		e.problem("user namespaces", k.Release+" cannot translate owners in overlay mounts", "use Linux 5.19 or later, or no --userns-remap")
		return
	}
	if kind, _ := host.Filesystem(existing(e.DataRoot)); kind != "extfs" && kind != "xfs" && kind != "btrfs" {
		e.problem("user namespaces", "owners cannot be translated on "+kind, "put --data-root on ext4, xfs or btrfs, or use no --userns-remap")
		return
	}
	e.ok("user namespaces", "are there, and mounts can translate owners")
}

// limits are the kernel's for the whole host.
func (e *examination) limits() {
	var low []string
	for _, limit := range []struct {
		name string
		min  int
	}{{"fs/inotify/max_user_instances", 128}, {"fs/inotify/max_user_watches", 8192}, {"kernel/pid_max", 32768}, {"kernel/keys/root_maxkeys", 1000}, {"user/max_net_namespaces", 100}} {
		n, err := strconv.Atoi(e.read("proc/sys/" + limit.name))
		if err == nil && n < limit.min {
			low = append(low, strings.ReplaceAll(limit.name, "/", ".")+"="+strconv.Itoa(n))
		}
	}
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Max < 4096 {
		low = append(low, "RLIMIT_NOFILE="+strconv.FormatUint(files.Max, 10))
	}
	if len(low) > 0 {
		e.warn("limits", "low for many containers: "+strings.Join(low, ", "), "raise them with sysctl -w (and in /etc/sysctl.d), the last with LimitNOFILE= of the service")
		return
	}
	e.ok("limits", "of inotify, processes, keys and files are high enough")
}
