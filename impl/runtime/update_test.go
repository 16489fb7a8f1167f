package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs"
	"github.com/opencontainers/cgroups/fs2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

// What an update comes to in the kernel's files, for both versions of cgroups.
// The files are ordinary ones, so that this runs on any kernel.
func TestMergedResourcesInFiles(t *testing.T) {
	cgroups.TestMode = true
	defer func() { cgroups.TestMode = false }()
	before := cgroups.Resources{Memory: 64 << 20, MemorySwap: 128 << 20, CpuShares: 1024, PidsLimit: ptr(int64(10)), SkipDevices: true}
	merged := merge(before, &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr(int64(100 << 20)), Swap: ptr(int64(300 << 20)), Reservation: ptr(int64(50 << 20))},
		CPU: &specs.LinuxCPU{
			Shares: ptr(uint64(512)), Quota: ptr(int64(50000)), Period: ptr(uint64(100000)), Cpus: "0-1", Mems: "0",
		},
		BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{throttled(8, 0, 1048576)}},
	})
	if merged.Memory != 100<<20 || *merged.PidsLimit != 10 || before.Memory != 64<<20 {
		t.Errorf("merged = %+v, before = %+v", merged, before)
	}

	t.Run("unified", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "cgroup.controllers", "cpuset cpu io memory pids\n")
		for _, name := range []string{"cpu.weight", "cpu.max", "cpuset.cpus", "cpuset.mems", "memory.max", "memory.swap.max", "memory.low", "pids.max", "io.max"} {
			write(t, dir, name, "")
		}
		m, err := fs2.NewManager(&cgroups.Cgroup{Resources: &cgroups.Resources{}}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Set(&merged); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"cpu.weight": "59", "cpu.max": "50000 100000", "cpuset.cpus": "0-1", "cpuset.mems": "0",
			"memory.max": "104857600", "memory.swap.max": "209715200", "memory.low": "52428800", "pids.max": "10",
			"io.max": "8:0 rbps=1048576",
		} {
			if got := read(t, dir, name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	})

	t.Run("legacy", func(t *testing.T) {
		paths := map[string]string{}
		for _, controller := range []string{"cpu", "cpuset", "memory", "pids", "blkio"} {
			paths[controller] = t.TempDir()
		}
		write(t, paths["memory"], "memory.limit_in_bytes", "67108864")
		write(t, paths["memory"], "memory.memsw.limit_in_bytes", "134217728")
		write(t, paths["memory"], "memory.usage_in_bytes", "0")
		write(t, paths["memory"], "memory.max_usage_in_bytes", "0")
		m, err := fs.NewManager(&cgroups.Cgroup{Resources: &cgroups.Resources{}}, paths)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Set(&merged); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{
			"cpu/cpu.shares": "512", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000",
			"cpuset/cpuset.cpus": "0-1", "memory/memory.limit_in_bytes": "104857600",
			"memory/memory.memsw.limit_in_bytes": "314572800", "memory/memory.soft_limit_in_bytes": "52428800",
			"pids/pids.max": "10", "blkio/blkio.throttle.read_bps_device": "8:0 1048576",
		} {
			controller, name, _ := strings.Cut(file, "/")
			if got := read(t, paths[controller], name); got != want {
				t.Errorf("%s = %q, want %q", file, got, want)
			}
		}
	})
}

func throttled(major, minor int64, rate uint64) specs.LinuxThrottleDevice {
	d := specs.LinuxThrottleDevice{Rate: rate}
	d.Major, d.Minor = major, minor
	return d
}

func write(tb testing.TB, dir, name, text string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, dir, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestCgroupOf(t *testing.T) {
	c, err := cgroupOf("docker//abc/../x", false)
	if err != nil || c.Path != "/docker/x" {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = cgroupOf("system.slice:berth:abc", true)
	if err != nil || c.Parent != "system.slice" || c.ScopePrefix != "berth" || c.Name != "abc" {
		t.Errorf("%+v, %v", c, err)
	}
	for path, systemd := range map[string]bool{"": false, "/": false, "..": false, "x": true, "a:b:": true} {
		if c, err := cgroupOf(path, systemd); err == nil {
			t.Errorf("%q, %v: %+v", path, systemd, c)
		}
	}
}

func TestMergeKeepsWhatIsNotSaid(t *testing.T) {
	before := cgroups.Resources{Memory: 1, CpuShares: 2, CpusetCpus: "0", PidsLimit: ptr(int64(3)), BlkioWeight: 4}
	merged := merge(before, &specs.LinuxResources{CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{}, Pids: &specs.LinuxPids{}})
	if merged.Memory != 1 || merged.CpuShares != 2 || merged.CpusetCpus != "0" || *merged.PidsLimit != 3 || merged.BlkioWeight != 4 {
		t.Errorf("%+v", merged)
	}
}
