package runtime

import (
	"context"
	"fmt"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Update changes the limits of the running container. Fields that are nil or
// empty stay as they are. When the kernel refuses a value, the former ones are
// set again and the error is returned.
func (t *Task) Update(_ context.Context, res *specs.LinuxResources) error {
	m, err := t.manager()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var old cgroups.Resources
	if t.handle.Cgroup.Resources != nil {
		old = *t.handle.Cgroup.Resources
	}
	// The device rules stay; the handle does not have them.
	old.SkipDevices = true
	merged := merge(old, res)
	if err := m.Set(&merged); err != nil {
		_ = m.Set(&old)
		return t.failed(fmt.Errorf("update %s: %w", t.what, err))
	}
	h, c := t.handle, *t.handle.Cgroup
	c.Resources, h.Cgroup = &merged, &c
	if err := h.Write(t.dir); err != nil {
		return err
	}
	t.handle = h
	return nil
}

func merge(r cgroups.Resources, res *specs.LinuxResources) cgroups.Resources {
	if m := res.Memory; m != nil {
		set(&r.Memory, m.Limit)
		set(&r.MemoryReservation, m.Reservation)
		set(&r.MemorySwap, m.Swap)
		set(&r.OomKillDisable, m.DisableOOMKiller)
		if m.Swappiness != nil {
			r.MemorySwappiness = m.Swappiness
		}
	}
	if c := res.CPU; c != nil {
		set(&r.CpuShares, c.Shares)
		if c.Shares != nil {
			r.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(*c.Shares)
		}
		set(&r.CpuQuota, c.Quota)
		set(&r.CpuPeriod, c.Period)
		set(&r.CpuRtRuntime, c.RealtimeRuntime)
		set(&r.CpuRtPeriod, c.RealtimePeriod)
		if c.Burst != nil {
			r.CpuBurst = c.Burst
		}
		if c.Cpus != "" {
			r.CpusetCpus = c.Cpus
		}
		if c.Mems != "" {
			r.CpusetMems = c.Mems
		}
	}
	if p := res.Pids; p != nil && p.Limit != nil {
		r.PidsLimit = p.Limit
	}
	if b := res.BlockIO; b != nil {
		set(&r.BlkioWeight, b.Weight)
		if b.WeightDevice != nil {
			r.BlkioWeightDevice = nil
			for _, d := range b.WeightDevice {
				w, leaf := uint16(0), uint16(0)
				set(&w, d.Weight)
				set(&leaf, d.LeafWeight)
				r.BlkioWeightDevice = append(r.BlkioWeightDevice, cgroups.NewWeightDevice(d.Major, d.Minor, w, leaf))
			}
		}
		throttle(&r.BlkioThrottleReadBpsDevice, b.ThrottleReadBpsDevice)
		throttle(&r.BlkioThrottleWriteBpsDevice, b.ThrottleWriteBpsDevice)
		throttle(&r.BlkioThrottleReadIOPSDevice, b.ThrottleReadIOPSDevice)
		throttle(&r.BlkioThrottleWriteIOPSDevice, b.ThrottleWriteIOPSDevice)
	}
	if res.Unified != nil {
		r.Unified = res.Unified
	}
	return r
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func throttle(to *[]*cgroups.ThrottleDevice, from []specs.LinuxThrottleDevice) {
	if from == nil {
		return
	}
	*to = nil
	for _, d := range from {
		*to = append(*to, cgroups.NewThrottleDevice(d.Major, d.Minor, d.Rate))
	}
}
