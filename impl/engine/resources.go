package engine

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/gen/hub/models"
)

type deviceMapping = models.DeviceMapping

// limits translates the resources of a host configuration. Zero means that
// there is no limit, as in the API.
func limits(res *specs.LinuxResources, h *models.HostConfig) {
	memory := &specs.LinuxMemory{}
	if h.Memory > 0 {
		memory.Limit = positive(h.Memory)
		if h.MemorySwap == 0 {
			// As much swap as memory, as Docker Engine has it.
			twice := 2 * h.Memory
			memory.Swap = &twice
		}
	}
	if h.MemorySwap != 0 {
		memory.Swap = &h.MemorySwap // -1 is without limit
	}
	memory.Reservation = positive(h.MemoryReservation)
	if s := h.MemorySwappiness; s != nil && *s >= 0 {
		n := uint64(*s)
		memory.Swappiness = &n
	}
	if h.OomKillDisable != nil && *h.OomKillDisable {
		memory.DisableOOMKiller = h.OomKillDisable
	}
	res.Memory = memory
	cpu := &specs.LinuxCPU{Cpus: h.CpusetCpus, Mems: h.CpusetMems}
	if h.CPUShares > 0 {
		n := uint64(h.CPUShares)
		cpu.Shares = &n
	}
	if h.CPUPeriod > 0 {
		n := uint64(h.CPUPeriod)
		cpu.Period = &n
	}
	if h.CPUQuota != 0 {
		cpu.Quota = &h.CPUQuota
	}
	res.CPU = cpu
	res.BlockIO = blockIO(h)
}

func positive(n int64) *int64 {
	if n <= 0 {
		return nil
	}
	return &n
}

// blockIO translates the limits of block devices; devices that are not there
// are left out here and refused at creation.
func blockIO(h *models.HostConfig) *specs.LinuxBlockIO {
	io := &specs.LinuxBlockIO{}
	if h.BlkioWeight > 0 {
		w := uint16(h.BlkioWeight)
		io.Weight = &w
	}
	for _, d := range h.BlkioWeightDevice {
		if major, minor, ok := deviceNumber(d.Path); ok {
			w := uint16(d.Weight)
			item := specs.LinuxWeightDevice{Weight: &w}
			item.Major, item.Minor = major, minor
			io.WeightDevice = append(io.WeightDevice, item)
		}
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
	return io
}

func deviceNumber(path string) (major, minor int64, ok bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, false
	}
	return int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev)), true
}
