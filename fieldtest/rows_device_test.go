package fieldtest

import (
	"os"
	"path/filepath"
	"syscall"
)

// The device that these rows give to containers: a number that no driver
// serves. Opening its node is ENXIO where the devices cgroup lets it, EPERM
// where it does not.
const (
	deviceMajor = 261
	deviceMinor = 7
)

const (
	noDriver = `No such device or address`
	denied   = `Operation not permitted`
)

// deviceNode makes a node of the device in a directory of the host.
func (c *trial) deviceNode(name string) string {
	c.Helper()
	path := filepath.Join(c.dir(), name)
	// makedev(3): the major's low 12 bits from bit 8, the minor's low 8 bits from bit 0.
	if err := syscall.Mknod(path, syscall.S_IFCHR|0o640, deviceMajor<<8|deviceMinor); err != nil {
		c.Fatal(err)
	}
	return path
}

// openings tries a node for reading and for writing and makes another node.
func openings(path string) string {
	return `cat ` + path + ` 2>&1; true 2>&1 >` + path + `; (: >` + path + `) 2>&1; mknod /made c 261 7 2>&1 && echo made`
}

func deviceRows() []row {
	const all = "HostConfig.Devices HostConfig.Devices.PathOnHost HostConfig.Devices.PathInContainer HostConfig.Devices.CgroupPermissions"
	return []row{
		{fields: all, name: "rwm", prove: func(c *trial) {
			node := c.deviceNode("node")
			c.host["Devices"] = list{object{"PathOnHost": node, "PathInContainer": "/dev/mine", "CgroupPermissions": "rwm"}}
			out := c.run("ls -l /dev/mine | awk '{print $1,$5,$6}';" + openings("/dev/mine"))
			c.matches("node", out, `^crw-r----- 261, 7\n`)
			c.matches("opened", out, noDriver)
			c.lacks("opened", out, denied)
			c.matches("mknod", out, `made$`)
			c.shows("HostConfig.Devices", c.host["Devices"])
		}},
		{fields: all, name: "r", prove: func(c *trial) {
			node := c.deviceNode("node")
			c.host["Devices"] = list{object{"PathOnHost": node, "PathInContainer": "/dev/mine", "CgroupPermissions": "r"}}
			c.matches("reading", c.run("cat /dev/mine 2>&1 || true"), noDriver)
			d := c.another()
			d.host["Devices"] = c.host["Devices"]
			d.matches("writing", d.run("(: >/dev/mine) 2>&1 || true"), denied)
			// Nodes may be made (a rule that all containers have), and are of no more use.
			e := c.another()
			e.host["Devices"] = c.host["Devices"]
			e.matches("writing to a node of one's own", e.run("mknod /made c 261 7 && { (: >/made) 2>&1 || true; }"), denied)
			c.shows("HostConfig.Devices", c.host["Devices"])
		}},
		{fields: all, name: "of the same path, by default all", prove: func(c *trial) {
			node := c.deviceNode("node")
			c.host["Devices"] = list{object{"PathOnHost": node}}
			out := c.run(openings(node) + "; true")
			c.matches("opened", out, noDriver)
			c.lacks("opened", out, denied)
		}},
		{fields: "HostConfig.Devices", name: "directory", prove: func(c *trial) {
			node := c.deviceNode("one")
			if err := os.Mkdir(filepath.Join(filepath.Dir(node), "sub"), 0o755); err != nil {
				c.Fatal(err)
			}
			if err := syscall.Mknod(filepath.Join(filepath.Dir(node), "sub", "two"), syscall.S_IFCHR|0o600, deviceMajor<<8|deviceMinor); err != nil {
				c.Fatal(err)
			}
			c.host["Devices"] = list{object{"PathOnHost": filepath.Dir(node), "PathInContainer": "/dev/many", "CgroupPermissions": "rw"}}
			out := c.run("ls /dev/many /dev/many/sub; cat /dev/many/one /dev/many/sub/two 2>&1 || true")
			c.matches("nodes", out, `(?s)one\nsub\n.*two\n.*`+noDriver+`.*`+noDriver)
		}},
		{fields: "HostConfig.Devices", name: "none", prove: func(c *trial) {
			c.matches("a node of one's own", c.run("mknod /made c 261 7 && { cat /made 2>&1 || true; }"), denied)
			c.equal("nodes", c.another().run("cd /dev; ls -d full null random tty urandom zero console ptmx 2>/dev/null | wc -l; ls /dev/vda /dev/kmsg /dev/mem 2>/dev/null | wc -l"), "7\n0")
		}},
	}
}
