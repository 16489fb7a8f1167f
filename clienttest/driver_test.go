package clienttest

import (
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A daemon without a default network: its containers have a loopback device
// only, and networks that clients make work as ever.
func TestNoDefaultNetwork(t *testing.T) {
	t.Parallel()
	const name = "berthtest12"
	sum := sha256.Sum256([]byte(filepath.Join(scratch, name, "data", "network")))
	table := "bb-" + hex.EncodeToString(sum[:4])
	// After the engine's end, or it would put the table in place again.
	t.Cleanup(func() {
		if out, err := exec.Command("nft", "delete", "table", "inet", table).CombinedOutput(); err != nil {
			t.Errorf("the engine's table: %v %s", err, out)
		}
	})
	e := startCold(t, name, "10.213.15.1/24", launch{flags: []string{"--bridge", "none"}})
	if err := loadBusybox(e.Host()); err != nil {
		t.Fatal(err)
	}
	d := newDocker(t, e.Host(), "1.23")
	check := func(networks string) {
		t.Helper()
		d.equal("networks", d.run("network", "ls", "--format", "{{.Name}}"), networks)
		for _, device := range []string{"none", name} {
			if exec.Command("ip", "link", "show", device).Run() == nil {
				t.Errorf("there is a device %s", device)
			}
		}
		d.equal("devices", d.run("run", "--rm", "-p", "8080:80", "busybox", "ls", "/sys/class/net"), "lo")
	}
	check("host\nnone")
	d.run("run", "-d", "--name", "alone", "busybox", "sleep", "1000")
	d.equal("inspect", d.inspect("alone", "{{.Config.NetworkDisabled}} {{.NetworkSettings.IPAddress}}"), "true ")
	d.run("network", "create", "--subnet", "10.213.16.0/24", "net")
	d.run("run", "-d", "--name", "web", "--net", "net", "-p", "8080", "busybox", "sh", "-c", serve)
	_, port, _ := strings.Cut(strings.Split(d.run("port", "web", "8080"), "\n")[0], ":")
	eventually(t, "published port", func() bool { return strings.HasPrefix(ask("127.0.0.1:"+port), "hello") })
	e.Kill()
	e.comesBack()
	check("host\nnet\nnone")
	eventually(t, "published port after a kill", func() bool { return strings.HasPrefix(ask("127.0.0.1:"+port), "hello") })
	d.run("rm", "-f", "alone", "web")
	d.run("network", "rm", "net")
}

// A network of the macvlan driver, without a parent of the host's, over the
// command and its events.
func TestMacvlanNetwork(t *testing.T) {
	d := newDocker(t, engine, "1.23")
	since := time.Now()
	net, one, two := d.name("net"), d.name("one"), d.name("two")
	d.run("network", "create", "-d", "macvlan", "--internal", "--subnet", "10.214.7.0/24", net)
	d.equal("inspect", d.run("network", "inspect", "-f", "{{.Driver}} {{.Internal}} {{(index .IPAM.Config 0).Subnet}}", net), "macvlan true 10.214.7.0/24")
	d.run("run", "-d", "--name", one, "--net", net, "--ip", "10.214.7.9", "busybox", "sh", "-c", serve)
	d.run("run", "-d", "--name", two, "busybox", "sleep", "1000")
	d.run("network", "connect", net, two)
	d.equal("by name", d.run("exec", two, "sh", "-c", "for i in $(seq 50); do nc -w 2 "+one+" 8080 </dev/null && exit 0; sleep 0.1; done"), "hello from "+d.inspect(one, "{{.Config.Hostname}}"))
	d.run("network", "disconnect", net, two)
	d.equal("devices after leaving", d.run("exec", two, "ls", "/sys/class/net"), "eth0\nlo")
	d.fails(1, "has active endpoints", "network", "rm", net)
	d.run("rm", "-f", one, two)
	d.run("network", "rm", net)
	events := d.run("events", "--since", since.Add(-time.Second).Format(time.RFC3339Nano), "--until", time.Now().Add(time.Second).Format(time.RFC3339Nano),
		"--filter", "type=network", "--filter", "network="+net, "--format", `{{.Action}} {{.Actor.Attributes.type}}`)
	d.equal("events", events, "create macvlan\nconnect macvlan\nconnect macvlan\ndisconnect macvlan\ndisconnect macvlan\ndestroy macvlan")
}

// Networks may be called anything that a path can carry.
func TestStrangeNetworkNames(t *testing.T) {
	d := newDocker(t, engine, "1.23")
	for _, name := range []string{"a b", "ü-網", "x/y", "50%", "q?a&b", "#1", `"; drop`} {
		id := d.run("network", "create", "--internal", "-d", "macvlan", "--subnet", "10.214.8.0/24", name)
		d.equal("inspect", d.run("network", "inspect", "-f", "{{.Name}} {{.Id}}", name), name+" "+id)
		d.equal("list", d.run("network", "ls", "-q", "--no-trunc", "--filter", "id="+id), id)
		d.equal("container", d.run("run", "--rm", "--net", name, "busybox", "hostname", "-i"), "10.214.8.2")
		d.run("network", "rm", name)
	}
}
