package clienttest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"

	"github.com/seed-50ced230/berth/testbed/plugin"
)

func isMounted(t *testing.T, path string) bool {
	t.Helper()
	is, err := mountinfo.Mounted(path)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// Volumes with options of the local driver and volumes of a plugin, in
// containers, while the daemon is killed.
func TestVolumeDrivers(t *testing.T) {
	sockets, err := os.MkdirTemp("/tmp", "berth-plugins-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	p, err := plugin.Start("volume", filepath.Join(sockets, "shelf.sock"), sockets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	e := startCold(t, "berthtest5", "10.213.12.1/24", launch{flags: []string{"--plugin-sockets", sockets, "--plugin-spec", filepath.Join(sockets, "none")}})
	if err := loadBusybox(e.Host()); err != nil {
		t.Fatal(err)
	}
	e.warm()
	before := e.steady()
	d := newDocker(t, e.Host(), "1.23")

	d.run("volume", "create", "--name", "mem", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m")
	d.run("volume", "create", "--name", "mem", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m")
	d.fails(1, "volume name must be unique", "volume", "create", "--name", "mem")
	data := d.run("volume", "inspect", "-f", "{{.Mountpoint}}", "mem")
	d.run("run", "-d", "--name", "one", "-v", "mem:/mem", "busybox", "sh", "-c", "echo hello >/mem/file; sleep 1000")
	d.run("run", "-d", "--name", "two", "-v", "mem:/mem", "busybox", "sleep", "1000")
	eventually(t, "the file is there for the second", func() bool { return d.try("", "exec", "two", "cat", "/mem/file").stdout == "hello\n" })
	d.fails(1, "[one two]", "volume", "rm", "mem")

	d.run("run", "-d", "--name", "three", "--volume-driver", "shelf", "-v", "books:/books", "busybox", "sh", "-c", "echo moby >/books/dick; sleep 1000")
	eventually(t, "the file is at the plugin", func() bool {
		text, _ := os.ReadFile(filepath.Join(sockets, "volumes/books/dick"))
		return string(text) == "moby\n"
	})
	d.equal("the mount's driver and source", d.inspect("three", "{{range .Mounts}}{{.Driver}} {{.Source}}{{end}}"), "shelf "+filepath.Join(sockets, "volumes/books"))
	d.matches("drivers", d.run("info"), "Volume: local shelf")
	for _, version := range []string{"1.18", "1.19", "1.20", "1.21", "1.22"} {
		v := newDocker(t, e.Host(), version)
		v.equal("the file at "+version, v.run("run", "--rm", "--volume-driver", "shelf", "-v", "books:/b", "busybox", "cat", "/b/dick"), "moby")
	}

	e.Kill()
	if !isMounted(t, data) {
		t.Error("the volume is gone with the daemon")
	}
	e.comesBack()
	d.run("rm", "-f", "one")
	d.equal("the file after a restart", d.run("exec", "two", "cat", "/mem/file"), "hello")
	d.run("stop", "-t", "0", "two")
	eventually(t, "the last one has it unmounted", func() bool { return !isMounted(t, data) })
	host, copied := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "file"), []byte("there\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.run("volume", "create", "--name", "bound", "-o", "type=none", "-o", "device="+host, "-o", "o=bind")
	bound := d.run("volume", "inspect", "-f", "{{.Mountpoint}}", "bound")
	d.run("create", "--name", "four", "-v", "bound:/bound", "busybox")
	d.run("cp", "four:/bound/file", copied)
	if text, err := os.ReadFile(filepath.Join(copied, "file")); err != nil || string(text) != "there\n" {
		t.Errorf("a copy from a container that does not run: %q %v", text, err)
	}
	if isMounted(t, bound) {
		t.Error("mounted for the copy and left")
	}

	d.run("rm", "four")
	d.run("volume", "rm", "bound")

	// The plugin hangs: everything else goes on.
	for _, m := range []string{"List", "Get", "Mount", "Unmount", "Create", "Path", "Remove"} {
		if err := p.Behave(m, "hang"); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	d.run("ps", "-a")
	d.run("inspect", "three")
	d.run("start", "two")
	d.run("rm", "-f", "two")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("beside a plugin that hangs: %v", took)
	}
	d.matches("the list", d.run("volume", "ls", "-q"), "(?m)^mem$")
	for _, m := range []string{"List", "Get", "Mount", "Unmount", "Create", "Path", "Remove"} {
		if err := p.Behave(m, ""); err != nil {
			t.Fatal(err)
		}
	}
	d.run("rm", "-f", "three")
	eventually(t, "unmounted at the plugin", func() bool { return p.Count("Mount books") == p.Count("Unmount books") })
	d.run("volume", "rm", "books")
	d.run("volume", "rm", "mem")
	e.settles(before)
}
