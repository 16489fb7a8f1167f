package fieldtest

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// capabilities(7): bits of the sets in /proc/self/status.
const (
	capChown    = 1 << 0
	capKill     = 1 << 5
	capNetAdmin = 1 << 12
	capNetRaw   = 1 << 13
	capSysTime  = 1 << 25
	capMknod    = 1 << 27
	// usualCaps are the fourteen that a container has by default.
	usualCaps = 0xa80425fb
)

// capabilitySet runs the container and wants its effective set to be exactly
// that.
func capabilitySet(c *trial, want uint64) {
	c.Helper()
	out := c.run("grep Cap /proc/self/status")
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd"} {
		c.equal(set, statusBits(c, out, set), fmt.Sprintf("%016x", want))
	}
}

func statusBits(c *trial, status, set string) string {
	c.Helper()
	m := regexp.MustCompile(`(?m)^` + set + `:\s+([0-9a-f]+)$`).FindStringSubmatch(status)
	if m == nil {
		c.Fatalf("no %s in %q", set, status)
	}
	return m[1]
}

// hostCaps is the bounding set of the machine's processes: no container has
// more.
func (c *trial) hostCaps() uint64 {
	c.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		c.Fatal(err)
	}
	n, err := strconv.ParseUint(statusBits(c, string(data), "CapBnd"), 16, 64)
	if err != nil {
		c.Fatal(err)
	}
	return n
}

func isolationRows() []row {
	caps := func(field string, value any, shown list, want uint64) func(*trial) {
		return func(c *trial) {
			c.host[field] = value
			capabilitySet(c, want)
			c.shows("HostConfig."+field, shown)
		}
	}
	profile := `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO","args":[]},{"name":"mkdirat","action":"SCMP_ACT_ERRNO","args":[]}]}`
	security := func(option, script, want string) func(*trial) {
		return func(c *trial) {
			c.host["SecurityOpt"] = list{option}
			c.matches("from inside", c.run(script), want)
			c.shows("HostConfig.SecurityOpt", list{option})
		}
	}
	const confinement = "grep -E 'Seccomp:|NoNewPrivs' /proc/self/status"
	return []row{
		{fields: "HostConfig.CapAdd", name: "list", prove: caps("CapAdd", list{"NET_ADMIN", "cap_sys_time"}, list{"NET_ADMIN", "cap_sys_time"}, usualCaps|capNetAdmin|capSysTime)},
		{fields: "HostConfig.CapAdd", name: "string", prove: caps("CapAdd", "NET_ADMIN", list{"NET_ADMIN"}, usualCaps|capNetAdmin)},
		{fields: "HostConfig.CapAdd", name: "all", prove: func(c *trial) {
			c.host["CapAdd"] = list{"ALL"}
			capabilitySet(c, c.hostCaps())
		}},
		{fields: "HostConfig.CapDrop", name: "list", prove: caps("CapDrop", list{"MKNOD", "NET_RAW"}, list{"MKNOD", "NET_RAW"}, usualCaps&^(capMknod|capNetRaw))},
		{fields: "HostConfig.CapDrop", name: "all", prove: caps("CapDrop", list{"ALL"}, list{"ALL"}, 0)},
		{fields: "HostConfig.CapDrop", name: "all but some", prove: func(c *trial) {
			c.host["CapDrop"], c.host["CapAdd"] = list{"all"}, list{"CHOWN", "KILL"}
			capabilitySet(c, capChown|capKill)
		}},
		{fields: "HostConfig.CapAdd", name: "all but some", prove: func(c *trial) {
			c.host["CapAdd"], c.host["CapDrop"] = list{"ALL"}, list{"MKNOD"}
			capabilitySet(c, c.hostCaps()&^capMknod)
		}},
		{fields: "HostConfig.Privileged", prove: func(c *trial) {
			c.host["Privileged"] = true
			out := c.run("grep -E 'Cap|Seccomp:' /proc/self/status; ls /dev/kmsg /dev/loop-control; " + mountOf("/sys") + ";" + mountOf("/sys/fs/cgroup/memory") + "; mount -t tmpfs x /mnt 2>/dev/null || { mkdir /m && mount -t tmpfs x /m; } && echo mounted; mknod /made c 261 7 && echo made; echo 1 >/proc/sys/net/ipv4/ip_forward && echo sysctl")
			c.equal("capabilities", statusBits(c, out, "CapEff"), fmt.Sprintf("%016x", c.hostCaps()))
			c.matches("the rest", out, `(?s)Seccomp:\s0\n.*/dev/kmsg\n.*/dev/loop-control\n.* /sys rw.* /sys/fs/cgroup/memory rw.*mounted\nmade\nsysctl$`)
			c.shows("HostConfig.Privileged", true)
			d := c.another()
			out = d.run("grep Seccomp: /proc/self/status; " + mountOf("/sys") + ";" + mountOf("/sys/fs/cgroup/memory") + "; mkdir /m; mount -t tmpfs x /m 2>&1; (echo 1 >/proc/sys/net/ipv4/ip_forward) 2>&1; true")
			d.matches("without", out, `(?s)Seccomp:\s2\n.* /sys ro.* /sys/fs/cgroup/memory ro.*permission denied.*Read-only file system`)
			d.shows("HostConfig.Privileged", false)
		}},
		{fields: "HostConfig.SecurityOpt", name: "nothing", prove: func(c *trial) {
			c.matches("from inside", c.run(confinement), `^NoNewPrivs:\s0\nSeccomp:\s2$`)
		}},
		{fields: "HostConfig.SecurityOpt", name: "seccomp unconfined", prove: security("seccomp:unconfined", confinement, `^NoNewPrivs:\s0\nSeccomp:\s0$`)},
		{fields: "HostConfig.SecurityOpt", name: "seccomp unconfined with =", prove: security("seccomp=unconfined", confinement, `^NoNewPrivs:\s0\nSeccomp:\s0$`)},
		{fields: "HostConfig.SecurityOpt", name: "seccomp profile", prove: security("seccomp:"+profile, confinement+"; mkdir /x 2>&1; true", `(?s)Seccomp:\s2\n.*Operation not permitted`)},
		{fields: "HostConfig.SecurityOpt", name: "no-new-privileges", prove: security("no-new-privileges", confinement, `^NoNewPrivs:\s1\nSeccomp:\s2$`)},
		// On a host without the security system these say nothing, and must not do harm.
		{fields: "HostConfig.SecurityOpt", name: "label", prove: security("label:disable", "cat /proc/self/attr/current 2>/dev/null; echo ran", `ran$`)},
		{fields: "HostConfig.SecurityOpt", name: "apparmor", prove: security("apparmor:unconfined", "cat /proc/self/attr/current 2>/dev/null; echo ran", `^(unconfined.*\n)?ran$`)},
		{fields: "HostConfig.GroupAdd", prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{}
			c.host["GroupAdd"] = list{"more", "7890"}
			c.equal("groups", c.run("id -u; id -G; grep Groups /proc/self/status | tr -s '\\t ' ' '"), "1234\n2345 3456 4567 7890\nGroups: 2345 3456 4567 7890")
			c.shows("HostConfig.GroupAdd", list{"more", "7890"})
		}},
		{fields: "HostConfig.UsernsMode", prove: func(c *trial) {
			c.host["UsernsMode"] = "host"
			c.equal("ids of the host", c.run("tr -s ' ' ' ' </proc/self/uid_map | sed 's/^ //'; readlink /proc/self/ns/user"), "0 0 4294967295\n"+link(c, "/proc/self/ns/user"))
			c.shows("HostConfig.UsernsMode", "host")
		}},
	}
}

// link is where a symbolic link of the host points.
func link(c *trial, path string) string {
	c.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		c.Fatal(err)
	}
	return target
}
