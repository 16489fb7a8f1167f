package clienttest

import "testing"

// Volumes with names came with 1.21.
func TestVolumes(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		if !d.since("1.21") {
			d.fails(1, "requires API version 1.21", "volume", "ls")
			return
		}
		volume := d.name("v")
		t.Cleanup(func() { d.try("", "volume", "rm", volume) })
		d.equal("create", d.run("volume", "create", "--name", volume), volume)
		d.matches("ls", d.run("volume", "ls", "-q"), "(?m)^"+volume+"$")
		d.run("run", "--rm", "--name", d.name("w"), "-v", volume+":/data", "busybox", "sh", "-c", "echo kept >/data/file")
		reader := d.name("r")
		d.equal("read in another container", d.run("run", "--name", reader, "-v", volume+":/data:ro", "busybox", "cat", "/data/file"), "kept")
		d.fails(1, "in use", "volume", "rm", volume)
		d.run("rm", reader)
		d.run("volume", "rm", volume)
		d.fails(1, "(?i)no such volume", "volume", "inspect", volume)
	})
}

// Networks came with 1.21.
func TestNetworks(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		if !d.since("1.21") {
			d.fails(1, "requires API version 1.21", "network", "ls")
			return
		}
		network := d.name("n")
		t.Cleanup(func() { d.try("", "network", "rm", network) })
		id := d.run("network", "create", network)
		d.matches("ls", d.run("network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}} {{.Driver}}"), "(?m)^"+id+" "+network+" bridge$")
		server := d.name("server")
		d.run("run", "-d", "--name", server, "--net", network, "busybox", "sh", "-c", serve)
		address := d.inspect(server, `{{(index .NetworkSettings.Networks "`+network+`").IPAddress}}`)
		d.matches("address", address, `^\d+\.\d+\.\d+\.\d+$`)
		d.matches("from a neighbour", d.run("run", "--rm", "--name", d.name("near"), "--net", network, "busybox", "sh", "-c",
			"for i in $(seq 50); do nc -w 2 "+address+" 8080 </dev/null && exit 0; sleep 0.1; done; exit 1"), "^hello from ")
		far := d.name("far")
		d.run("run", "-d", "--name", far, "busybox", "sleep", "1000")
		d.run("network", "connect", network, far)
		d.matches("connected", d.run("exec", far, "nc", "-w", "2", address, "8080"), "^hello from ")
		d.fails(1, "active endpoints", "network", "rm", network)
		d.run("network", "disconnect", network, far)
		d.run("rm", "-f", server)
		d.run("network", "rm", network)
		d.fails(1, "(?i)no such network|not found", "network", "inspect", network)
	})
}

// What a list of volumes is asked for, what creating twice means, and who uses one.
func TestVolumeRules(t *testing.T) {
	d := newDocker(t, engine, "1.23")
	used, free, user := d.name("used"), d.name("free"), d.name("user")
	for _, v := range []string{used, free} {
		t.Cleanup(func() { d.try("", "volume", "rm", v) })
		d.run("volume", "create", "--name", v, "--label", "kind=ours")
	}
	d.run("run", "-d", "--name", user, "-v", used+":/data", "busybox", "sh", "-c", "echo kept >/data/file; sleep 1000")
	for filter, want := range map[string]string{
		"dangling=true": free, "dangling=false": used, "driver=local": free + "\n" + used, "driver=nosuch": "",
	} {
		d.equal(filter, d.run("volume", "ls", "-q", "--filter", filter, "--filter", "name="+d.name("")), want)
	}
	d.run("volume", "create", "--name", used, "--label", "kind=ours") // the same again
	d.fails(1, "(?i)conflict|already", "volume", "create", "--name", used, "--label", "kind=theirs")
	d.fails(1, "(?i)conflict|already", "volume", "create", "--name", used, "-o", "type=tmpfs", "-o", "device=tmpfs")
	d.fails(1, user, "volume", "rm", used)
	d.run("rm", "-f", "-v", user) // names outlive the containers
	d.equal("data", d.run("run", "--rm", "-v", used+":/data", "busybox", "cat", "/data/file"), "kept")
	d.matches("inspect", d.run("volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Labels.kind}} {{.Mountpoint}}", used), "^"+used+" local ours /")
	for _, v := range []string{used, free} {
		d.run("volume", "rm", v)
	}
}
