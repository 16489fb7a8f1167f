package clienttest

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCopy(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("create", "--name", name, "busybox", "sh", "-c", "mkdir /made; echo inside >/made/file; cat /given/file")
		if d.since("1.20") { // the archive came with 1.20; the command uses nothing else
			source := filepath.Dir(file(t, "file", "outside\n"))
			d.run("cp", source, name+":/given")
			d.equal("what was copied in", d.run("start", "-a", name), "outside")
			target := t.TempDir()
			d.run("cp", name+":/made/file", target)
			got, err := os.ReadFile(filepath.Join(target, "file"))
			if err != nil || string(got) != "inside\n" {
				t.Errorf("what was copied out: %q, %v", got, err)
			}
			d.fails(1, "(?i)no such container:path|could not find the file", "cp", name+":/nosuch", target)
			return
		}
		d.fails(1, "No such container:path", "cp", name+":/etc/passwd", t.TempDir())
	})
}

func TestDiffAndExport(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "--name", name, "busybox", "sh", "-c", "echo x >/new; rm /etc/group; chmod 700 /home")
		diff := d.run("diff", name)
		for _, want := range []string{"A /new", "D /etc/group", "C /home", "C /etc"} {
			d.matches("diff", diff, "(?m)^"+want+"$")
		}
		archive := filepath.Join(t.TempDir(), "root.tar")
		d.run("export", "-o", archive, name)
		f, err := os.Open(archive)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		found := map[string]bool{}
		for r := tar.NewReader(f); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			found[strings.TrimPrefix(h.Name, "./")] = true
		}
		if !found["new"] || found["etc/group"] || !found["bin/busybox"] {
			t.Errorf("export holds new: %v, etc/group: %v, bin/busybox: %v", found["new"], found["etc/group"], found["bin/busybox"])
		}
	})
}

func TestCommit(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name, image := d.name("c"), d.tag("committed")
		d.run("run", "--name", name, "busybox", "sh", "-c", "echo kept >/kept")
		id := d.run("commit", "-m", "a message", "-a", "an author", "-c", `CMD ["cat", "/kept"]`, name, image)
		d.equal("id", d.inspect(image, "{{.Id}}"), id)
		d.equal("author and comment", d.inspect(image, "{{.Author}}: {{.Comment}}"), "an author: a message")
		d.equal("container of the commit", d.run("run", "--rm", "--name", d.name("of"), image), "kept")
	})
}

func TestTopAndPause(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "busybox", "sleep", "1000")
		d.matches("top", d.run("top", name), `(?s)PID.*sleep 1000`)
		d.matches("top with options of ps", d.run("top", name, "-o", "pid,args"), `(?m)^PID +COMMAND$`)
		d.run("pause", name)
		d.equal("paused", d.inspect(name, "{{.State.Paused}} {{.State.Running}}"), "true true")
		d.matches("ps", d.run("ps", "--filter", "name="+name, "--format", "{{.Status}}"), `\(Paused\)`)
		d.fails(1, "paused", "exec", name, "true")
		d.run("unpause", name)
		d.equal("unpaused", d.inspect(name, "{{.State.Paused}} {{.State.Running}}"), "false true")
		d.run("exec", name, "true")
	})
}

func TestStats(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		if !d.since("1.19") {
			return // stream=0, which --no-stream needs, came with 1.19
		}
		name := d.name("c")
		d.run("run", "-d", "--name", name, "-m", "64m", "busybox", "sleep", "1000")
		d.matches("stats", d.run("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", name), `[0-9.]+[KM]iB / 64MiB`)
	})
}

func TestUpdate(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		if !d.since("1.22") {
			return // there was none before
		}
		name := d.name("c")
		d.run("run", "-d", "--name", name, "-m", "64m", "--memory-swap", "128m", "busybox", "sleep", "1000")
		d.run("update", "-m", "32m", "--cpu-shares", "256", name)
		d.equal("limits", d.inspect(name, "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}}"), "33554432 256")
	})
}
