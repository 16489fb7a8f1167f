package fieldtest

import (
	"os"
	"path/filepath"
	"strings"
)

// cgroupFile reads a file of the container's own cgroup (version 1) in the
// container.
func cgroupFile(controller, name string) string {
	return "cat /sys/fs/cgroup/" + controller + "/" + name
}

// kernelHas says whether the host's kernel has a file in every cgroup below the
// root (version 1).
func (c *trial) kernelHas(controller, name string) bool {
	_, err := os.Stat(filepath.Join("/sys/fs/cgroup", controller, strings.TrimPrefix(cgroup, "/"), name))
	return err == nil
}

// limit proves a number that ends up in a file of the cgroup and comes back in
// inspect.
func limit(path string, value any, controller, file, want string) func(*trial) {
	return func(c *trial) {
		settings := c.host
		key, inHost := strings.CutPrefix(path, "HostConfig.")
		shown := path
		if !inHost {
			settings, shown = c.config, "Config."+path
		}
		settings[key] = value
		c.equal(file, c.run(cgroupFile(controller, file)), want)
		c.shows(shown, value)
	}
}

func resourceRows() []row {
	const (
		mem   = "memory"
		bytes = "memory.limit_in_bytes"
		both  = "memory.memsw.limit_in_bytes"
	)
	swap := func(memory, swap int, want string) func(*trial) {
		return func(c *trial) {
			c.host["Memory"], c.host["MemorySwap"] = memory, swap
			c.equal(both, c.run(cgroupFile(mem, both)), want)
			c.shows("HostConfig.MemorySwap", swap)
		}
	}
	return []row{
		{fields: "HostConfig.Memory", prove: limit("HostConfig.Memory", 64<<20, mem, bytes, "67108864")},
		{fields: "HostConfig.Memory", name: "holds", prove: func(c *trial) {
			c.host["Memory"], c.host["MemorySwap"] = 16<<20, 16<<20
			// Alone in the container: of several processes the kernel may choose any.
			c.start("exec tail /dev/zero")
			c.equal("the end of a process that wants more", c.wait(), 137)
			c.shows("State.OOMKilled", true)
		}},
		{fields: "HostConfig.MemorySwap", prove: swap(64<<20, 96<<20, "100663296")},
		{fields: "HostConfig.MemorySwap", name: "unlimited", prove: swap(64<<20, -1, "9223372036854771712")},
		{fields: "HostConfig.MemorySwap", name: "left out", prove: func(c *trial) {
			c.host["Memory"] = 64 << 20
			c.equal(both, c.run(cgroupFile(mem, both)), "134217728")
		}},
		{fields: "HostConfig.MemoryReservation", prove: limit("HostConfig.MemoryReservation", 32<<20, mem, "memory.soft_limit_in_bytes", "33554432")},
		{fields: "HostConfig.MemorySwappiness", prove: limit("HostConfig.MemorySwappiness", 17, mem, "memory.swappiness", "17")},
		{fields: "HostConfig.MemorySwappiness", name: "zero", prove: limit("HostConfig.MemorySwappiness", 0, mem, "memory.swappiness", "0")},
		{fields: "HostConfig.KernelMemory", prove: func(c *trial) {
			c.host["KernelMemory"] = 32 << 20
			out := c.run(cgroupFile(mem, "memory.kmem.limit_in_bytes"))
			c.shows("HostConfig.KernelMemory", 32<<20)
			if out != "33554432" {
				// Linux 5.16 took the limit away: the file is there and cannot be set.
				c.warned(`(?i)kernel memory`)
			}
		}},
		{fields: "HostConfig.OomKillDisable", prove: func(c *trial) {
			c.host["OomKillDisable"], c.host["Memory"] = true, 64<<20
			c.matches("memory.oom_control", c.run(cgroupFile(mem, "memory.oom_control")), `oom_kill_disable 1`)
			c.shows("HostConfig.OomKillDisable", true)
		}},
		{fields: "HostConfig.OomScoreAdj", prove: func(c *trial) {
			c.host["OomScoreAdj"] = 321
			c.equal("oom_score_adj", c.run("cat /proc/self/oom_score_adj"), "321")
			c.shows("HostConfig.OomScoreAdj", 321)
		}},
		{fields: "HostConfig.CpuShares", prove: limit("HostConfig.CpuShares", 512, "cpu", "cpu.shares", "512")},
		{fields: "HostConfig.CpuShares", name: "moved into the range", versions: between("1.18", "1.18"), prove: func(c *trial) {
			c.host["CpuShares"] = 1
			c.equal("cpu.shares", c.run(cgroupFile("cpu", "cpu.shares")), "2")
			c.shows("HostConfig.CpuShares", 2)
		}},
		{fields: "HostConfig.CpuPeriod", prove: limit("HostConfig.CpuPeriod", 50000, "cpu", "cpu.cfs_period_us", "50000")},
		{fields: "HostConfig.CpuQuota", prove: limit("HostConfig.CpuQuota", 25000, "cpu", "cpu.cfs_quota_us", "25000")},
		{fields: "HostConfig.CpusetCpus", prove: func(c *trial) {
			c.host["CpusetCpus"] = "0"
			c.matches("cpus", c.run(cgroupFile("cpuset", "cpuset.cpus")+"; grep Cpus_allowed_list /proc/self/status"), `^0\nCpus_allowed_list:\s0$`)
			c.shows("HostConfig.CpusetCpus", "0")
		}},
		{fields: "HostConfig.CpusetMems", prove: func(c *trial) {
			c.host["CpusetMems"] = "0"
			c.matches("mems", c.run(cgroupFile("cpuset", "cpuset.mems")+"; grep Mems_allowed_list /proc/self/status"), `^0\nMems_allowed_list:\s0$`)
			c.shows("HostConfig.CpusetMems", "0")
		}},
		{fields: "HostConfig.PidsLimit", prove: func(c *trial) {
			c.host["PidsLimit"] = 9
			c.matches("pids", c.run(cgroupFile("pids", "pids.max")+"; (for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done) 2>&1; true"), `(?s)^9\n.*can't fork`)
			c.shows("HostConfig.PidsLimit", 9)
		}},
		{fields: "HostConfig.PidsLimit", name: "none", prove: limit("HostConfig.PidsLimit", -1, "pids", "pids.max", "max")},
		{fields: "HostConfig.Ulimits HostConfig.Ulimits.Name HostConfig.Ulimits.Soft HostConfig.Ulimits.Hard", prove: func(c *trial) {
			c.host["Ulimits"] = list{
				object{"Name": "nofile", "Soft": 123, "Hard": 456}, object{"Name": "core", "Soft": 0, "Hard": 0},
				object{"Name": "memlock", "Soft": 65536, "Hard": 65536}, object{"Name": "cpu", "Soft": -1, "Hard": -1},
			}
			out := c.run("cat /proc/self/limits")
			c.matches("nofile", out, `Max open files\s+123\s+456\s`)
			c.matches("core", out, `Max core file size\s+0\s+0\s`)
			c.matches("memlock", out, `Max locked memory\s+65536\s+65536\s`)
			c.matches("cpu", out, `Max cpu time\s+unlimited\s+unlimited\s`)
			c.shows("HostConfig.Ulimits", c.host["Ulimits"])
		}},
		{fields: "HostConfig.CgroupParent", prove: func(c *trial) {
			parent := cgroup + "/of/" + c.name
			c.host["CgroupParent"] = parent
			c.matches("cgroups", c.run("cat /proc/self/cgroup"), `:memory:`+parent+`/`+c.id)
			c.shows("HostConfig.CgroupParent", parent)
		}},
		{fields: "HostConfig.CgroupParent", name: "relative", prove: func(c *trial) {
			parent := strings.TrimPrefix(cgroup, "/") + "/of/" + c.name
			c.host["CgroupParent"] = parent
			c.matches("cgroups", c.run("cat /proc/self/cgroup"), `:memory:(/.+)?/`+parent+`/`+c.id)
			c.shows("HostConfig.CgroupParent", parent)
		}},
		{fields: "Memory", prove: limit("Memory", 64<<20, mem, bytes, "67108864")},
		{fields: "MemorySwap", prove: func(c *trial) {
			c.config["Memory"], c.config["MemorySwap"] = 64<<20, 96<<20
			c.equal(both, c.run(cgroupFile(mem, both)), "100663296")
			c.shows("Config.MemorySwap", 96<<20)
			c.shows("HostConfig.MemorySwap", 96<<20)
		}},
		{fields: "CpuShares", prove: limit("CpuShares", 512, "cpu", "cpu.shares", "512")},
		{fields: "Cpuset", prove: limit("Cpuset", "0", "cpuset", "cpuset.cpus", "0")},
	}
}
