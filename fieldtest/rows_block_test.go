package fieldtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// disks are the block devices of the machine that have a node in /dev: paths and
// numbers ("254:0").
func (c *trial) disks() (found [][2]string) {
	c.Helper()
	entries, err := os.ReadDir("/sys/block")
	if err != nil {
		c.Fatal(err)
	}
	for _, e := range entries {
		var st syscall.Stat_t
		path := filepath.Join("/dev", e.Name())
		data, err := os.ReadFile(filepath.Join("/sys/block", e.Name(), "dev"))
		if err == nil && syscall.Stat(path, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFBLK {
			found = append(found, [2]string{path, strings.TrimSpace(string(data))})
		}
	}
	return found
}

// disk is the first of them.
func (c *trial) disk() (path, number string) {
	c.Helper()
	found := c.disks()
	if len(found) == 0 {
		c.Fatal("the machine has no block device")
	}
	return found[0][0], found[0][1]
}

// diskWithWeights is a device whose scheduler knows weights.
func (c *trial) diskWithWeights() (found [2]string, ok bool) {
	c.Helper()
	for _, d := range c.disks() {
		scheduler, _ := os.ReadFile(filepath.Join("/sys/block", filepath.Base(d[0]), "queue", "scheduler"))
		if strings.Contains(string(scheduler), "[bfq]") || strings.Contains(string(scheduler), "[cfq]") {
			return d, true
		}
	}
	return found, false
}

func blockRows() []row {
	rate := func(field, file string, value int) row {
		path := "HostConfig." + field
		return row{fields: path + " " + path + ".Path " + path + ".Rate", prove: func(c *trial) {
			disk, number := c.disk()
			c.host[field] = list{object{"Path": disk, "Rate": value}}
			c.equal(file, c.run(cgroupFile("blkio", file)), fmt.Sprintf("%s %d", number, value))
			c.shows(path, c.host[field])
		}}
	}
	return []row{
		rate("BlkioDeviceReadBps", "blkio.throttle.read_bps_device", 1<<20),
		rate("BlkioDeviceWriteBps", "blkio.throttle.write_bps_device", 2<<20),
		rate("BlkioDeviceReadIOps", "blkio.throttle.read_iops_device", 1000),
		rate("BlkioDeviceWriteIOps", "blkio.throttle.write_iops_device", 2000),
		{fields: "HostConfig.BlkioWeight", prove: func(c *trial) {
			c.host["BlkioWeight"] = 300
			out := c.run("cat /sys/fs/cgroup/blkio/blkio.weight /sys/fs/cgroup/blkio/blkio.bfq.weight 2>/dev/null; true")
			if c.kernelHas("blkio", "blkio.weight") || c.kernelHas("blkio", "blkio.bfq.weight") {
				c.matches("weight", out, `\b300\b`)
				c.shows("HostConfig.BlkioWeight", 300)
			} else {
				c.warned(`(?i)does not support Block I/O weight`)
				c.shows("HostConfig.BlkioWeight", 0)
			}
		}},
		{fields: "HostConfig.BlkioWeightDevice HostConfig.BlkioWeightDevice.Path HostConfig.BlkioWeightDevice.Weight", prove: func(c *trial) {
			disk, number := c.disk()
			if with, ok := c.diskWithWeights(); ok {
				disk, number = with[0], with[1]
			}
			c.host["BlkioWeightDevice"] = list{object{"Path": disk, "Weight": 200}}
			out := c.run("cat /sys/fs/cgroup/blkio/blkio.weight_device /sys/fs/cgroup/blkio/blkio.bfq.weight_device 2>/dev/null; true")
			if _, ok := c.diskWithWeights(); ok {
				c.matches("weight", out, number+` 200\b`)
				c.shows("HostConfig.BlkioWeightDevice", c.host["BlkioWeightDevice"])
			} else {
				c.warned(`(?i)does not support Block I/O weight_device`)
				c.shows("HostConfig.BlkioWeightDevice", list{})
			}
		}},
	}
}
