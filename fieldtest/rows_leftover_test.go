package fieldtest

import (
	"errors"
	"net"
	"strings"
	"syscall"
)

// leftoverRows are about fields that the documents have and that do nothing:
// they are taken, change nothing inside, and are read back where the version's
// document shows them.
func leftoverRows() []row {
	return []row{
		{fields: "PortSpecs", prove: func(c *trial) {
			port := c.freePort()
			c.config["PortSpecs"] = list{port + ":4000"}
			c.start(greeter)
			c.eventually("the server is there", func() bool { return c.exec("netstat -ltn | grep -c ':4000 '") == "1" })
			if conn, err := net.Dial("tcp4", "127.0.0.1:"+port); err == nil {
				conn.Close()
				c.Errorf("port %s of the host is open", port)
			} else if !errors.Is(err, syscall.ECONNREFUSED) {
				c.Errorf("dial port %s of the host: %v", port, err)
			}
			c.shows("NetworkSettings.Ports", object{})
			c.shows("Config.PortSpecs", c.config["PortSpecs"])
		}},
		{fields: "Dns", prove: func(c *trial) {
			c.config["Dns"] = list{"10.9.8.7"}
			c.lacks("resolv.conf", c.run("cat /etc/resolv.conf"), `10\.9\.8\.7`)
		}},
		{fields: "VolumesFrom", prove: func(c *trial) {
			other := c.another()
			other.config["Volumes"] = object{"/data": object{}}
			other.create()
			c.config["VolumesFrom"] = other.name
			c.equal("mount", c.run(mountOf("/data")), "")
		}},
		{fields: "SecurityOpt", prove: func(c *trial) {
			c.config["SecurityOpt"] = list{"seccomp:unconfined"}
			c.matches("seccomp", c.run("grep Seccomp: /proc/self/status"), `\s2$`)
		}},
		{fields: "PublishService", prove: func(c *trial) {
			c.config["PublishService"] = "service.network"
			c.equal("devices", c.run("ls /sys/class/net | tr '\\n' ' '"), "eth0 lo")
		}},
		{fields: "Mounts Mounts.Name Mounts.Source Mounts.Destination Mounts.Driver Mounts.Mode Mounts.RW", prove: unusedMounts(false)},
		{fields: "Mounts.Propagation", prove: unusedMounts(true)},
		{fields: "HostConfig.LxcConf HostConfig.LxcConf.Key HostConfig.LxcConf.Value", prove: func(c *trial) {
			c.host["LxcConf"] = list{object{"Key": "lxc.utsname", "Value": "lxchost"}}
			c.equal("name", c.run("hostname"), c.id[:12])
			c.warned(`LxcConf`)
			c.shows("HostConfig.LxcConf", c.host["LxcConf"])
			d := c.another()
			d.host["LxcConf"] = object{"lxc.utsname": "lxchost"} // as the oldest clients write it
			d.equal("name", d.run("hostname"), d.id[:12])
			d.warned(`LxcConf`)
		}},
	}
}

func unusedMounts(propagation bool) func(*trial) {
	return func(c *trial) {
		m := object{"Name": "v" + c.name, "Source": "/etc", "Destination": "/data", "Driver": "local", "Mode": "ro", "RW": false}
		if propagation {
			m["Propagation"] = "rshared"
		}
		c.config["Mounts"] = list{m}
		c.equal("mount", c.run(mountOf("/data")), "")
		if a := c.call("GET", "/volumes", nil); a.status == 200 && strings.Contains(a.text(), `"v`+c.name+`"`) {
			c.Errorf("a volume was made: %s", a.text())
		}
		c.shows("Mounts", list{})
	}
}
