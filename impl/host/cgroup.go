package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Controls says what the host's control groups can limit.
type Controls struct {
	Memory, Swap, KernelMemory, OOMKillDisable bool
	CPUShares, CFSPeriod, CFSQuota, CPUSet     bool
	Pids                                       bool
}

// Hierarchies are the mounts of the control groups of a host.
type Hierarchies struct {
	// V1 are the mount points by controller ("memory" → "/sys/fs/cgroup/memory").
	V1 map[string]string
	// V2 is the mount point of the unified hierarchy, empty without one.
	V2 string
	// Own is this process's group in the unified hierarchy ("/system.slice/berthd.service").
	Own string
}

// FindHierarchies looks the mounts up in /proc/self.
func FindHierarchies() (Hierarchies, error) {
	h := Hierarchies{V1: map[string]string{}}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return h, err
	}
	for _, m := range mounts {
		if m.FSType == "cgroup2" {
			if h.V2 == "" {
				h.V2 = m.Mountpoint
			}
			continue
		}
		// The controllers are among the options of the file system itself.
		for option := range strings.SplitSeq(m.VFSOptions, ",") {
			if _, ok := h.V1[option]; !ok {
				h.V1[option] = m.Mountpoint
			}
		}
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return h, err
	}
	for line := range strings.Lines(string(own)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			h.Own = strings.TrimSpace(path)
		}
	}
	return h, nil
}

// Controls reads which files the kernel offers (Documentation/admin-guide/
// cgroup-v1/ and cgroup-v2.rst). A controller belongs to one hierarchy: the old
// one if it is mounted there, else the unified one.
func (h Hierarchies) Controls(k Kernel) Controls {
	var c Controls
	unified := h.unified()
	if dir, ok := h.V1["memory"]; ok {
		c.Memory = exists(dir, "memory.limit_in_bytes")
		c.Swap = exists(dir, "memory.memsw.limit_in_bytes")
		c.OOMKillDisable = exists(dir, "memory.oom_control")
		// The file is still there from 5.16 on, but sets no limit.
		c.KernelMemory = exists(dir, "memory.kmem.limit_in_bytes") && !k.AtLeast(5, 16)
	} else if slices.Contains(unified, "memory") {
		c.Memory = true
		c.Swap = h.swapV2()
	}
	if dir, ok := h.V1["cpu"]; ok {
		c.CPUShares = exists(dir, "cpu.shares")
		c.CFSPeriod = exists(dir, "cpu.cfs_period_us")
		c.CFSQuota = exists(dir, "cpu.cfs_quota_us")
	} else if slices.Contains(unified, "cpu") {
		c.CPUShares, c.CFSPeriod, c.CFSQuota = true, true, true
	}
	_, old := h.V1["cpuset"]
	c.CPUSet = old || slices.Contains(unified, "cpuset")
	_, old = h.V1["pids"]
	c.Pids = old || slices.Contains(unified, "pids")
	return c
}

// unified lists the controllers of the unified hierarchy.
func (h Hierarchies) unified() []string {
	if h.V2 == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(h.V2, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// swapV2 looks for the swap limit in this process's own group or, as the root
// has no limits, in a group below it.
func (h Hierarchies) swapV2() bool {
	if h.Own != "" && h.Own != "/" && exists(filepath.Join(h.V2, h.Own), "memory.swap.max") {
		return true
	}
	below, err := filepath.Glob(filepath.Join(h.V2, "*", "memory.swap.max"))
	return err == nil && len(below) > 0
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
