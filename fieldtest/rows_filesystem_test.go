package fieldtest

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/seed-50ced230/berth/spec"
)

// mountOf prints the line of /proc/self/mountinfo of a mount point: its options,
// propagation and superblock options.
func mountOf(path string) string {
	return `awk '$5 == "` + path + `"' /proc/self/mountinfo | tail -1`
}

// filesystemRows are about what the container sees of files.
func filesystemRows() []row {
	return []row{
		{fields: "HostConfig.Binds", name: "host path", prove: func(c *trial) {
			dir := c.dir("file", "of the host\n")
			c.host["Binds"] = list{dir + ":/given"}
			c.equal("content", c.run("cat /given/file; echo of the container >/given/new; ls /given"), "of the host\nfile\nnew")
			if data, err := os.ReadFile(filepath.Join(dir, "new")); err != nil || string(data) != "of the container\n" {
				c.Errorf("what the container wrote: %q, %v", data, err)
			}
			c.shows("HostConfig.Binds", list{dir + ":/given"})
			c.showsMount("/given", dir, "", true)
		}},
		{fields: "HostConfig.Binds", name: "read-only", prove: func(c *trial) {
			dir := c.dir("file", "of the host\n")
			c.host["Binds"] = list{dir + ":/given:ro"}
			c.matches("writing", c.run("cat /given/file; touch /given/new 2>&1; "+mountOf("/given")), `(?s)^of the host\n.*Read-only file system\n.* /given ro[, ]`)
			c.showsMount("/given", dir, "ro", false)
		}},
		{fields: "HostConfig.Binds", name: "a file, with a label", prove: func(c *trial) {
			dir := c.dir("file", "of the host\n")
			c.host["Binds"] = list{dir + "/file:/etc/given:rw,Z"}
			c.equal("content", c.run("cat /etc/given; echo more >>/etc/given"), "of the host")
			c.showsMount("/etc/given", dir+"/file", "rw,Z", true)
		}},
		{fields: "HostConfig.Binds", name: "a path that the host lacks", versions: spec.Versions(), prove: func(c *trial) {
			dir := filepath.Join(c.dir(), "not", "there")
			c.host["Binds"] = list{dir + ":/given"}
			c.equal("content", c.run("touch /given/new; ls /given"), "new")
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				c.Errorf("the host's directory: %v", err)
			}
		}},
		{fields: "HostConfig.Binds", name: "named volume", versions: since("1.21"), prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"], c.config["User"] = richImage, list{}, "root"
			volume := c.volume()
			c.host["Binds"] = list{volume + ":/content"}
			c.equal("the image's content", c.run("cat /content/file; ls -ldn /content | awk '{print $1,$3,$4}'; echo kept >/content/new"), "from-image\ndrwxr-x--- 1234 2345")
			d := c.another()
			d.host["Binds"] = list{volume + ":/elsewhere:ro"}
			d.matches("the next container", d.run("cat /elsewhere/new; touch /elsewhere/x 2>&1; true"), `(?s)^kept\n.*Read-only`)
			c.showsMount("/content", "", "", true)
			c.equal("the mount's name and driver", []any{c.mount("/content")["Name"], c.mount("/content")["Driver"]}, list{volume, "local"})
		}},
		{fields: "HostConfig.Binds", name: "nocopy", versions: since("1.23"), prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"], c.config["User"] = richImage, list{}, "root"
			c.host["Binds"] = list{c.volume() + ":/content:nocopy"}
			c.equal("content", c.run("ls /content"), "sub") // made for the image's WorkingDir
			c.shows("HostConfig.Binds", c.host["Binds"])
		}},
		{fields: "HostConfig.Binds", name: "propagation", versions: since("1.22"), prove: func(c *trial) {
			dir := c.sharedMount()
			c.host["Binds"] = list{dir + ":/shared:rshared", dir + ":/slave:rslave", dir + ":/private:rprivate"}
			c.idle()
			c.matches("shared", c.exec(mountOf("/shared")), ` shared:\d+ `)
			c.matches("slave", c.exec(mountOf("/slave")), ` master:\d+ `)
			c.lacks("private", c.exec(mountOf("/private")), `shared:|master:`)
			inner := filepath.Join(dir, "inner")
			if err := os.Mkdir(inner, 0o755); err != nil {
				c.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", inner, "tmpfs", 0, ""); err != nil {
				c.Fatal(err)
			}
			c.Cleanup(func() { _ = syscall.Unmount(inner, syscall.MNT_DETACH) })
			if err := os.WriteFile(filepath.Join(inner, "later"), []byte("x"), 0o644); err != nil {
				c.Fatal(err)
			}
			c.equal("a mount that the host makes later", c.exec("ls /shared/inner /slave/inner; ls /private/inner"), "/shared/inner:\nlater\n\n/slave/inner:\nlater")
			for destination, propagation := range map[string]string{"/shared": "rshared", "/slave": "rslave", "/private": "rprivate"} {
				c.equal("inspect's propagation of "+destination, c.mount(destination)["Propagation"], propagation)
			}
		}},
		{fields: "Volumes", prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"], c.config["User"] = richImage, list{}, "root"
			c.config["Volumes"] = object{"/content": object{}, "/empty": object{}}
			out := c.run("cat /content/file; ls /empty; touch /empty/x /imagevolume/x; " + mountOf("/content") + ";" + mountOf("/empty") + ";" + mountOf("/imagevolume"))
			c.matches("content and mounts", out, `(?s)^from-image\n.* /content rw.* /empty rw.* /imagevolume rw`)
			c.shows("Config.Volumes", object{"/content": object{}, "/empty": object{}, "/imagevolume": object{}})
			for _, destination := range []string{"/content", "/empty", "/imagevolume"} {
				c.showsMount(destination, "", "", true)
			}
			c.goneWithV("/empty")
		}},
		{fields: "HostConfig.VolumesFrom", prove: func(c *trial) {
			from := c.another()
			dir := c.dir("file", "of the host\n")
			from.config["Volumes"] = object{"/data": object{}}
			from.host["Binds"] = list{dir + ":/bound:ro"}
			from.start("echo first >/data/file")
			from.wait()
			c.host["VolumesFrom"] = list{from.name}
			c.matches("both mounts", c.run("cat /data/file /bound/file; echo second >/data/file; touch /bound/x 2>&1; true"), `(?s)^first\nof the host\n.*Read-only`)
			c.shows("HostConfig.VolumesFrom", list{from.name})
			c.showsMount("/data", "", "", true)
			c.showsMount("/bound", dir, "ro", false)
			ro := c.another()
			ro.host["VolumesFrom"] = list{from.id + ":ro"}
			ro.matches("read-only", ro.run("cat /data/file; touch /data/x 2>&1; true"), `(?s)^second\n.*Read-only`)
			ro.equal("writable", ro.writable("/data"), false)
			rw := c.another()
			rw.host["VolumesFrom"] = list{from.name + ":rw"}
			rw.equal("read-write", rw.run("echo third >/data/file; cat /data/file"), "third")
		}},
		{fields: "HostConfig.Tmpfs", prove: func(c *trial) {
			c.host["Tmpfs"] = object{"/run/a": "rw,size=65536k,mode=1770", "/b": "", "/c": "ro,exec"}
			out := c.run("touch /run/a/x /b/x && " + mountOf("/run/a") + ";" + mountOf("/b") + ";" + mountOf("/c") + ";ls -ld /run/a")
			c.matches("the first", out, ` /run/a rw,nosuid,nodev,noexec,.* tmpfs .*size=65536k,mode=1770`)
			c.matches("without options", out, ` /b rw,nosuid,nodev,noexec.* tmpfs `)
			c.matches("with others", out, ` /c ro,nosuid,nodev,relatime.* tmpfs `)
			c.shows("HostConfig.Tmpfs", c.host["Tmpfs"])
		}},
		{fields: "HostConfig.ReadonlyRootfs", prove: func(c *trial) {
			c.host["ReadonlyRootfs"] = true
			c.config["Volumes"] = object{"/data": object{}}
			c.matches("writing", c.run("touch /x 2>&1; touch /etc/x 2>&1; (echo y >>/etc/hosts) 2>&1; touch /data/x /dev/shm/x && echo volumes; "+mountOf("/")),
				`(?s)^touch: /x: Read-only file system\n.*/etc/x: Read-only file system\n.*/etc/hosts: Read-only file system\nvolumes\n.* / / ro[, ]`)
			c.shows("HostConfig.ReadonlyRootfs", true)
			d := c.another()
			d.equal("without", d.run("touch /x && echo written"), "written")
			d.shows("HostConfig.ReadonlyRootfs", false)
		}},
		{fields: "HostConfig.ShmSize", prove: func(c *trial) {
			c.host["ShmSize"] = 8 << 20
			c.equal("size", c.run("df -k /dev/shm | awk 'NR==2{print $2}'"), "8192")
			c.shows("HostConfig.ShmSize", 8<<20)
			d := c.another()
			d.equal("the default", d.run("df -k /dev/shm | awk 'NR==2{print $2}'"), "65536")
			d.shows("HostConfig.ShmSize", 64<<20)
		}},
		{fields: "VolumeDriver", prove: volumeDriver("VolumeDriver")},
		{fields: "HostConfig.VolumeDriver", prove: volumeDriver("HostConfig.VolumeDriver")},
	}
}

// volumeDriver proves the driver of a container's volumes in the
// configuration's form or in the host configuration's.
func volumeDriver(path string) func(*trial) {
	return func(c *trial) {
		settings := func(c *trial) object {
			if path == "VolumeDriver" {
				return c.config
			}
			return c.host
		}
		settings(c)["VolumeDriver"] = "local"
		c.host["Binds"] = list{c.volume() + ":/data"}
		c.matches("mount", c.run("echo x >/data/x && "+mountOf("/data")), ` /data rw`)
		shown := path
		if path == "VolumeDriver" {
			shown = "Config.VolumeDriver"
		}
		c.shows(shown, "local")
		d := c.another()
		settings(d)["VolumeDriver"] = "nosuchdriver"
		d.host["Binds"] = list{"v" + d.name + ":/data"}
		if a := d.tryCreate(); a.status < 400 {
			c.Errorf("an unknown driver: %v", a)
		} else {
			c.matches("an unknown driver", a.text(), "nosuchdriver")
		}
	}
}

// dir is a directory of the host with files: names and contents in turns.
func (c *trial) dir(files ...string) string {
	c.Helper()
	dir, err := os.MkdirTemp(scratch, "given-")
	if err != nil {
		c.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		c.Fatal(err)
	}
	for i := 0; i+1 < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o644); err != nil {
			c.Fatal(err)
		}
	}
	return dir
}

// sharedMount is a directory that is a mount of its own with shared
// propagation.
func (c *trial) sharedMount() string {
	c.Helper()
	dir := c.dir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := syscall.Mount("", dir, "", syscall.MS_SHARED, ""); err != nil {
		c.Fatal(err)
	}
	return dir
}

// volume is the name of a volume that the test takes away again.
func (c *trial) volume() string {
	c.Helper()
	name := "v" + c.name
	c.Cleanup(func() {
		if a, err := c.requestJSON("DELETE", "/v1.23/volumes/"+name, nil); err != nil || a.status >= 400 && a.status != 404 {
			c.Errorf("remove volume %s: %v %v", name, a, err)
		}
	})
	return name
}

// mount is what inspect shows of a mount point, in the form of versions from
// 1.20 on.
func (c *trial) mount(destination string) object {
	c.Helper()
	mounts, _ := at(c.inspected(), "Mounts").(list)
	for _, m := range mounts {
		if m.(object)["Destination"] == destination {
			return m.(object)
		}
	}
	c.Errorf("inspect shows no mount at %s: %s", destination, print(mounts))
	return object{}
}

// writable is what inspect says of a mount point in the version's form.
func (c *trial) writable(destination string) any {
	c.Helper()
	if c.since("1.20") {
		return c.mount(destination)["RW"]
	}
	return at(c.inspected(), "VolumesRW."+destination)
}

// showsMount wants a mount in the form of the version: Volumes and VolumesRW
// before 1.20, Mounts from there on. An empty source is that of a volume, which
// must be a directory of the host.
func (c *trial) showsMount(destination, source, mode string, rw bool) {
	c.Helper()
	m := c.inspected()
	if c.since("1.20") {
		for _, gone := range []string{"Volumes", "VolumesRW"} {
			if _, there := m[gone]; there {
				c.Errorf("inspect shows %s, which this version does not have", gone)
			}
		}
		p := c.mount(destination)
		c.equal("mode of "+destination, p["Mode"], mode)
		c.equal("RW of "+destination, p["RW"], rw)
		c.sameSource(destination, p["Source"], source)
		return
	}
	if _, there := m["Mounts"]; there {
		c.Errorf("inspect shows Mounts, which this version does not have")
	}
	c.equal("RW of "+destination, m["VolumesRW"].(object)[destination], rw)
	c.sameSource(destination, m["Volumes"].(object)[destination], source)
}

func (c *trial) sameSource(destination string, got any, want string) {
	c.Helper()
	path, _ := got.(string)
	if want != "" {
		c.equal("source of "+destination, path, want)
	} else if info, err := os.Stat(path); err != nil || !info.IsDir() {
		c.Errorf("source of %s: %q is no directory: %v", destination, path, err)
	}
}

// goneWithV removes the container with v=1 and wants the volume at a mount
// point to be gone.
func (c *trial) goneWithV(destination string) {
	c.Helper()
	m := c.inspected()
	var source string
	if c.since("1.20") {
		source, _ = c.mount(destination)["Source"].(string)
	} else {
		source, _ = m["Volumes"].(object)[destination].(string)
	}
	c.must("DELETE", "/containers/"+c.id+"?v=1", nil)
	if _, err := os.Stat(source); source == "" || !os.IsNotExist(err) {
		c.Errorf("the volume %q is still there after the container's removal with v=1: %v", source, err)
	}
}
