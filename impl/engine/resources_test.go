package engine

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/host"
)

func unifiedControls() controls {
	return controls{weighs: func(int64, int64) bool { return true }, Controls: host.Controls{
		Unified: true, Memory: true, Swap: true, Reservation: true, CPUShares: true, CFSPeriod: true, CFSQuota: true,
		CPUSet: true, Pids: true, BlockWeight: true, BlockWeightDevice: true, BlockRates: true,
	}}
}

// What a host lacks is warned of and left out, each by itself.
func TestLackingLimits(t *testing.T) {
	yes, seven := true, int64(7)
	asked := &models.HostConfig{}
	asked.Memory, asked.MemorySwap, asked.MemoryReservation, asked.KernelMemory = 64<<20, 128<<20, 32<<20, 16<<20
	asked.MemorySwappiness, asked.OomKillDisable = &seven, &yes
	asked.CPUShares, asked.CPUPeriod, asked.CPUQuota, asked.CpusetCpus = 512, 50000, 25000, "0"
	asked.BlkioWeight, asked.PidsLimit = 300, 9
	asked.BlkioDeviceReadBps = []models.ThrottleDevice{{Path: "/dev/none", Rate: 1}}
	for name, c := range map[string]struct {
		take func(*controls)
		word string // in the warning; empty: none beside those of every unified hierarchy
		gone func(*specs.LinuxResources) bool
	}{
		"nothing": {take: func(*controls) {}, gone: func(r *specs.LinuxResources) bool { return *r.Memory.Swap == 128<<20 }},
		"swap": {
			func(c *controls) { c.Swap = false }, "swap limit",
			func(r *specs.LinuxResources) bool { return r.Memory.Swap == nil && *r.Memory.Limit == 64<<20 },
		},
		"memory": {
			func(c *controls) { c.Memory, c.Swap, c.Reservation = false, false, false }, "support memory limit",
			func(r *specs.LinuxResources) bool {
				return r.Memory.Limit == nil && r.Memory.Swap == nil && r.Memory.Reservation == nil
			},
		},
		"weight": {
			func(c *controls) { c.BlockWeight = false }, "Block I/O weight. ",
			func(r *specs.LinuxResources) bool { return r.BlockIO.Weight == nil },
		},
		"rates": {
			func(c *controls) { c.BlockRates = false }, "Block read limit in bytes",
			func(r *specs.LinuxResources) bool { return r.BlockIO.ThrottleReadBpsDevice == nil },
		},
		"pids":   {func(c *controls) { c.Pids = false }, "pids limit", func(r *specs.LinuxResources) bool { return r.Pids == nil }},
		"shares": {func(c *controls) { c.CPUShares = false }, "CPU shares", func(r *specs.LinuxResources) bool { return r.CPU.Shares == nil }},
		"period": {func(c *controls) { c.CFSPeriod = false }, "cfs period", func(r *specs.LinuxResources) bool { return r.CPU.Period == nil }},
		"quota":  {func(c *controls) { c.CFSQuota = false }, "cfs quota", func(r *specs.LinuxResources) bool { return r.CPU.Quota == nil }},
		"cpuset": {func(c *controls) { c.CPUSet = false }, "cpuset", func(r *specs.LinuxResources) bool { return r.CPU.Cpus == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			can := unifiedControls()
			c.take(&can)
			text := strings.Join(lacking(asked, can), "\n")
			for _, always := range []string{"swappiness", "OomKillDisable", "kernel memory"} {
				if !strings.Contains(text, always) {
					t.Errorf("no word of %s: %s", always, text)
				}
			}
			if !strings.Contains(text, c.word) {
				t.Errorf("no word of %s: %s", c.word, text)
			}
			if c.word == "" && strings.Count(text, "\n") != 2 {
				t.Errorf("more warnings than there are reasons: %s", text)
			}
			res := &specs.LinuxResources{}
			limits(res, asked, can)
			if res.Memory.Swappiness != nil || res.Memory.DisableOOMKiller != nil {
				t.Error("what the unified hierarchy has not is asked of it")
			}
			if !c.gone(res) {
				t.Errorf("memory %+v, cpu %+v, block %+v, pids %+v", res.Memory, res.CPU, res.BlockIO, res.Pids)
			}
		})
	}
}

func TestCgroupParents(t *testing.T) {
	for _, c := range []struct {
		driver, parent string
		ok             bool
	}{
		{"cgroupfs", "", true}, {"cgroupfs", "/a/b", true}, {"cgroupfs", "a.slice", true}, {"cgroupfs", "/a:b", true}, {"cgroupfs", "a\nb", false},
		{"systemd", "", true}, {"systemd", "a.slice", true}, {"systemd", "a-b.slice", true}, {"systemd", "-.slice", true},
		{"systemd", "/a", false}, {"systemd", ".slice", false}, {"systemd", "a--b.slice", false}, {"systemd", "a/b.slice", false},
		{"systemd", "a.scope", false}, {"systemd", "a:b.slice", false},
	} {
		e := &Engine{Settings: Settings{CgroupDriver: c.driver}}
		if err := e.checkCgroupParent(c.parent); (err == nil) != c.ok {
			t.Errorf("%s %q: %v", c.driver, c.parent, err)
		}
	}
}
