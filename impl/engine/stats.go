package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/stream"
)

// statsInterval is the time between two lines of GET /containers/(id)/stats.
const statsInterval = time.Second

// ContainerStats serves GET /containers/(id or name)/stats: a line a second, or
// one line that has been compared with a reading a second before. A container
// that does not run has zeros; its stream waits for the next run.
func (e *Engine) ContainerStats(ctx context.Context, p *hub.ContainerStatsParams, out stream.Output) error {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	if err := out.Begin(); err != nil {
		return err
	}
	before := models.StatsCPU{CPUUsage: models.StatsCPUUsage{PercpuUsage: []uint64{}}}
	ticker := time.NewTicker(statsInterval)
	defer ticker.Stop()
	for first := true; ; first = false {
		if _, err := e.containers.Get(c.ID); err != nil {
			return nil // removed: the stream is over
		}
		s, running, err := e.readStats(ctx, c)
		if err != nil {
			return err
		}
		s.PrecpuStats = before
		before = s.CPUStats
		// One line alone says nothing of the CPU's use: the second one does.
		if p.Stream || !first || !running {
			if err := out.Encode(s); err != nil {
				return err
			}
			if !p.Stream {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// readStats reads the kernel's numbers of a container; zeros if it does not run.
func (e *Engine) readStats(ctx context.Context, c *container.Container) (s *models.Stats, running bool, err error) {
	s = &models.Stats{Read: stamp(time.Time{})}
	s.CPUStats.CPUUsage.PercpuUsage = []uint64{}
	task, err := e.runningTask(c)
	if err != nil {
		return s, false, nil
	}
	raw, err := task.Stats(ctx)
	if err != nil {
		if _, over := task.Exit(); over {
			return s, false, nil
		}
		return nil, false, fault.Internal("read the statistics of container %s: %w", c.ID, err)
	}
	s.Read = stamp(raw.Read)
	if s.CPUStats, err = cpuStats(raw); err != nil {
		return nil, false, err
	}
	s.MemoryStats = memoryStats(raw)
	s.BlkioStats = blkioStats(raw.Cgroup.BlkioStats)
	s.PidsStats = &models.StatsPids{Current: raw.Cgroup.PidsStats.Current}
	mode, _ := networkMode(c.Record())
	if mode == "bridge" {
		s.Networks = interfaces(task)
	}
	return s, true, nil
}

func cpuStats(raw *runtime.Stats) (models.StatsCPU, error) {
	c := raw.Cgroup.CpuStats
	system, err := systemCPU()
	if err != nil {
		return models.StatsCPU{}, err
	}
	return models.StatsCPU{
		CPUUsage: models.StatsCPUUsage{
			TotalUsage:        c.CpuUsage.TotalUsage,
			PercpuUsage:       perCPU(c.CpuUsage),
			UsageInKernelmode: c.CpuUsage.UsageInKernelmode,
			UsageInUsermode:   c.CpuUsage.UsageInUsermode,
		},
		SystemCPUUsage: system,
		ThrottlingData: models.StatsThrottling{
			Periods:          c.ThrottlingData.Periods,
			ThrottledPeriods: c.ThrottlingData.ThrottledPeriods,
			ThrottledTime:    c.ThrottlingData.ThrottledTime,
		},
	}, nil
}

// perCPU is the time of each processor. The unified hierarchy counts their sum
// only (cgroup-v2.rst, cpu.stat); it is spread evenly then, because clients of
// these versions compute percentages with the number of items.
func perCPU(u cgroups.CpuUsage) []uint64 {
	if len(u.PercpuUsage) > 0 || u.TotalUsage == 0 {
		return append([]uint64{}, u.PercpuUsage...)
	}
	n := uint64(goruntime.NumCPU())
	all := make([]uint64, n)
	for i := range all {
		all[i] = u.TotalUsage / n
	}
	all[0] += u.TotalUsage % n
	return all
}

// userHZ is the unit of /proc/stat: ticks a second (proc(5); 100 on Linux for
// user space).
const userHZ = 100

// systemCPU is the time that all processors of the host have spent, nanoseconds:
// the first seven columns of /proc/stat's line cpu (proc(5)).
func systemCPU() (uint64, error) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, fault.Internal("read the host's CPU time: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		return 0, fault.Internal("read the host's CPU time: %w", err)
	}
	var ticks uint64
	fields := strings.Fields(line)
	for _, field := range fields[1:min(8, len(fields))] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fault.Internal("read the host's CPU time: %w", err)
		}
		ticks += n
	}
	return ticks * uint64(time.Second/userHZ), nil
}

func memoryStats(raw *runtime.Stats) models.StatsMemory {
	m := raw.Cgroup.MemoryStats
	s := models.StatsMemory{
		Usage: m.Usage.Usage, MaxUsage: m.Usage.MaxUsage, Failcnt: m.Usage.Failcnt, Limit: m.Usage.Limit,
	}
	var host unix.Sysinfo_t
	if unix.Sysinfo(&host) == nil {
		// Without a limit the host's memory is the limit.
		s.Limit = min(s.Limit, host.Totalram*uint64(host.Unit))
	}
	detail := m.Stats
	if raw.Unified {
		detail = legacyMemory(m.Stats)
	}
	// The members of the API are the names in the kernel's memory.stat.
	if data, err := json.Marshal(detail); err == nil {
		_ = json.Unmarshal(data, &s.Stats)
	}
	return s
}

// legacyMemory names cgroup v2's memory.stat (admin-guide/cgroup-v2.rst) as v1
// does (admin-guide/cgroup-v1/memory.rst), in which the API thinks.
func legacyMemory(v2 map[string]uint64) map[string]uint64 {
	v1 := map[string]uint64{}
	for old, now := range map[string]string{
		"cache": "file", "rss": "anon", "rss_huge": "anon_thp", "mapped_file": "file_mapped", "writeback": "file_writeback",
		"dirty": "file_dirty", "shmem": "shmem", "pgfault": "pgfault", "pgmajfault": "pgmajfault", "inactive_anon": "inactive_anon",
		"active_anon": "active_anon", "inactive_file": "inactive_file", "active_file": "active_file", "unevictable": "unevictable",
	} {
		v1[old], v1["total_"+old] = v2[now], v2[now]
	}
	return v1
}

func blkioStats(b cgroups.BlkioStats) models.StatsBlkio {
	list := func(entries []cgroups.BlkioStatEntry) []models.StatsBlkioEntry {
		all := make([]models.StatsBlkioEntry, 0, len(entries))
		for _, n := range entries {
			all = append(all, models.StatsBlkioEntry{Major: n.Major, Minor: n.Minor, Op: n.Op, Value: n.Value})
		}
		return all
	}
	return models.StatsBlkio{
		IoServiceBytesRecursive: list(b.IoServiceBytesRecursive),
		IoServicedRecursive:     list(b.IoServicedRecursive),
		IoQueueRecursive:        list(b.IoQueuedRecursive),
		IoServiceTimeRecursive:  list(b.IoServiceTimeRecursive),
		IoWaitTimeRecursive:     list(b.IoWaitTimeRecursive),
		IoMergedRecursive:       list(b.IoMergedRecursive),
		IoTimeRecursive:         list(b.IoTimeRecursive),
		SectorsRecursive:        list(b.SectorsRecursive),
	}
}

// interfaces reads the counters of the interfaces of a container's network
// namespace, without lo (proc(5), /proc/pid/net/dev).
func interfaces(task *runtime.Task) map[string]models.StatsNetwork {
	f, err := task.Proc("net/dev")
	if err != nil {
		return nil
	}
	defer f.Close()
	all := map[string]models.StatsNetwork{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, counters, ok := strings.Cut(s.Text(), ":")
		if name = strings.TrimSpace(name); !ok || name == "lo" {
			continue
		}
		fields := strings.Fields(counters)
		if len(fields) < 12 {
			continue
		}
		n := func(i int) uint64 { v, _ := strconv.ParseUint(fields[i], 10, 64); return v }
		all[name] = models.StatsNetwork{
			RxBytes: n(0), RxPackets: n(1), RxErrors: n(2), RxDropped: n(3),
			TxBytes: n(8), TxPackets: n(9), TxErrors: n(10), TxDropped: n(11),
		}
	}
	return all
}
