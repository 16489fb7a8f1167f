// Package defaults is what Docker Engine gives a container that asks for
// nothing particular, in the terms of the OCI runtime specification:
// capabilities, devices, mounts, masked paths, and the seccomp profile; and the
// privileged variants.
package defaults

import (
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Options choose between the variants.
type Options struct {
	// Privileged lifts what separates the container from the host's kernel.
	Privileged bool
	// Capabilities is the bounding set, as Grant computes it.
	Capabilities []string
	// ShmSize is the size of /dev/shm in bytes; 0 means 64 MiB.
	ShmSize int64
	// Seccomp is the profile; nil means unconfined. See Profiles.
	Seccomp *specs.LinuxSeccomp
}

// Spec gives a fresh specification of a container with pid, mount, ipc and uts
// namespaces. What is particular to the container is missing: the command,
// environment, user, hostname, cgroup, network namespace, limits, own mounts.
// For a privileged container the devices are those of the host at this moment.
func Spec(o Options) (*specs.Spec, error) {
	s := &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			Cwd: "/", Capabilities: CapabilitySets(o.Capabilities),
			OOMScoreAdj: new(int), // not the daemon's
		},
		Mounts: Mounts(o.ShmSize, o.Privileged),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.MountNamespace}, {Type: specs.UTSNamespace},
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace},
			},
			Resources: &specs.LinuxResources{Devices: DeviceRules(o.Privileged)},
			Seccomp:   o.Seccomp,
		},
	}
	if !o.Privileged {
		s.Linux.MaskedPaths = MaskedPaths()
		s.Linux.ReadonlyPaths = ReadonlyPaths()
		return s, nil
	}
	devices, err := HostDevices()
	if err != nil {
		return nil, err
	}
	s.Linux.Devices = devices
	return s, nil
}

// MaskedPaths are hidden from the container: they tell of the host or let it
// be disturbed.
func MaskedPaths() []string {
	return []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware",
	}
}

// ReadonlyPaths cannot be written in the container.
func ReadonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}

// ShmSize is the size of /dev/shm in bytes where nobody asked for another.
const ShmSize = 64 << 20

// Mounts are the file systems of the kernel. In a privileged container /sys
// and the cgroups are writable.
func Mounts(shmSize int64, privileged bool) []specs.Mount {
	if shmSize <= 0 {
		shmSize = ShmSize
	}
	access := "ro"
	if privileged {
		access = "rw"
	}
	strict := []string{"nosuid", "noexec", "nodev"}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: strict},
		{
			Destination: "/dev", Type: "tmpfs", Source: "tmpfs",
			Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"},
		},
		{
			Destination: "/dev/pts", Type: "devpts", Source: "devpts",
			Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
		},
		{
			Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
			Options: append([]string{"mode=1777", "size=" + strconv.FormatInt(shmSize, 10)}, strict...),
		},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: strict},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: append([]string{access}, strict...)},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: append([]string{access}, strict...)},
	}
}
