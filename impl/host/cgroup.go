package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Controls says what the host's control groups can limit.
type Controls struct {
	// Unified says that containers are in the unified hierarchy (cgroup v2) only.
	Unified bool

	Memory, Swap, KernelMemory, OOMKillDisable bool
	Reservation, Swappiness                    bool
	CPUShares, CFSPeriod, CFSQuota, CPUSet     bool
	Pids                                       bool
	// BlockWeight, BlockWeightDevice and BlockRates are of block devices.
	BlockWeight, BlockWeightDevice, BlockRates bool
	// BFQ says that weights are those of the scheduler BFQ (io.bfq.weight), which
	// the unified hierarchy may have beside io.weight.
	BFQ bool
}

// Hierarchies are the mounts of the control groups of a host.
type Hierarchies struct {
	// V1 are the mount points by controller ("memory" → "/sys/fs/cgroup/memory").
	V1 map[string]string
	// V2 is the mount point of the unified hierarchy, empty without one.
	V2 string
	// Own is this process's group in the unified hierarchy ("/system.slice/berthd.service").
	Own string
	// Root is where /proc and /sys are, empty for "/".
	Root string
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
	unified := h.unified()
	c := Controls{Unified: h.V2 != "" && len(h.V1) == 0}
	if dir, ok := h.V1["memory"]; ok {
		c.Memory = exists(dir, "memory.limit_in_bytes")
		c.Swap = exists(dir, "memory.memsw.limit_in_bytes")
		c.OOMKillDisable = exists(dir, "memory.oom_control")
		c.Reservation = exists(dir, "memory.soft_limit_in_bytes")
		c.Swappiness = exists(dir, "memory.swappiness")
		// The file is still there from 5.16 on, but sets no limit.
		c.KernelMemory = exists(dir, "memory.kmem.limit_in_bytes") && !k.AtLeast(5, 16)
	} else if slices.Contains(unified, "memory") {
		c.Memory, c.Reservation = true, true
		c.Swap = h.swapV2()
	}
	if dir, ok := h.V1["cpu"]; ok {
		c.CPUShares = exists(dir, "cpu.shares")
		c.CFSPeriod = exists(dir, "cpu.cfs_period_us")
		c.CFSQuota = exists(dir, "cpu.cfs_quota_us")
	} else if slices.Contains(unified, "cpu") {
		c.CPUShares, c.CFSPeriod, c.CFSQuota = true, true, true
	}
	if dir, ok := h.V1["blkio"]; ok {
		// The root has no weight, but counts what BFQ does.
		c.BFQ = !exists(dir, "blkio.weight") && exists(dir, "blkio.bfq.io_service_bytes")
		c.BlockWeight = c.BFQ || exists(dir, "blkio.weight")
		c.BlockWeightDevice = exists(dir, "blkio.weight_device") || c.BFQ && k.AtLeast(5, 4)
		c.BlockRates = exists(dir, "blkio.throttle.read_bps_device")
	} else if slices.Contains(unified, "io") {
		c.blockV2(h)
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

// swapV2 looks for the swap limit in a group that has limits of memory. As long
// as there is none, the kernel's own switches tell (Documentation/admin-guide/
// kernel-parameters.txt, swapaccount).
func (h Hierarchies) swapV2() bool {
	if dir, ok := h.groupWith("memory.max"); ok {
		return exists(dir, "memory.swap.max")
	}
	line, err := os.ReadFile(filepath.Join(h.proc(), "cmdline"))
	return exists(h.proc(), "swaps") && (err != nil || !slices.Contains(strings.Fields(string(line)), "swapaccount=0"))
}

// blockV2 does the same for the weights: io.weight is the kernel's iocost,
// whose parameters are in the root, io.bfq.weight comes and goes with a module.
func (c *Controls) blockV2(h Hierarchies) {
	if dir, ok := h.groupWith("io.stat"); ok {
		c.BFQ = exists(dir, "io.bfq.weight")
		c.BlockWeight = c.BFQ || exists(dir, "io.weight")
		c.BlockRates = exists(dir, "io.max")
	} else {
		c.BFQ = exists(h.sys(), "module/bfq")
		c.BlockWeight = c.BFQ || exists(h.V2, "io.cost.qos")
		c.BlockRates = true
	}
	c.BlockWeightDevice = c.BlockWeight
}

// WeighsDevice says whether the weight of a block device, by its number, means
// anything: with BFQ its scheduler must be that, without it the unified hierarchy's
// iocost must be on for it (cgroup-v2.rst, io.cost.qos). The kernel refuses the
// weights of others.
func (h Hierarchies) WeighsDevice(c Controls, major, minor int64) bool {
	number := fmt.Sprintf("%d:%d", major, minor)
	switch {
	case !c.BlockWeightDevice:
		return false
	case c.BFQ:
		return slices.Contains(strings.Fields(h.scheduler(number)), "[bfq]")
	case !c.Unified:
		return true
	}
	costs, err := os.ReadFile(filepath.Join(h.V2, "io.cost.qos"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(costs)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == number {
			return slices.Contains(f, "enable=1")
		}
	}
	return false
}

// scheduler reads the schedulers of a device, or of the one that a partition is
// on, the chosen one in brackets (Documentation/block/switching-sched.rst).
func (h Hierarchies) scheduler(number string) string {
	dir, err := filepath.EvalSymlinks(filepath.Join(h.sys(), "dev/block", number))
	if err != nil {
		return ""
	}
	data, err := os.ReadFile(filepath.Join(dir, "queue/scheduler"))
	if err != nil {
		data, _ = os.ReadFile(filepath.Join(filepath.Dir(dir), "queue/scheduler"))
	}
	return string(data)
}

// groupWith finds a group that is not the hierarchy's root, which has no limits,
// with a file that a controller gives every group where it is on: the own group
// or one right below the root. Deeper ones need not be looked at, because a
// controller is on only where it is on in the parent, too.
func (h Hierarchies) groupWith(file string) (dir string, found bool) {
	own := filepath.Join(h.V2, h.Own)
	if exists(own, "cgroup.type") && exists(own, file) { // the root has no type
		return own, true
	}
	below, err := filepath.Glob(filepath.Join(h.V2, "*", file))
	if err != nil || len(below) == 0 {
		return "", false
	}
	return filepath.Dir(below[0]), true
}

// proc and sys are where the kernel tells of itself.
func (h Hierarchies) proc() string { return filepath.Join("/", h.Root, "proc") }
func (h Hierarchies) sys() string  { return filepath.Join("/", h.Root, "sys") }

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}
