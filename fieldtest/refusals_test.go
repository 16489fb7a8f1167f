package fieldtest

import (
	"fmt"
	"testing"

	"github.com/seed-50ced230/berth/spec"
)

// refusal is a creation that the engine refuses with a status and a text.
type refusal struct {
	name string
	// versions are those that know the field; nil means all.
	versions []string
	// config and host are as in a trial.
	config, host object
	status       int
	// text is what the message must match: the words of Docker Engine, which
	// clients show and some look for.
	text string
}

const (
	bad      = 400
	missing  = 404
	conflict = 409
)

func refusals() []refusal {
	return []refusal{
		{name: "no image", config: object{"Image": ""}, status: bad, text: `^No image specified$`},
		{name: "missing image", config: object{"Image": "nosuch"}, status: missing, text: `^No such image: nosuch:latest$`},
		{name: "missing tag", config: object{"Image": "busybox:nosuch"}, status: missing, text: `^No such image: busybox:nosuch$`},
		{name: "relative working directory", config: object{"WorkingDir": "a/b"}, status: bad, text: `^The working directory 'a/b' is invalid\. It needs to be an absolute path\.$`},
		{name: "variable without a name", config: object{"Env": list{"=value"}}, status: bad, text: `^invalid environment variable: "=value"$`},
		{name: "hardware address", config: object{"MacAddress": "02:42"}, status: bad, text: `^invalid mac address "02:42"$`},
		{name: "signal", versions: since("1.21"), config: object{"StopSignal": "SIGNOPE"}, status: bad, text: `^Invalid signal: SIGNOPE$`},
		{name: "exposed port", config: object{"ExposedPorts": object{"x/tcp": object{}}}, status: bad, text: `^Invalid port specification: "x`},
		{name: "exposed port's protocol", config: object{"ExposedPorts": object{"80/nope": object{}}}, status: bad, text: `^Invalid port specification: "80/nope"$|^invalid proto: nope$`},
		{name: "relative volume", config: object{"Volumes": object{"a/b": object{}}}, status: bad, text: `^Invalid volume destination path: 'a/b' mount path must be absolute\.$`},
		{name: "volume at the root", config: object{"Volumes": object{"/": object{}}}, status: bad, text: `^Invalid volume`},
		{name: "environment of the wrong type", config: object{"Env": "x"}, status: bad, text: `Env`},

		{name: "little memory", host: object{"Memory": 1 << 20}, status: bad, text: `^Minimum memory limit allowed is 4MB$`},
		{name: "negative memory", host: object{"Memory": -1}, status: bad, text: `^Minimum memory limit allowed is 4MB$`},
		{name: "less swap than memory", host: object{"Memory": 64 << 20, "MemorySwap": 32 << 20}, status: bad, text: `^Minimum memoryswap limit should be larger than memory limit, see usage\.$`},
		{name: "swap without memory", host: object{"MemorySwap": 64 << 20}, status: bad, text: `^You should always set the Memory limit when using Memoryswap limit, see usage\.$`},
		{name: "more reservation than memory", versions: since("1.21"), host: object{"Memory": 32 << 20, "MemoryReservation": 64 << 20}, status: bad, text: `^Minimum memory limit should be larger than memory reservation limit, see usage\.$`},
		{name: "little kernel memory", versions: since("1.22"), host: object{"KernelMemory": 1 << 20}, status: bad, text: `^Minimum kernel memory limit allowed is 4MB$`},
		{name: "much swappiness", versions: since("1.20"), host: object{"MemorySwappiness": 101}, status: bad, text: `^Invalid value: 101, valid memory swappiness range is 0-100\.$`},
		{name: "little swappiness", versions: since("1.20"), host: object{"MemorySwappiness": -2}, status: bad, text: `^Invalid value: -2, valid memory swappiness range is 0-100\.$`},
		{name: "score", versions: since("1.21"), host: object{"OomScoreAdj": 1001}, status: bad, text: `^Invalid value 1001, range for oom score adj is \[-1000, 1000\]\.$`},
		{name: "processor that is not there", host: object{"CpusetCpus": "0,4096"}, status: bad, text: `^Requested CPUs are not available - requested 0,4096, available: 0.*\.$`},
		{name: "processors that are no list", host: object{"CpusetCpus": "x"}, status: bad, text: `^Invalid value x for cpuset cpus\.$`},
		{name: "memory node that is not there", versions: since("1.19"), host: object{"CpusetMems": "4096"}, status: bad, text: `^Requested memory nodes are not available - requested 4096, available: 0.*\.$`},
		{name: "memory nodes that are no list", versions: since("1.19"), host: object{"CpusetMems": "0-"}, status: bad, text: `^Invalid value 0- for cpuset mems\.$`},
		{name: "short period", versions: since("1.19"), host: object{"CpuPeriod": 999}, status: bad, text: `^CPU cfs period can not be less than 1ms \(i\.e\. 1000\) or larger than 1s \(i\.e\. 1000000\)$`},
		{name: "long period", versions: since("1.19"), host: object{"CpuPeriod": 1000001}, status: bad, text: `^CPU cfs period can not be less than 1ms`},
		{name: "small quota", versions: since("1.19"), host: object{"CpuQuota": 999}, status: bad, text: `^CPU cfs quota can not be less than 1ms \(i\.e\. 1000\)$`},
		{name: "low weight", versions: since("1.19"), host: object{"BlkioWeight": 9}, status: bad, text: `^Range of blkio weight is from 10 to 1000\.$`},
		{name: "high weight", versions: since("1.19"), host: object{"BlkioWeight": 1001}, status: bad, text: `^Range of blkio weight is from 10 to 1000\.$`},
		{name: "weight of a device", versions: since("1.22"), host: object{"BlkioWeightDevice": list{object{"Path": "/dev/null", "Weight": 1}}}, status: bad, text: `^Range of blkio weight is from 10 to 1000\.$`},
		{name: "negative shared memory", versions: since("1.22"), host: object{"ShmSize": -1}, status: bad, text: `^SHM size must be greater than 0$`},
		{name: "limit's name", host: object{"Ulimits": list{object{"Name": "nope", "Soft": 1, "Hard": 1}}}, status: bad, text: `^invalid ulimit name nope$`},
		{name: "soft limit over the hard", host: object{"Ulimits": list{object{"Name": "nofile", "Soft": 2, "Hard": 1}}}, status: bad, text: `^ulimit soft limit must be less than or equal to hard limit: 2 > 1$`},

		{name: "hostname in another's network", config: object{"Hostname": "h"}, host: object{"NetworkMode": "container:peer"}, status: conflict, text: `^Conflicting options: hostname and the network mode$`},
		{name: "links in another's network", host: object{"NetworkMode": "container:peer", "Links": list{"peer:p"}}, status: conflict, text: `^Conflicting options: container type network can't be used with links\.`},
		{name: "name servers in another's network", host: object{"NetworkMode": "container:peer", "Dns": list{"10.9.8.7"}}, status: conflict, text: `^Conflicting options: dns and the network mode$`},
		{name: "hosts in another's network", host: object{"NetworkMode": "container:peer", "ExtraHosts": list{"a:10.9.8.7"}}, status: conflict, text: `^Conflicting options: custom host-to-IP mapping and the network mode$`},
		{name: "hardware address in another's network", config: object{"MacAddress": "02:42:0a:d8:01:98"}, host: object{"NetworkMode": "container:peer"}, status: conflict, text: `^Conflicting options: mac-address and the network mode$`},
		{name: "ports in another's network", host: object{"NetworkMode": "container:peer", "PortBindings": object{"80/tcp": list{object{}}}}, status: conflict, text: `^Conflicting options: port publishing and the container type network mode$`},
		{name: "all ports in another's network", host: object{"NetworkMode": "container:peer", "PublishAllPorts": true}, status: conflict, text: `^Conflicting options: port publishing and the container type network mode$`},
		{name: "exposed ports in another's network", config: object{"ExposedPorts": object{"80/tcp": object{}}}, host: object{"NetworkMode": "container:peer"}, status: conflict, text: `^Conflicting options: port exposing and the container type network mode$`},
		{name: "links in the host's network", host: object{"NetworkMode": "host", "Links": list{"peer:p"}}, status: conflict, text: `^Conflicting options: host type networking can't be used with links\.`},
		{name: "hardware address in the host's network", config: object{"MacAddress": "02:42:0a:d8:01:98"}, host: object{"NetworkMode": "host"}, status: conflict, text: `^Conflicting options: mac-address and the network mode$`},
		{name: "hostname of the host", versions: since("1.19"), config: object{"Hostname": "h"}, host: object{"UTSMode": "host"}, status: conflict, text: `^Conflicting options: hostname and the UTS mode$`},
		{name: "network of nobody", host: object{"NetworkMode": "container:"}, status: bad, text: `^--net: invalid net mode: invalid container format container:<name\|id>$`},
		{name: "network of a container that is not there", host: object{"NetworkMode": "container:nosuch"}, status: missing, text: `^No such container: nosuch$`},
		{name: "IPC mode", host: object{"IpcMode": "nope"}, status: bad, text: `^--ipc: Invalid IPC mode$`},
		{name: "PID mode", host: object{"PidMode": "nope"}, status: bad, text: `^--pid: Invalid PID mode$`},
		{name: "processes of a container that is not there", host: object{"PidMode": "container:nosuch"}, status: missing, text: `^No such container: nosuch$`},
		{name: "UTS mode", versions: since("1.19"), host: object{"UTSMode": "nope"}, status: bad, text: `^--uts: Invalid UTS mode$`},
		{name: "user namespace", versions: since("1.23"), host: object{"UsernsMode": "nope"}, status: bad, text: `^--userns: Invalid USER mode$`},

		{name: "device's access", host: object{"Devices": list{object{"PathOnHost": "/dev/null", "CgroupPermissions": "x"}}}, status: bad, text: `^invalid device mode: x$`},
		{name: "published port", host: object{"PortBindings": object{"x/tcp": list{object{}}}}, status: bad, text: `^Invalid port specification: "x`},
		{name: "protocol of a published port", host: object{"PortBindings": object{"80/nope": list{object{}}}}, status: bad, text: `^Invalid port specification: "80/nope"$|^invalid proto: nope$`},
		{name: "port of the host", host: object{"PortBindings": object{"80/tcp": list{object{"HostPort": "70000"}}}}, status: bad, text: `^Invalid (hostPort|port specification): "?70000"?$`},
		{name: "address of the host", host: object{"PortBindings": object{"80/tcp": list{object{"HostIp": "nope"}}}}, status: bad, text: `^Invalid ip address: nope$`},
		{name: "name server", host: object{"Dns": list{"nope"}}, status: bad, text: `^nope is not an ip address$`},
		{name: "host without an address", host: object{"ExtraHosts": list{"a:nope"}}, status: bad, text: `^invalid IP address in add-host: "nope"$`},
		{name: "host without anything", host: object{"ExtraHosts": list{"a"}}, status: bad, text: `^bad format for add-host: "a"$`},
		{name: "link", host: object{"Links": list{"a:b:c"}}, status: bad, text: `^bad format for links: a:b:c$`},
		{name: "link to nobody", host: object{"Links": list{"nosuch:n"}}, status: missing, text: `^Could not get container for nosuch$`},

		{name: "relative bind destination", host: object{"Binds": list{"/a:b"}}, status: bad, text: `(?i)^invalid bind mount`},
		{name: "relative bind source", host: object{"Binds": list{"./a:/b"}}, status: bad, text: `includes invalid characters for a local volume name`},
		{name: "bind at the root", host: object{"Binds": list{"/a:/"}}, status: bad, text: `(?i)^invalid bind mount`},
		{name: "bind mode", host: object{"Binds": list{"/a:/b:rx"}}, status: bad, text: `(?i)^invalid bind mount spec.* invalid mode: rx$`},
		{name: "bind of four parts", host: object{"Binds": list{"/a:/b:ro:z"}}, status: bad, text: `(?i)^invalid bind mount`},
		{name: "two binds at one place", host: object{"Binds": list{"/a:/b", "/c:/b/"}}, status: bad, text: `^Duplicate mount point`},
		{name: "nocopy of a path", versions: since("1.23"), host: object{"Binds": list{"/a:/b:nocopy"}}, status: bad, text: `(?i)^invalid bind mount`},
		{name: "volumes of nobody", host: object{"VolumesFrom": list{"nosuch"}}, status: missing, text: `^No such container: nosuch$`},
		{name: "mode of volumes", host: object{"VolumesFrom": list{"peer:rx"}}, status: bad, text: `^invalid mode for volumes-from: rx$`},
		{name: "tmpfs and bind at one place", versions: since("1.22"), host: object{"Tmpfs": object{"/b": ""}, "Binds": list{"/a:/b"}}, status: bad, text: `^Duplicate mount point`},
		{name: "relative tmpfs", versions: since("1.22"), host: object{"Tmpfs": object{"b": ""}}, status: bad, text: `^invalid tmpfs destination "b"$`},
		{name: "option of a tmpfs", versions: since("1.22"), host: object{"Tmpfs": object{"/b": "nope"}}, status: bad, text: `(?i)^invalid tmpfs option.*"?nope`},
		{name: "restart policy", host: object{"RestartPolicy": object{"Name": "sometimes"}}, status: bad, text: `^invalid restart policy '?sometimes'?$`},
		{name: "negative number of restarts", host: object{"RestartPolicy": object{"Name": "on-failure", "MaximumRetryCount": -1}}, status: bad, text: `^maximum restart count cannot be negative$`},
		{name: "capability to add", host: object{"CapAdd": list{"NOPE"}}, status: bad, text: `^Unknown capability to add: "NOPE"$`},
		{name: "capability to drop", host: object{"CapDrop": list{"NOPE"}}, status: bad, text: `^Unknown capability to drop: "NOPE"$`},
		{name: "security option", host: object{"SecurityOpt": list{"nope"}}, status: bad, text: `^Invalid --security-opt.*: "nope"$`},
		{name: "security system", host: object{"SecurityOpt": list{"nope:yes"}}, status: bad, text: `^Invalid --security-opt.*: "nope:yes"$`},
		{name: "seccomp profile", host: object{"SecurityOpt": list{"seccomp:{"}}, status: bad, text: `(?i)decoding seccomp profile failed`},
		{name: "log driver", host: object{"LogConfig": object{"Type": "nope"}}, status: bad, text: `^logger: no log driver named 'nope' is registered`},
		{name: "option of a log driver", host: object{"LogConfig": object{"Type": "json-file", "Config": object{"nope": "1"}}}, status: bad, text: `^unknown log opt 'nope' for json-file log driver$`},
	}
}

// peer makes the container that refusals refer to; it does not run.
func peer(t *testing.T) {
	t.Helper()
	c := newTrial(t, "1.23")
	c.name = "peer"
	c.config["Cmd"] = list{"true"}
	c.create()
}

// What cannot be is refused when the container is created: with the documented
// status, in words that say what is wrong, and nothing is left of it.
func TestRefusals(t *testing.T) {
	peer(t)
	before := newTrial(t, "1.23").count()
	t.Run("all", func(t *testing.T) {
		for _, r := range refusals() {
			versions := r.versions
			if versions == nil {
				versions = spec.Versions()
			}
			for _, v := range versions {
				t.Run(r.name+"/"+v, func(t *testing.T) {
					t.Parallel()
					c := newTrial(t, v)
					c.config["Cmd"] = list{"true"}
					for k, v := range r.config {
						c.config[k] = v
					}
					c.host = r.host
					a := c.tryCreate()
					c.equal("status", a.status, r.status)
					c.matches("text", a.text(), r.text)
					if a := c.call("GET", "/containers/"+c.name+"/json", nil); a.status != missing {
						c.Errorf("the refused container is there: %v", a)
					}
				})
			}
		}
	})
	c := newTrial(t, "1.23")
	c.equal("containers, volumes and directories afterwards", c.count(), before)
}

// count tells how many containers and volumes there are.
func (c *trial) count() string {
	c.Helper()
	return fmt.Sprintf("%d containers, volumes: %s", len(c.list("all", "1")), c.must("GET", "/volumes", nil).text())
}

// Names are checked and are each one container's.
func TestNames(t *testing.T) {
	peer(t)
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			c := newTrial(t, v)
			c.config["Cmd"] = list{"true"}
			for name, want := range map[string]struct {
				status int
				text   string
			}{
				"a+b":     {bad, `^Invalid container name \(a b\), only \[a-zA-Z0-9_\.-\] are allowed|^Invalid container name`},
				".a":      {bad, `^Invalid container name \(\.a\)`},
				"a%2Fb":   {bad, `^Invalid container name \(a/b\)`},
				"peer":    {conflict, `^Conflict\. The name "/peer" is already in use by container [0-9a-f]{64}\. You have to (remove|delete) \(or rename\) that container to be able to reuse that name\.$`},
				"%2Fpeer": {conflict, `^Conflict\. The name "/peer"`},
			} {
				d := c.another()
				d.config["Cmd"] = list{"true"}
				d.name = name
				a := d.tryCreate()
				c.equal("status of "+name, a.status, want.status)
				c.matches("text of "+name, a.text(), want.text)
			}
		})
	}
}

// Numbers that a restart policy has no use for are taken, as every engine of
// these versions did.
func TestRestartCountIsIgnored(t *testing.T) {
	for _, v := range spec.Versions() {
		for _, policy := range []string{"always", "no", ""} {
			c := newTrial(t, v)
			c.config["Cmd"] = list{"true"}
			c.host["RestartPolicy"] = object{"Name": policy, "MaximumRetryCount": 3}
			c.create()
		}
	}
}
