package cgroup2test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a block device of the machine and its number.
func disk(t *testing.T) (path, number string) {
	t.Helper()
	names, err := filepath.Glob("/sys/block/[vsn]*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no disk: %v", err)
	}
	path = "/dev/" + filepath.Base(names[0])
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return path, fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
}

// weigh has the kernel's iocost heed the weights of a disk.
func weigh(t *testing.T, number string) {
	t.Helper()
	set := func(value string) {
		if err := os.WriteFile(root+"/io.cost.qos", []byte(number+" enable="+value), 0); err != nil {
			t.Fatal(err)
		}
	}
	set("1")
	t.Cleanup(func() { set("0") })
}

// has says whether one of the lines of a cgroup file has all of the words.
func has(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(f, w) }) {
			return true
		}
	}
	return false
}

// Every field of the resources arrives in the kernel, as the container sees it.
func TestFields(t *testing.T) {
	path, number := disk(t)
	weigh(t, number)
	rate := func(n int) []object { return []object{{"Path": path, "Rate": n}} }
	const m = 1 << 20
	for _, c := range []struct {
		field string
		host  object
		want  map[string]string // file to words of one of its lines
	}{
		{"Memory", object{"Memory": 64 * m}, map[string]string{"memory.max": "67108864", "memory.swap.max": "67108864"}},
		{"MemorySwap", object{"Memory": 64 * m, "MemorySwap": 96 * m}, map[string]string{"memory.max": "67108864", "memory.swap.max": "33554432"}},
		{"MemorySwap as Memory", object{"Memory": 64 * m, "MemorySwap": 64 * m}, map[string]string{"memory.swap.max": "0"}},
		{"MemorySwap without limit", object{"Memory": 64 * m, "MemorySwap": -1}, map[string]string{"memory.max": "67108864", "memory.swap.max": "max"}},
		{"MemoryReservation", object{"MemoryReservation": 32 * m}, map[string]string{"memory.low": "33554432", "memory.max": "max"}},
		{"CpuShares", object{"CpuShares": 512}, map[string]string{"cpu.weight": "59"}},
		{"CpuShares, least", object{"CpuShares": 2}, map[string]string{"cpu.weight": "1"}},
		{"CpuShares, most", object{"CpuShares": 262144}, map[string]string{"cpu.weight": "10000"}},
		{"CpuQuota", object{"CpuQuota": 50000}, map[string]string{"cpu.max": "50000 100000"}},
		{"CpuPeriod", object{"CpuPeriod": 50000}, map[string]string{"cpu.max": "max 50000"}},
		{"CpuPeriod and CpuQuota", object{"CpuPeriod": 50000, "CpuQuota": 25000}, map[string]string{"cpu.max": "25000 50000"}},
		{"CpusetCpus", object{"CpusetCpus": "1"}, map[string]string{"cpuset.cpus": "1", "cpuset.cpus.effective": "1"}},
		{"CpusetMems", object{"CpusetMems": "0"}, map[string]string{"cpuset.mems": "0"}},
		{"PidsLimit", object{"PidsLimit": 33}, map[string]string{"pids.max": "33"}},
		{"no PidsLimit", object{"PidsLimit": -1}, map[string]string{"pids.max": "max"}},
		{"BlkioWeight", object{"BlkioWeight": 500}, map[string]string{"io.weight": "default 4950"}},
		{"BlkioWeightDevice", object{"BlkioWeightDevice": []object{{"Path": path, "Weight": 1000}}}, map[string]string{"io.weight": number + " 10000"}},
		{"BlkioDeviceReadBps", object{"BlkioDeviceReadBps": rate(1 << 20)}, map[string]string{"io.max": number + " rbps=1048576"}},
		{"BlkioDeviceWriteBps", object{"BlkioDeviceWriteBps": rate(2 << 20)}, map[string]string{"io.max": number + " wbps=2097152"}},
		{"BlkioDeviceReadIOps", object{"BlkioDeviceReadIOps": rate(100)}, map[string]string{"io.max": number + " riops=100"}},
		{"BlkioDeviceWriteIOps", object{"BlkioDeviceWriteIOps": rate(200)}, map[string]string{"io.max": number + " wiops=200"}},
	} {
		t.Run(c.field, func(t *testing.T) {
			b := runs(t, c.host)
			if len(b.warnings) > 0 {
				t.Errorf("warnings: %q", b.warnings)
			}
			for file, want := range c.want {
				if got := b.inside(file); !has(got, strings.Fields(want)...) || file == "cpu.max" && got != want {
					t.Errorf("%s = %q, want %q", file, got, want)
				}
			}
			for key, value := range c.host {
				if key == "NetworkMode" {
					continue
				}
				text, err := json.Marshal(value)
				if err != nil {
					t.Fatal(err)
				}
				shown, err := json.Marshal(b.inspect().HostConfig[key])
				if err != nil || !sameJSON(text, shown) {
					t.Errorf("inspect shows %s as %s, not %s (%v)", shown, key, text, err)
				}
			}
		})
	}
}

// sameJSON compares what two texts say, whatever the order of their names.
func sameJSON(a, b []byte) bool {
	var left, right any
	return json.Unmarshal(a, &left) == nil && json.Unmarshal(b, &right) == nil && reflect.DeepEqual(left, right)
}

// What the unified hierarchy does not have is accepted with a warning, and the
// container runs.
func TestFieldsOfTheOldHierarchies(t *testing.T) {
	for field, c := range map[string]struct {
		host object
		word string
	}{
		"KernelMemory":     {object{"KernelMemory": 16 << 20}, "kernel memory limit"},
		"MemorySwappiness": {object{"MemorySwappiness": 10}, "memory swappiness"},
		"OomKillDisable":   {object{"OomKillDisable": true, "Memory": 64 << 20}, "OomKillDisable"},
	} {
		t.Run(field, func(t *testing.T) {
			b := runs(t, c.host)
			if len(b.warnings) != 1 || !strings.Contains(b.warnings[0], c.word) {
				t.Errorf("warnings: %q", b.warnings)
			}
			if text, code := b.exec("echo", "alive"); text != "alive" || code != 0 {
				t.Errorf("%q, %d", text, code)
			}
		})
	}
	t.Run("BlkioWeightDevice without iocost", func(t *testing.T) {
		path, _ := disk(t)
		b := runs(t, object{"BlkioWeight": 20, "BlkioWeightDevice": []object{{"Path": path, "Weight": 30}}})
		if len(b.warnings) != 1 || !strings.Contains(b.warnings[0], "weight_device") {
			t.Errorf("warnings: %q", b.warnings)
		}
		if got := b.inside("io.weight"); got != "default 102" {
			t.Errorf("io.weight = %q", got)
		}
	})
	t.Run("their defaults", func(t *testing.T) {
		b := runs(t, object{"MemorySwappiness": -1, "OomKillDisable": false})
		if len(b.warnings) > 0 {
			t.Errorf("warnings: %q", b.warnings)
		}
	})
}

// info tells of this kernel what the fields above show.
func TestInfo(t *testing.T) {
	var info object
	if _, err := engine.call("GET", "/info", nil, &info); err != nil {
		t.Fatal(err)
	}
	want := object{
		"MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true, "CPUSet": true,
		"KernelMemory": false, "OomKillDisable": false, "CgroupDriver": *driver,
	}
	for key, value := range want {
		if info[key] != value {
			t.Errorf("%s: %v, want %v", key, info[key], value)
		}
	}
}

// The container's part of the hierarchy is its root, nothing of the host's is
// seen, and only a privileged container writes there.
func TestOwnHierarchy(t *testing.T) {
	b := runs(t, nil)
	if text, _ := b.exec("cat", "/proc/self/cgroup"); text != "0::/" {
		t.Errorf("an exec is in %q", text)
	}
	if text, _ := b.exec("cat", "/proc/1/cgroup"); text != "0::/" {
		t.Errorf("the first process is in %q", text)
	}
	if text := b.inside("cgroup.procs"); !has(text, "1") {
		t.Errorf("processes seen: %q", text)
	}
	if text, _ := b.exec("find", root, "-mindepth", "1", "-type", "d"); text != "" {
		t.Errorf("groups seen: %q", text)
	}
	if text, code := b.exec("mkdir", root+"/own"); code == 0 || !strings.Contains(text, "Read-only") {
		t.Errorf("mkdir in /sys/fs/cgroup: %q, %d", text, code)
	}
	p := runs(t, object{"Privileged": true})
	if text, code := p.exec("sh", "-c", "mkdir /sys/fs/cgroup/own && echo $$ >/sys/fs/cgroup/own/cgroup.procs && cat /proc/self/cgroup"); code != 0 || text != "0::/own" {
		t.Errorf("privileged: %q, %d", text, code)
	}
}

func TestCgroupParent(t *testing.T) {
	name, dir := parent()
	b := runs(t, nil)
	if got := filepath.Dir(b.dir()); got != dir {
		t.Errorf("the default parent is %s, want %s", got, dir)
	}
	other, where := name+"/deeper", dir+"/deeper"
	if *driver == "systemd" {
		other, where = "berthcg-deeper.slice", dir+"/berthcg-deeper.slice"
	}
	t.Cleanup(func() {
		if *driver == "systemd" {
			if out, err := exec.Command("systemctl", "stop", other).CombinedOutput(); err != nil {
				t.Errorf("stop %s: %v\n%s", other, err, out)
			}
			return
		}
		if err := os.Remove(where); err != nil {
			t.Error(err)
		}
	})
	o := runs(t, object{"CgroupParent": other, "Memory": 64 << 20})
	if got := filepath.Dir(o.dir()); got != where {
		t.Errorf("the parent %s is %s, want %s", other, got, where)
	}
	if got := o.inside("memory.max"); got != "67108864" {
		t.Errorf("the limit there: %s", got)
	}
}

// Devices are allowed by a program in the kernel, node by node, not by their
// mode alone.
func TestDevices(t *testing.T) {
	path, number := disk(t)
	major, minor, _ := strings.Cut(number, ":")
	readable := runs(t, object{"Devices": []object{{"PathOnHost": path, "PathInContainer": "/dev/given", "CgroupPermissions": "r"}}})
	read := []string{"dd", "if=/dev/given", "of=/dev/null", "bs=512", "count=1"}
	if text, code := readable.exec(read...); code != 0 {
		t.Errorf("read: %s", text)
	}
	if text, code := readable.exec("sh", "-c", ": <>/dev/given"); code == 0 || !strings.Contains(text, "not permitted") {
		t.Errorf("open for writing: %q, %d", text, code)
	}
	plain := runs(t, nil)
	if text, code := plain.exec("sh", "-c", "mknod /node b "+major+" "+minor+" && dd if=/node of=/dev/null bs=512 count=1"); code == 0 || !strings.Contains(text, "not permitted") {
		t.Errorf("read a device that was not given: %q, %d", text, code)
	}
	if text, code := plain.exec("sh", "-c", "echo x >/dev/null && head -c 1 /dev/urandom >/dev/zero && mknod /null c 1 3 && echo y >/null"); code != 0 {
		t.Errorf("the devices of every container: %s", text)
	}
	// A change of limits leaves the rules as they are.
	plain.must("POST", "/update", object{"Memory": 64 << 20}, nil)
	if text, code := plain.exec("dd", "if=/node", "of=/dev/null", "bs=512", "count=1"); code == 0 || !strings.Contains(text, "not permitted") {
		t.Errorf("after an update: %q, %d", text, code)
	}
	p := runs(t, object{"Privileged": true})
	if text, code := p.exec("dd", "if="+path, "of=/dev/null", "bs=512", "count=1"); code != 0 {
		t.Errorf("privileged: %s", text)
	}
}

// With the scheduler BFQ weights are its own.
func TestWeightsOfBFQ(t *testing.T) {
	path, number := disk(t)
	if out, err := exec.Command("modprobe", "bfq").CombinedOutput(); err != nil {
		t.Fatalf("modprobe bfq: %v\n%s", err, out)
	}
	scheduler := "/sys/block/" + filepath.Base(path) + "/queue/scheduler"
	set := func(name string) {
		if err := os.WriteFile(scheduler, []byte(name), 0); err != nil {
			t.Fatal(err)
		}
	}
	set("bfq")
	t.Cleanup(func() {
		set("none")
		if out, err := exec.Command("modprobe", "-r", "bfq").CombinedOutput(); err != nil {
			t.Errorf("modprobe -r bfq: %v\n%s", err, out)
		}
	})
	b := runs(t, object{"BlkioWeight": 300, "BlkioWeightDevice": []object{{"Path": path, "Weight": 700}}})
	if len(b.warnings) > 0 {
		t.Errorf("warnings: %q", b.warnings)
	}
	text := b.inside("io.bfq.weight")
	if !has(text, "default", "300") && !has(text, "300") || !has(text, number, "700") {
		t.Errorf("io.bfq.weight = %q", text)
	}
}
