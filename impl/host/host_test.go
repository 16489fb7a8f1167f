package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestKernelIsTheRunningOne(t *testing.T) {
	k, err := ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("uname", "-rm").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := k.Release + " " + k.Machine; got != strings.TrimSpace(string(out)) {
		t.Fatalf("%q, uname says %q", got, out)
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		release      string
		major, minor int
		want         bool
	}{
		{"6.18.44-fc", 5, 16, true},
		{"5.16", 5, 16, true},
		{"5.15.0-91-generic", 5, 16, false},
		{"5.4", 5, 16, false},
		{"6", 6, 0, true},
		{"6-rc", 6, 1, false},
		{"10.2", 5, 16, true},
		{"", 0, 1, false},
	} {
		if got := (Kernel{Release: c.release}).AtLeast(c.major, c.minor); got != c.want {
			t.Errorf("%q at least %d.%d: %v", c.release, c.major, c.minor, got)
		}
	}
}

func TestOperatingSystem(t *testing.T) {
	root := t.TempDir()
	if got := OperatingSystem(root); got != "Linux" {
		t.Errorf("without the file: %q", got)
	}
	write(t, filepath.Join(root, "usr/lib/os-release"), "NAME=x\nPRETTY_NAME='Plain OS'\n")
	if got := OperatingSystem(root); got != "Plain OS" {
		t.Errorf("of the vendor: %q", got)
	}
	write(t, filepath.Join(root, "etc/os-release"), `# comment
ID=debian
PRETTY_NAME="Debian GNU/Linux 12 \"x\" (bookworm)"
`)
	if got := OperatingSystem(root); got != `Debian GNU/Linux 12 "x" (bookworm)` {
		t.Errorf("of the administrator: %q", got)
	}
}

// recorded writes files as a kernel has them: name to content.
func recorded(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		write(t, filepath.Join(root, name), text)
	}
}

func TestControlsOfUnifiedHierarchy(t *testing.T) {
	const all = "cpuset cpu io memory hugetlb pids rdma misc\n" // Debian's Linux 6.1
	full := Controls{
		Unified: true, Memory: true, Swap: true, Reservation: true, CPUShares: true, CFSPeriod: true, CFSQuota: true,
		CPUSet: true, Pids: true, BlockWeight: true, BlockWeightDevice: true, BlockRates: true,
	}
	noSwap, noWeight, bfq := full, full, full
	noSwap.Swap = false
	noWeight.BlockWeight, noWeight.BlockWeightDevice = false, false
	bfq.BFQ = true
	for name, c := range map[string]struct {
		own   string
		files map[string]string
		want  Controls
	}{
		"no controllers": {own: "/", files: map[string]string{"cg/cgroup.controllers": "\n"}, want: Controls{Unified: true}},
		"two controllers": {
			own: "/", files: map[string]string{"cg/cgroup.controllers": "cpu pids\n"},
			want: Controls{Unified: true, CPUShares: true, CFSPeriod: true, CFSQuota: true, Pids: true},
		},
		"just booted, no group yet": {
			own:   "/",
			files: map[string]string{"cg/cgroup.controllers": all, "cg/io.cost.qos": "", "proc/swaps": "Filename\n", "proc/cmdline": "quiet\n"},
			want:  full,
		},
		"just booted without swap accounting": {
			own: "/",
			files: map[string]string{
				"cg/cgroup.controllers": all, "cg/io.cost.qos": "", "proc/swaps": "Filename\n", "proc/cmdline": "quiet swapaccount=0\n",
			},
			want: noSwap,
		},
		"just booted, kernel without swap": {
			own: "/", files: map[string]string{"cg/cgroup.controllers": all, "cg/io.cost.qos": "", "proc/cmdline": "quiet\n"}, want: noSwap,
		},
		"just booted, BFQ loaded": {
			own:   "/",
			files: map[string]string{"cg/cgroup.controllers": all, "sys/module/bfq/refcnt": "0\n", "proc/swaps": ""},
			want:  bfq,
		},
		"just booted, neither iocost nor BFQ": {
			own: "/", files: map[string]string{"cg/cgroup.controllers": all, "proc/swaps": ""}, want: noWeight,
		},
		"below systemd": {
			own: "/system.slice/berthd.service",
			files: map[string]string{
				"cg/cgroup.controllers": all, "cg/io.stat": "",
				"cg/system.slice/berthd.service/cgroup.type": "domain\n", "cg/system.slice/memory.max": "max\n",
				"cg/system.slice/memory.swap.max": "max\n", "cg/system.slice/io.stat": "", "cg/system.slice/io.max": "",
				"cg/system.slice/io.weight": "default 100\n",
			},
			want: full,
		},
		"a group without a swap limit": {
			own: "/", files: map[string]string{
				"cg/cgroup.controllers": all, "cg/io.stat": "", "proc/swaps": "Filename\n", "cg/berth/memory.max": "max\n",
				"cg/berth/io.stat": "", "cg/berth/io.max": "", "cg/berth/io.weight": "default 100\n",
			}, want: noSwap,
		},
		"in a container, a group with BFQ": {
			own: "/", files: map[string]string{
				"cg/cgroup.controllers": all, "cg/cgroup.type": "domain\n", "cg/memory.max": "max\n", "cg/memory.swap.max": "max\n",
				"cg/io.stat": "", "cg/io.max": "", "cg/io.weight": "default 100\n", "cg/io.bfq.weight": "default 100\n",
			}, want: bfq,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			recorded(t, root, c.files)
			h := Hierarchies{V2: filepath.Join(root, "cg"), Own: c.own, Root: root}
			if got := h.Controls(Kernel{Release: "6.1"}); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestWeightsOfDevices(t *testing.T) {
	root := t.TempDir()
	recorded(t, root, map[string]string{
		"cg/io.cost.qos": "254:16 enable=0 ctrl=auto rpct=0.00 rlat=5000 wpct=0.00 wlat=5000 min=1.00 max=10000.00\n" +
			"254:0 enable=1 ctrl=auto rpct=0.00 rlat=5000 wpct=0.00 wlat=5000 min=1.00 max=10000.00\n",
		"sys/dev/block/254:0/queue/scheduler":  "[none] mq-deadline bfq\n",
		"sys/dev/block/254:16/queue/scheduler": "none mq-deadline [bfq]\n",
	})
	h := Hierarchies{V2: filepath.Join(root, "cg"), Root: root}
	iocost := Controls{Unified: true, BlockWeightDevice: true}
	bfq := iocost
	bfq.BFQ = true
	for _, c := range []struct {
		can   Controls
		minor int64
		want  bool
	}{
		{iocost, 0, true}, {iocost, 16, false}, {iocost, 32, false}, {bfq, 0, false}, {bfq, 16, true}, {bfq, 32, false},
		{Controls{Unified: true}, 0, false}, {Controls{BlockWeightDevice: true}, 0, true},
	} {
		if got := h.WeighsDevice(c.can, 254, c.minor); got != c.want {
			t.Errorf("254:%d with %+v: %v", c.minor, c.can, got)
		}
	}
}

func TestControlsOfOldHierarchies(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{
		"memory/memory.limit_in_bytes", "memory/memory.kmem.limit_in_bytes", "memory/memory.oom_control",
		"memory/memory.soft_limit_in_bytes", "memory/memory.swappiness", "cpu/cpu.shares", "unified/cgroup.controllers",
		"blkio/blkio.throttle.read_bps_device", "blkio/blkio.bfq.io_service_bytes",
	} {
		write(t, filepath.Join(root, f), "")
	}
	h := Hierarchies{
		V1: map[string]string{"memory": root + "/memory", "cpu": root + "/cpu", "blkio": root + "/blkio"},
		V2: root + "/unified",
	}
	want := Controls{
		Memory: true, OOMKillDisable: true, KernelMemory: true, CPUShares: true, Reservation: true, Swappiness: true,
		BFQ: true, BlockWeight: true, BlockRates: true,
	}
	if c := h.Controls(Kernel{Release: "4.19"}); c != want {
		t.Fatalf("an old kernel: %+v", c)
	}
	want.KernelMemory, want.BlockWeightDevice = false, true
	if c := h.Controls(Kernel{Release: "6.18"}); c != want {
		t.Fatalf("a new kernel: %+v", c)
	}
}

// What the machine under test has is found: a group with a limit can be made.
func TestControlsOfThisHost(t *testing.T) {
	h, err := FindHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	c := h.Controls(k)
	dir, file, value := h.V1["memory"], "memory.limit_in_bytes", "67108864"
	if dir == "" {
		t.Logf("unified hierarchy at %s: %+v", h.V2, c)
		return
	}
	group := filepath.Join(dir, "berth-host-test")
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	able := func(file, value string) bool {
		path := filepath.Join(group, file)
		if os.WriteFile(path, []byte(value), 0o644) != nil {
			return false
		}
		// Some kernels take a value and drop it.
		now, err := os.ReadFile(path)
		return err == nil && slices.Contains(strings.Fields(string(now)), value)
	}
	if got := able(file, value); got != c.Memory {
		t.Errorf("memory limit: %v, figures say %v", got, c.Memory)
	}
	if got := able("memory.memsw.limit_in_bytes", "134217728"); got != c.Swap {
		t.Errorf("swap limit: %v, figures say %v", got, c.Swap)
	}
	if got := able("memory.kmem.limit_in_bytes", "67108864"); got != c.KernelMemory {
		t.Errorf("kernel memory limit: %v, figures say %v", got, c.KernelMemory)
	}
	if got := able("memory.oom_control", "1"); got != c.OOMKillDisable {
		t.Errorf("OOM killer: %v, figures say %v", got, c.OOMKillDisable)
	}
}

func TestFilesystem(t *testing.T) {
	name, err := Filesystem("/dev/shm")
	if err != nil {
		t.Fatal(err)
	}
	if name != "tmpfs" {
		t.Fatalf("/dev/shm is on %s", name)
	}
	if _, err := Filesystem("/no/such/path"); err == nil {
		t.Fatal("no error for a path that is not there")
	}
}
