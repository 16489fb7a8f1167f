package engine

import (
	"fmt"
	"strings"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/host"
)

type deviceMapping = models.DeviceMapping

// controls reads what the host's control groups can limit now. The mounts are
// those of the engine's start.
func (e *Engine) controls() controls {
	can := e.hierarchies.Controls(e.kernel)
	return controls{can, func(major, minor int64) bool { return e.hierarchies.WeighsDevice(can, major, minor) }}
}

// controls are what the host can limit; weighs says whether a block device has
// weights.
type controls struct {
	host.Controls
	weighs func(major, minor int64) bool
}

// lacking tells which of the wished limits this host's control groups do not
// have, in Docker Engine's words. The host configuration keeps them; the
// container runs without.
func lacking(h *models.HostConfig, can controls) (warnings []string) {
	for _, w := range []struct {
		wished, can bool
		text        string
	}{
		{h.Memory > 0, can.Memory, "Your kernel does not support memory limit capabilities. Limitation discarded."},
		{h.Memory > 0 && h.MemorySwap != -1, can.Swap, "Your kernel does not support swap limit capabilities, memory limited without swap."},
		{h.MemoryReservation > 0, can.Reservation, "Your kernel does not support memory soft limit capabilities. Limitation discarded."},
		// The cgroup library sets none, whatever an old kernel could.
		{h.KernelMemory > 0, false, "Your kernel does not support kernel memory limit capabilities. Limitation discarded."},
		{h.MemorySwappiness != nil && *h.MemorySwappiness >= 0, can.Swappiness, "Your kernel does not support memory swappiness capabilities, memory swappiness discarded."},
		{h.OomKillDisable != nil && *h.OomKillDisable, can.OOMKillDisable, "Your kernel does not support OomKillDisable, OomKillDisable discarded."},
		{h.CPUShares > 0, can.CPUShares, "Your kernel does not support CPU shares. Shares discarded."},
		{h.CPUPeriod > 0, can.CFSPeriod, "Your kernel does not support CPU cfs period. Period discarded."},
		{h.CPUQuota > 0, can.CFSQuota, "Your kernel does not support CPU cfs quota. Quota discarded."},
		{h.CpusetCpus != "" || h.CpusetMems != "", can.CPUSet, "Your kernel does not support cpuset. Cpuset discarded."},
		{h.BlkioWeight > 0, can.BlockWeight, "Your kernel does not support Block I/O weight. Weight discarded."},
		{len(h.BlkioDeviceReadBps) > 0, can.BlockRates, "Your kernel does not support Block read limit in bytes per second. Device read bps discarded."},
		{len(h.BlkioDeviceWriteBps) > 0, can.BlockRates, "Your kernel does not support Block write limit in bytes per second. Device write bps discarded."},
		{len(h.BlkioDeviceReadIOps) > 0, can.BlockRates, "Your kernel does not support Block read limit in IO per second. Device read iops discarded."},
		{len(h.BlkioDeviceWriteIOps) > 0, can.BlockRates, "Your kernel does not support Block write limit in IO per second. Device write iops discarded."},
		{h.PidsLimit > 0, can.Pids, "Your kernel does not support pids limit capabilities, pids limit discarded."},
	} {
		if w.wished && !w.can {
			warnings = append(warnings, w.text)
		}
	}
	return warnings
}

// limits translates the resources of a host configuration, as far as the host
// has them. Zero means that there is no limit, as in the API.
func limits(res *specs.LinuxResources, h *models.HostConfig, can controls) {
	res.Memory = memoryLimits(h, can)
	cpu := &specs.LinuxCPU{}
	if can.CPUSet {
		cpu.Cpus, cpu.Mems = h.CpusetCpus, h.CpusetMems
	}
	if h.CPUShares > 0 && can.CPUShares {
		n := uint64(h.CPUShares)
		cpu.Shares = &n
	}
	if h.CPUPeriod > 0 && can.CFSPeriod {
		n := uint64(h.CPUPeriod)
		cpu.Period = &n
	}
	if h.CPUQuota != 0 && can.CFSQuota {
		cpu.Quota = &h.CPUQuota
	}
	res.CPU = cpu
	blockIO(res, h, can)
	if n := h.PidsLimit; n > 0 && can.Pids {
		res.Pids = &specs.LinuxPids{Limit: &n}
	}
}

func memoryLimits(h *models.HostConfig, can controls) *specs.LinuxMemory {
	memory := &specs.LinuxMemory{}
	if h.Memory > 0 && can.Memory {
		memory.Limit = positive(h.Memory)
		if h.MemorySwap == 0 && can.Swap {
			// As much swap as memory, as Docker Engine has it.
			twice := 2 * h.Memory
			memory.Swap = &twice
		}
	}
	if h.MemorySwap != 0 && can.Swap {
		memory.Swap = &h.MemorySwap // -1 is without limit
	}
	if can.Reservation {
		memory.Reservation = positive(h.MemoryReservation)
	}
	if s := h.MemorySwappiness; s != nil && *s >= 0 && can.Swappiness {
		n := uint64(*s)
		memory.Swappiness = &n
	}
	if h.OomKillDisable != nil && *h.OomKillDisable && can.OOMKillDisable {
		memory.DisableOOMKiller = h.OomKillDisable
	}
	return memory
}

func positive(n int64) *int64 {
	if n <= 0 {
		return nil
	}
	return &n
}

// blockIO translates the limits of block devices; devices that are not there
// are left out here and refused at the start (checkBlockDevices).
func blockIO(res *specs.LinuxResources, h *models.HostConfig, can controls) {
	io := &specs.LinuxBlockIO{}
	res.BlockIO = io
	if h.BlkioWeight > 0 && can.BlockWeight {
		w := uint16(h.BlkioWeight)
		io.Weight = &w
	}
	var lines strings.Builder
	for _, d := range h.BlkioWeightDevice {
		if major, minor, ok := deviceNumber(d.Path); ok && can.weighs(major, minor) {
			w := uint16(d.Weight)
			item := specs.LinuxWeightDevice{Weight: &w}
			item.Major, item.Minor = major, minor
			io.WeightDevice = append(io.WeightDevice, item)
			fmt.Fprintf(&lines, "%d:%d %d\n", major, minor, cgroups.ConvertBlkIOToIOWeightValue(w))
		}
	}
	if can.Unified && !can.BFQ && lines.Len() > 0 {
		// The cgroup library sets weights of devices for BFQ only.
		io.WeightDevice = nil
		res.Unified = map[string]string{"io.weight": lines.String()}
	}
	if !can.BlockRates {
		return
	}
	rates := func(list []models.ThrottleDevice) (all []specs.LinuxThrottleDevice) {
		for _, d := range list {
			if major, minor, ok := deviceNumber(d.Path); ok {
				item := specs.LinuxThrottleDevice{Rate: uint64(d.Rate)}
				item.Major, item.Minor = major, minor
				all = append(all, item)
			}
		}
		return all
	}
	io.ThrottleReadBpsDevice = rates(h.BlkioDeviceReadBps)
	io.ThrottleWriteBpsDevice = rates(h.BlkioDeviceWriteBps)
	io.ThrottleReadIOPSDevice = rates(h.BlkioDeviceReadIOps)
	io.ThrottleWriteIOPSDevice = rates(h.BlkioDeviceWriteIOps)
}

func deviceNumber(path string) (major, minor int64, ok bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, false
	}
	return int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev)), true
}
