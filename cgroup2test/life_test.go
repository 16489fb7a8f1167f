package cgroup2test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUpdate(t *testing.T) {
	b := runs(t, object{"Memory": 64 << 20, "MemorySwap": 128 << 20, "CpuShares": 1024})
	for _, c := range []struct {
		ask  object
		want map[string]string
	}{
		{object{"Memory": 32 << 20}, map[string]string{"memory.max": "33554432", "memory.swap.max": "100663296"}},
		{object{"MemorySwap": -1}, map[string]string{"memory.max": "33554432", "memory.swap.max": "max"}},
		{object{"Memory": 128 << 20, "MemorySwap": 128 << 20, "MemoryReservation": 64 << 20}, map[string]string{"memory.max": "134217728", "memory.swap.max": "0", "memory.low": "67108864"}},
		{object{"CpuShares": 2}, map[string]string{"cpu.weight": "1"}},
		{object{"CpuQuota": 20000}, map[string]string{"cpu.max": "20000 100000"}},
		{object{"CpuPeriod": 50000}, map[string]string{"cpu.max": "20000 50000"}},
		{object{"CpuQuota": -1}, map[string]string{"cpu.max": "max 50000"}},
		{object{"CpusetCpus": "0", "CpusetMems": "0"}, map[string]string{"cpuset.cpus": "0", "cpuset.mems": "0"}},
		{object{"BlkioWeight": 1000}, map[string]string{"io.weight": "default 10000"}},
	} {
		var answer struct{ Warnings []string }
		b.must("POST", "/update", c.ask, &answer)
		if len(answer.Warnings) > 0 {
			t.Errorf("%v: warnings %q", c.ask, answer.Warnings)
		}
		for file, want := range c.want {
			if got := b.inside(file); !has(got, strings.Fields(want)...) {
				t.Errorf("%v: %s = %q, want %q", c.ask, file, got, want)
			}
		}
	}
	// What the kernel refuses changes nothing.
	if _, err := engine.call("POST", "/containers/"+b.id+"/update", object{"CpusetCpus": "4000", "CpuShares": 1024}, nil); err == nil {
		t.Error("a processor that is not there is taken")
	}
	if got := b.inside("cpuset.cpus") + " " + b.inside("cpu.weight"); got != "0 1" {
		t.Errorf("after a refused update: %s", got)
	}
}

type stats struct {
	CPUStats struct {
		CPUUsage struct {
			Total  uint64   `json:"total_usage"`
			PerCPU []uint64 `json:"percpu_usage"`
		} `json:"cpu_usage"`
		System     uint64 `json:"system_cpu_usage"`
		Throttling struct {
			Periods uint64 `json:"periods"`
		} `json:"throttling_data"`
	} `json:"cpu_stats"`
	Memory struct {
		Usage, Limit uint64
		MaxUsage     uint64 `json:"max_usage"`
		Stats        map[string]uint64
	} `json:"memory_stats"`
	Pids struct{ Current uint64 } `json:"pids_stats"`
	IO   struct {
		Bytes []struct {
			Major, Minor uint64
			Op           string
			Value        uint64
		} `json:"io_service_bytes_recursive"`
	} `json:"blkio_stats"`
}

func TestStats(t *testing.T) {
	path, number := disk(t)
	b := runs(t, object{"Memory": 64 << 20, "CpuQuota": 50000, "Devices": []object{{"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "r"}}},
		"sh", "-c", "head -c 8000000 /dev/zero >/dev/shm/kept; dd if="+path+" of=/dev/null bs=1M count=2 iflag=direct; while :; do :; done")
	var s stats
	eventually(t, "the container has done its work", func() bool {
		b.must("GET", "/stats?stream=0", nil, &s)
		return s.Memory.Usage > 8000000 && len(s.IO.Bytes) > 0 && s.CPUStats.Throttling.Periods > 0
	})
	if s.Memory.Limit != 64<<20 || s.Memory.MaxUsage > 64<<20 || s.Memory.Stats["rss"] == 0 || s.Memory.Stats["cache"] < 8000000 || s.Memory.Stats["pgfault"] == 0 {
		t.Errorf("memory: %+v", s.Memory)
	}
	if s.Pids.Current < 1 {
		t.Errorf("pids: %+v", s.Pids)
	}
	var sum uint64
	for _, n := range s.CPUStats.CPUUsage.PerCPU {
		sum += n
	}
	if s.CPUStats.CPUUsage.Total == 0 || sum != s.CPUStats.CPUUsage.Total || len(s.CPUStats.CPUUsage.PerCPU) != 2 || s.CPUStats.System == 0 {
		t.Errorf("cpu: %+v", s.CPUStats)
	}
	read := uint64(0)
	for _, e := range s.IO.Bytes {
		if strconv.FormatUint(e.Major, 10)+":"+strconv.FormatUint(e.Minor, 10) == number && strings.EqualFold(e.Op, "read") {
			read += e.Value
		}
	}
	if read < 2<<20 {
		t.Errorf("bytes read of %s: %d of %+v", number, read, s.IO.Bytes)
	}
}

func TestPause(t *testing.T) {
	b := runs(t, nil, "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/count; done")
	count := func() string {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(b.inspect().State.Pid) + "/root/count")
		if err != nil {
			return ""
		}
		return string(text)
	}
	eventually(t, "it counts", func() bool { return len(count()) > 2 })
	b.must("POST", "/pause", nil, nil)
	if got := b.outside("cgroup.freeze"); got != "1" {
		t.Errorf("cgroup.freeze = %s", got)
	}
	if s := b.inspect().State; !s.Paused || s.Status != "paused" {
		t.Errorf("state: %+v", s)
	}
	before := count()
	time.Sleep(500 * time.Millisecond)
	if now := count(); now != before {
		t.Errorf("it goes on: %q, then %q", before, now)
	}
	b.must("POST", "/unpause", nil, nil)
	eventually(t, "it goes on", func() bool { c := count(); return c != before && c != "" })
	if got := b.outside("cgroup.freeze"); got != "0" {
		t.Errorf("cgroup.freeze = %s", got)
	}
	b.must("POST", "/pause", nil, nil)
	b.must("POST", "/kill", nil, nil)
	if code := b.wait(); code != 137 {
		t.Errorf("killed while paused: %d", code)
	}
}

// happened lists the container's events so far.
func (b *box) happened() (actions []string) {
	b.t.Helper()
	filter, _ := json.Marshal(object{"container": []string{b.id}})
	var text string
	if _, err := engine.call("GET", "/events?since=0&until="+strconv.FormatInt(time.Now().Unix()+1, 10)+"&filters="+url.QueryEscape(string(filter)), nil, &text); err != nil {
		b.t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(text)); d.More(); {
		var e struct{ Action string }
		if err := d.Decode(&e); err != nil {
			b.t.Fatal(err)
		}
		actions = append(actions, e.Action)
	}
	return actions
}

func TestOutOfMemory(t *testing.T) {
	t.Run("first process", func(t *testing.T) {
		b := runs(t, object{"Memory": 16 << 20, "MemorySwap": 16 << 20}, "tail", "/dev/zero")
		if code := b.wait(); code != 137 {
			t.Errorf("exit code %d", code)
		}
		if s := b.inspect().State; !s.OOMKilled {
			t.Errorf("state: %+v", s)
		}
		if got := strings.Join(b.happened(), " "); !strings.Contains(got, "oom") || !strings.Contains(got, "die") {
			t.Errorf("events: %s", got)
		}
	})
	t.Run("another process", func(t *testing.T) {
		b := runs(t, object{"Memory": 16 << 20, "MemorySwap": 16 << 20}, "sh", "-c", "tail /dev/zero; sleep 100000")
		eventually(t, "the event oom", func() bool { return strings.Contains(strings.Join(b.happened(), " "), "oom") })
		if s := b.inspect().State; !s.Running {
			t.Errorf("state: %+v", s)
		}
	})
}

// A kill just before the end is told with the end.
func TestOutOfMemoryAtTheEnd(t *testing.T) {
	b := runs(t, object{"Memory": 16 << 20, "MemorySwap": 16 << 20}, "sh", "-c", "tail /dev/zero; exit 3")
	if code := b.wait(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if s := b.inspect().State; !s.OOMKilled {
		t.Errorf("state: %+v", s)
	}
}

// systemd takes an empty scope away, and the count of kills with it. Here it does so
// before the container's monitor has seen anything.
func TestOutOfMemoryOfALostScope(t *testing.T) {
	if *driver != "systemd" {
		t.Skip("there is no systemd in this boot")
	}
	for _, c := range []struct {
		last   string
		killed bool
	}{{"tail /dev/zero", true}, {"exit 137", false}} {
		b := runs(t, object{"Memory": 16 << 20, "MemorySwap": 16 << 20}, "sh", "-c", "trap 'go=1' USR1; while [ -z $go ]; do sleep 0.1; done; "+c.last)
		pid := b.inspect().State.Pid
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, parent, _ := strings.Cut(string(status), "\nPPid:\t")
		monitor, err := strconv.Atoi(strings.SplitN(parent, "\n", 2)[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(monitor, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the scope is gone", func() bool {
			_ = syscall.Kill(pid, syscall.SIGUSR1) // lost before the trap, and after the end
			return exec.Command("systemctl", "is-active", "-q", "berth-"+b.id+".scope").Run() != nil
		})
		if err := syscall.Kill(monitor, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if code := b.wait(); code != 137 {
			t.Errorf("%s: exit code %d", c.last, code)
		}
		if s := b.inspect().State; s.OOMKilled != c.killed {
			t.Errorf("%s: state: %+v", c.last, s)
		}
		if got := strings.Join(b.happened(), " "); strings.Contains(got, "oom") != c.killed {
			t.Errorf("%s: events: %s", c.last, got)
		}
	}
}

func TestTop(t *testing.T) {
	b := runs(t, nil, "sh", "-c", "sleep 1001 & sleep 1002; :")
	var top struct {
		Titles    []string
		Processes [][]string
	}
	eventually(t, "three processes", func() bool {
		b.must("GET", "/top", nil, &top)
		return len(top.Processes) == 3
	})
	text := ""
	for _, p := range top.Processes {
		text += strings.Join(p, " ") + "\n"
	}
	if !strings.Contains(text, "sleep 1001") || !strings.Contains(text, "sleep 1002") {
		t.Errorf("%v\n%s", top.Titles, text)
	}
}

// Without a pid namespace of its own the container's processes still end with
// its first one.
func TestKill(t *testing.T) {
	for _, mode := range []string{"", "host"} {
		t.Run("PidMode "+mode, func(t *testing.T) {
			b := runs(t, object{"PidMode": mode}, "sh", "-c", "sleep 1003 & sleep 1004; :")
			dir := b.dir()
			eventually(t, "three processes", func() bool { return len(strings.Fields(b.outside("cgroup.procs"))) == 3 })
			b.must("POST", "/kill", nil, nil)
			if code := b.wait(); code != 137 {
				t.Errorf("exit code %d", code)
			}
			eventually(t, "the cgroup is gone", func() bool { _, err := os.Stat(dir); return err != nil })
		})
	}
	b := runs(t, nil, "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")
	eventually(t, "the trap is set", func() bool { return len(strings.Fields(b.outside("cgroup.procs"))) >= 1 })
	time.Sleep(time.Second)
	b.must("POST", "/kill?signal=TERM", nil, nil)
	if code := b.wait(); code != 5 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
}

func TestPidsLimitHolds(t *testing.T) {
	b := runs(t, object{"PidsLimit": 30}) // an exec needs some threads itself
	if text, code := b.exec("sh", "-c", "for i in $(seq 60); do sleep 1000 & done; wait"); code == 0 || !strings.Contains(text, "fork") {
		t.Errorf("sixty processes: %q, %d", text, code)
	}
	if text := b.outside("pids.events"); !has(text, "max") || has(text, "max", "0") {
		t.Errorf("pids.events: %q", text)
	}
	if n, _ := strconv.Atoi(b.outside("pids.current")); n < 2 || n > 30 {
		t.Errorf("%d processes", n)
	}
}

// A container is a scope of systemd's, in its slice, with the limits as
// properties.
func TestScopes(t *testing.T) {
	if *driver != "systemd" {
		t.Skip("there is no systemd in this boot")
	}
	b := runs(t, object{"Memory": 64 << 20, "CpuShares": 2, "PidsLimit": 20})
	unit := "berth-" + b.id + ".scope"
	show := func() string {
		out, err := exec.Command("systemctl", "show", unit, "-p", "ActiveState,Slice,MemoryMax,CPUWeight,TasksMax").CombinedOutput()
		if err != nil {
			t.Fatalf("systemctl show: %v\n%s", err, out)
		}
		return string(out)
	}
	for _, want := range []string{"ActiveState=active", "Slice=berthcg.slice", "MemoryMax=67108864", "CPUWeight=1", "TasksMax=20"} {
		if text := show(); !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	b.must("POST", "/update", object{"Memory": 32 << 20, "MemorySwap": -1}, nil)
	if text := show(); !strings.Contains(text, "MemoryMax=33554432") {
		t.Errorf("after the update:\n%s", text)
	}
	// systemd reads its units anew without taking the limits away.
	if out, err := exec.Command("systemctl", "daemon-reload").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := b.inside("memory.max"); got != "33554432" {
		t.Errorf("after daemon-reload: %s", got)
	}
	for _, bad := range []string{"/berthcg", "no--good.slice", "berthcg"} {
		status, err := engine.call("POST", "/containers/create", object{"Image": "busybox", "Cmd": []string{"true"}, "HostConfig": object{"CgroupParent": bad}}, nil)
		if status != 400 || !strings.Contains(err.Error(), "xxx.slice") {
			t.Errorf("CgroupParent %s: %d, %v", bad, status, err)
		}
	}
}
