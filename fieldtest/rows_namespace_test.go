package fieldtest

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// namespaceRows are about what a container shares with the host or with
// another container.
func namespaceRows() []row {
	// shared proves host and container:… for a namespace.
	joins := func(field, kind string) func(*trial) {
		return func(c *trial) {
			other := c.another()
			other.idle()
			theirs := other.exec("readlink /proc/self/ns/" + kind)
			c.host[field] = "container:" + other.name
			c.equal("namespace", c.run("readlink /proc/self/ns/"+kind), theirs)
			c.shows("HostConfig."+field, "container:"+other.id)
			own := c.another()
			if got := own.run("readlink /proc/self/ns/" + kind); got == theirs || got == link(c, "/proc/self/ns/"+kind) {
				c.Errorf("a container that asks for nothing has no %s namespace of its own: %s", kind, got)
			}
			own.shows("HostConfig."+field, map[string]string{"NetworkMode": "default"}[field])
		}
	}
	host := func(field, kind string) func(*trial) {
		return func(c *trial) {
			c.host[field] = "host"
			c.equal("namespace", c.run("readlink /proc/self/ns/"+kind), link(c, "/proc/self/ns/"+kind))
			c.shows("HostConfig."+field, "host")
		}
	}
	return []row{
		{fields: "HostConfig.PidMode", name: "host", prove: host("PidMode", "pid")},
		{fields: "HostConfig.PidMode", name: "container", prove: joins("PidMode", "pid")},
		{fields: "HostConfig.PidMode", name: "processes", prove: func(c *trial) {
			other := c.another().start("exec sleep 998")
			c.host["PidMode"] = "container:" + other.id
			c.matches("processes", c.run("ps -o args"), `sleep 998`)
			d := c.another()
			d.lacks("processes of a container of its own", d.run("ps -o args"), `sleep 998`)
		}},
		{fields: "HostConfig.IpcMode", name: "host", prove: host("IpcMode", "ipc")},
		{fields: "HostConfig.IpcMode", name: "container", prove: joins("IpcMode", "ipc")},
		{fields: "HostConfig.IpcMode", name: "shared memory", prove: func(c *trial) {
			other := c.another()
			other.host["ShmSize"] = 4 << 20
			other.start("echo theirs >/dev/shm/file; exec sleep 1000")
			c.host["IpcMode"] = "container:" + other.id
			c.eventually("the other's file is there", func() bool { return other.exec("cat /dev/shm/file") == "theirs" })
			c.equal("the other's /dev/shm", c.run("cat /dev/shm/file"), "theirs")
		}},
		{fields: "HostConfig.UTSMode", prove: func(c *trial) {
			c.host["UTSMode"] = "host"
			name, err := os.Hostname()
			if err != nil {
				c.Fatal(err)
			}
			c.equal("namespace and name", c.run("readlink /proc/self/ns/uts; hostname"), link(c, "/proc/self/ns/uts")+"\n"+name)
			c.shows("HostConfig.UTSMode", "host")
		}},
		{fields: "HostConfig.NetworkMode", name: "host", prove: host("NetworkMode", "net")},
		{fields: "HostConfig.NetworkMode", name: "container", prove: joins("NetworkMode", "net")},
		{fields: "HostConfig.NetworkMode", name: "files of the other container", prove: func(c *trial) {
			other := c.another()
			other.config["Hostname"] = "theirs"
			other.host["ExtraHosts"] = list{"extra:10.9.8.7"}
			other.idle()
			c.host["NetworkMode"] = "container:" + other.name
			c.equal("names", c.run("hostname; cat /etc/hosts; cat /etc/hostname"), "theirs\n"+other.exec("cat /etc/hosts; cat /etc/hostname"))
		}},
		{fields: "HostConfig.NetworkMode", name: "none", prove: func(c *trial) {
			c.host["NetworkMode"] = "none"
			c.equal("devices and routes", c.run("ls /sys/class/net | tr '\\n' ' '; ip route | wc -l"), "lo 0")
			c.shows("HostConfig.NetworkMode", "none")
		}},
		{fields: "HostConfig.NetworkMode", name: "bridge", prove: func(c *trial) {
			c.host["NetworkMode"] = "bridge"
			c.matches("devices", c.run("ip -4 -o addr; ip route"), `(?s)eth0\s+inet 10\.216\..*default via 10\.216\.0\.1 dev eth0`)
			c.shows("HostConfig.NetworkMode", "bridge")
		}},
		{fields: "HostConfig.NetworkMode", name: "network", versions: since("1.21"), prove: func(c *trial) {
			subnet := c.subnet()
			network := c.network(subnet + "0/24")
			c.host["NetworkMode"] = network
			c.matches("devices", c.run("ip -4 -o addr; ip route; cat /etc/resolv.conf"), `(?s)eth0\s+inet `+subnet+`.*default via `+subnet+`1 dev eth0.*nameserver 127\.0\.0\.11`)
			c.shows("HostConfig.NetworkMode", network)
			if _, ok := at(c.inspected(), "NetworkSettings.Networks").(object)[network]; !ok {
				c.Errorf("inspect's networks lack %s", network)
			}
		}},
	}
}

// subnet is the beginning of an IPv4 subnet of 24 bits for this test alone:
// "10.216.40.".
func (c *trial) subnet() string { return fmt.Sprintf("10.216.%d.", 4+subnets.Add(1)%250) }

var subnets atomic.Int64

// network makes a network with subnets and gives its name.
func (c *trial) network(subnets ...string) string {
	c.Helper()
	name := "net" + c.name + strings.ReplaceAll(c.version, ".", "")
	config := list{}
	for _, s := range subnets {
		config = append(config, object{"Subnet": s})
	}
	a, err := c.requestJSON("POST", "/v1.23/networks/create", object{"Name": name, "EnableIPv6": len(subnets) > 1, "IPAM": object{"Config": config}})
	if err != nil || a.status != 201 {
		c.Fatalf("make network %s: %v %v", name, a, err)
	}
	c.Cleanup(func() {
		if a, err := c.requestJSON("DELETE", "/v1.23/networks/"+name, nil); err != nil || a.status >= 400 {
			c.Errorf("remove network %s: %v %v", name, a, err)
		}
	})
	return name
}
