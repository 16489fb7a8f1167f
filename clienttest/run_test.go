package clienttest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunEcho(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.equal("output", d.run("run", "--rm", "--name", name, "busybox", "echo", "hi"), "hi")
		d.equal("after --rm", d.run("ps", "-a", "-q", "--filter", "name="+name), "")
	})
}

func TestRunStreamsAndExitCode(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		r := d.try("", "run", "--name", d.name("c"), "busybox", "sh", "-c", "echo out; echo err >&2; exit 7")
		if r.code != 7 || r.stdout != "out\n" || r.stderr != "err\n" {
			t.Errorf("want 7, out, err: %v", r)
		}
		d.fails(127, "nosuchprogram", "run", "--name", d.name("missing"), "busybox", "nosuchprogram")
		d.fails(126, "etc", "run", "--name", d.name("directory"), "busybox", "/etc")
		d.equal("state after a start that failed", d.inspect(d.name("missing"), "{{.State.Running}} {{.State.ExitCode}}"), "false 127")
	})
}

func TestRunDetached(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		id := d.run("run", "-d", "--name", name, "busybox", "sleep", "1000")
		d.matches("id", id, "^[0-9a-f]{64}$")
		d.equal("running", d.inspect(name, "{{.State.Running}} {{.Id}}"), "true "+id)
		d.equal("ps", d.run("ps", "-q", "--no-trunc", "--filter", "name="+name), id)
		d.fails(1, "running container", "rm", name)
		d.equal("rm -f", d.run("rm", "-f", id[:12]), id[:12])
		d.equal("ps after rm -f", d.run("ps", "-a", "-q", "--filter", "name="+name), "")
		d.fails(1, "No such (container|object)", "inspect", name)
	})
}

// A piped standard input reaches the container whole, and its end, too.
func TestRunStdin(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		d.equal("cat", d.feed("one\ntwo\n", "run", "--rm", "-i", "--name", d.name("cat"), "busybox", "cat"), "one\ntwo")
		var b strings.Builder
		for range 1 << 17 {
			b.WriteString(string(rune('a' + rand.IntN(26))))
			b.WriteString("1234567\n"[:1+rand.IntN(8)])
		}
		sum := sha256.Sum256([]byte(b.String()))
		d.matches("sha256 of much input", d.feed(b.String(), "run", "--rm", "-i", "--name", d.name("sum"), "busybox", "sha256sum"), hex.EncodeToString(sum[:]))
	})
}

// Much output arrives whole and in order.
func TestRunMuchOutput(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		lines := strings.Split(d.run("run", "--rm", "--name", d.name("c"), "busybox", "seq", "100000"), "\n")
		if len(lines) != 100000 || lines[0] != "1" || lines[99999] != "100000" {
			t.Errorf("%d lines, from %q to %q", len(lines), lines[0], lines[len(lines)-1])
		}
	})
}

func TestRunVolume(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		dir := filepath.Dir(file(t, "given", "from the host\n"))
		d.equal("read", d.run("run", "--rm", "--name", d.name("r"), "-v", dir+":/data", "busybox", "cat", "/data/given"), "from the host")
		d.run("run", "--rm", "--name", d.name("w"), "-v", dir+":/data", "busybox", "sh", "-c", "echo from the container >/data/made")
		made, err := os.ReadFile(filepath.Join(dir, "made"))
		if err != nil || string(made) != "from the container\n" {
			t.Errorf("the file that the container wrote: %q, %v", made, err)
		}
		d.fails(1, "Read-only file system", "run", "--rm", "--name", d.name("ro"), "-v", dir+":/data:ro", "busybox", "touch", "/data/x")
		// An anonymous volume is a directory that outlives the container's layer.
		name := d.name("anonymous")
		d.run("run", "--name", name, "-v", "/data", "busybox", "sh", "-c", "echo kept >/data/file")
		d.equal("volumes-from", d.run("run", "--rm", "--name", d.name("from"), "--volumes-from", name, "busybox", "cat", "/data/file"), "kept")
	})
}

// What a container is told about itself.
func TestRunConfig(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		d.equal("env", d.run("run", "--rm", "--name", d.name("e"), "-e", "COLOUR=blue and green", "busybox", "sh", "-c", `echo "$COLOUR $HOME"`), "blue and green /root")
		d.equal("user and directory", d.run("run", "--rm", "--name", d.name("u"), "-u", "nobody", "-w", "/made/here", "busybox", "sh", "-c", "id -un; pwd"), "nobody\n/made/here")
		d.equal("host name", d.run("run", "--rm", "--name", d.name("h"), "-h", "host1.example", "busybox", "hostname"), "host1.example")
		d.matches("extra hosts", d.run("run", "--rm", "--name", d.name("x"), "--add-host", "other:10.1.2.3", "busybox", "cat", "/etc/hosts"), `(?m)^10\.1\.2\.3\s+other$`)
		d.matches("name servers", d.run("run", "--rm", "--name", d.name("d"), "--dns", "192.0.2.53", "--dns-search", "example.org", "busybox", "cat", "/etc/resolv.conf"), `(?s)search example\.org.*nameserver 192\.0\.2\.53|nameserver 192\.0\.2\.53.*search example\.org`)
		d.matches("entry point", d.run("run", "--rm", "--name", d.name("p"), "--entrypoint", "echo", "busybox", "a", "b"), "^a b$")
		labelled := d.name("l")
		d.run("create", "--name", labelled, "--label", "colour=blue", "busybox")
		d.equal("label", d.inspect(labelled, `{{index .Config.Labels "colour"}}`), "blue")
		d.equal("limits", d.run("run", "--rm", "--name", d.name("n"), "--ulimit", "nofile=100:200", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn"), "100\n200")
		limited := d.name("m")
		d.run("create", "--name", limited, "-m", "64m", "--cpu-shares", "512", "busybox")
		d.equal("memory and CPU shares", d.inspect(limited, "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}}"), "67108864 512")
	})
}

// Docker's default confinement, seen from within.
func TestRunConfinement(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		status := d.run("run", "--rm", "--name", d.name("s"), "busybox", "sh", "-c", "cat /proc/self/status; echo pid $$")
		d.matches("capabilities", status, `(?m)^CapEff:\s+00000000a80425fb$`)
		d.matches("seccomp filter", status, `(?m)^Seccomp:\s+2$`)
		d.matches("pid namespace", status, `(?m)^pid 1$`)
		d.fails(1, "(?i)permission denied|not permitted", "run", "--rm", "--name", d.name("k"), "busybox", "mount", "-t", "tmpfs", "x", "/tmp")
		d.matches("dropped and added", d.run("run", "--rm", "--name", d.name("c"), "--cap-drop", "ALL", "--cap-add", "CHOWN", "busybox", "cat", "/proc/self/status"), `(?m)^CapEff:\s+0000000000000001$`)
		d.equal("masked and read-only paths", d.run("run", "--rm", "--name", d.name("p"), "busybox", "sh", "-c", "cat /proc/keys | wc -c; ls /sys/firmware | wc -l; touch /proc/sysrq-trigger 2>/dev/null || echo refused"), "0\n0\nrefused")
		d.run("run", "--rm", "--name", d.name("devices"), "busybox", "sh", "-c", "test -c /dev/null && test -c /dev/urandom && test -d /dev/pts && test -d /dev/shm && ! test -e /dev/mem")
	})
}

func TestRunPrivileged(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		out := d.run("run", "--rm", "--name", d.name("c"), "--privileged", "busybox", "sh", "-c", "mount -t tmpfs x /tmp && grep -c ^x /proc/mounts; grep Seccomp: /proc/self/status")
		d.matches("privileged", out, `^1\nSeccomp:\s+0$`)
	})
}

// docker run's exit code tells who failed: the engine (125), the command (126:
// it cannot be run, 127: it is not there), or the program, by its own code or by
// a signal (128 and its number).
func TestRunExitCodes(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		for i, row := range []struct {
			want int
			args []string
		}{
			{125, []string{"--net", "container:nosuch", "busybox", "true"}},
			{126, []string{"busybox", "/etc/passwd"}},
			{127, []string{"busybox", "nosuch"}},
			// The first process of a namespace ignores it.
			{128 + 15, []string{"--pid", "host", "busybox", "sh", "-c", "kill -TERM $$"}},
		} {
			name := d.name(fmt.Sprint(i))
			if r := d.try("", append([]string{"run", "--name", name}, row.args...)...); r.code != row.want {
				t.Errorf("want %d: %v", row.want, r)
			}
		}
	})
}
