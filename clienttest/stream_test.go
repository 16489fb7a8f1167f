package clienttest

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestLogs(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "--name", name, "busybox", "sh", "-c", "echo one; echo two >&2; echo three")
		r := d.try("", "logs", name)
		if r.stdout != "one\nthree\n" || r.stderr != "two\n" {
			t.Errorf("logs: %v", r)
		}
		name = d.name("tail") // of one stream: the order of two is nobody's promise
		d.run("run", "--name", name, "busybox", "sh", "-c", "echo one; echo two; echo three")
		d.equal("tail", d.run("logs", "--tail", "1", name), "three")
		d.equal("tail 0", d.run("logs", "--tail", "0", name), "")
		d.matches("timestamps", d.run("logs", "-t", "--tail", "1", name), `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z three$`)
		if d.since("1.19") {
			d.equal("since the end", d.run("logs", "--since", time.Now().Add(time.Hour).Format(time.RFC3339), name), "")
			d.equal("since the beginning", d.run("logs", "--since", "2020-01-01T00:00:00Z", "--tail", "1", name), "three")
		}
	})
}

// logs -f shows what was and what comes, and ends with the container.
func TestLogsFollow(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "-i", "--name", name, "busybox", "sh", "-c", "echo before; read line; seq 1000; exit 1")
		eventually(t, "the first line is there", func() bool { return d.run("logs", name) == "before" })
		var out bytes.Buffer
		follow := d.start(func(cmd *exec.Cmd) { cmd.Stdout = &out }, "logs", "-f", name)
		d.try("go\n", "attach", name)
		if err := follow.Wait(); err != nil {
			t.Errorf("logs -f: %v", err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 1001 || lines[0] != "before" || lines[1000] != "1000" {
			t.Errorf("%d lines from %q to %q, want 1001 from before to 1000", len(lines), lines[0], lines[len(lines)-1])
		}
	})
}

func TestAttach(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "-i", "--name", name, "busybox", "sh", "-c", `while read line && [ "$line" != end ]; do echo "out $line"; echo "err $line" >&2; done; exit 6`)
		r := d.try("a\nb\nend\n", "attach", name)
		if r.code != 6 || r.stdout != "out a\nout b\n" || r.stderr != "err a\nerr b\n" {
			t.Errorf("attach: want 6 and both streams: %v", r)
		}
		d.fails(1, "(?i)stopped container|not running", "attach", name)
	})
}

// Two attached clients see the same output; one that goes away harms nobody.
func TestAttachTwice(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "-i", "--name", name, "busybox", "sh", "-c", `while :; do echo tick; sleep 0.05; done`)
		watch := func() (*exec.Cmd, io.Reader) {
			var out io.Reader
			cmd := d.start(func(cmd *exec.Cmd) {
				var err error
				if out, err = cmd.StdoutPipe(); err != nil {
					t.Fatal(err)
				}
			}, "attach", "--no-stdin", "--sig-proxy=false", name)
			return cmd, out
		}
		first, firstOut := watch()
		second, secondOut := watch()
		buffer := make([]byte, 5)
		for range 3 {
			for _, out := range []io.Reader{firstOut, secondOut} {
				if _, err := io.ReadFull(out, buffer); err != nil || string(buffer) != "tick\n" {
					t.Fatalf("read %q, %v", buffer, err)
				}
			}
		}
		_ = first.Process.Kill()
		_ = first.Wait()
		for range 5 {
			if _, err := io.ReadFull(secondOut, buffer); err != nil || string(buffer) != "tick\n" {
				t.Fatalf("after the first client went: read %q, %v", buffer, err)
			}
		}
		d.equal("the container", d.inspect(name, "{{.State.Running}}"), "true")
		d.run("rm", "-f", name)
		rest, _ := io.ReadAll(secondOut)
		_ = second.Wait()
		if got := second.ProcessState.ExitCode(); got != 137 && got != 0 && got != 1 {
			t.Errorf("attach ended with %d after %q", got, rest)
		}
	})
}

func TestExec(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "-e", "OUTER=yes", "busybox", "sleep", "1000")
		r := d.try("", "exec", name, "sh", "-c", "echo out $OUTER; echo err >&2; exit 5")
		if r.code != 5 || r.stdout != "out yes\n" || r.stderr != "err\n" {
			t.Errorf("exec: want 5 and both streams: %v", r)
		}
		d.equal("stdin", d.feed("through\n", "exec", "-i", name, "cat"), "through")
		d.equal("namespaces", d.run("exec", name, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline"), "sleep 1000 ")
		if d.since("1.19") {
			d.equal("user", d.run("exec", "-u", "nobody", name, "id", "-un"), "nobody")
		}
		d.run("exec", "-d", name, "sh", "-c", "echo done >/tmp/mark")
		eventually(t, "the detached exec has run", func() bool { return d.try("", "exec", name, "cat", "/tmp/mark").stdout == "done\n" })
		r = d.try("", "exec", name, "nosuchprogram")
		if r.code != 126 && r.code != 127 {
			t.Errorf("exec of a missing program: %v", r)
		}
		d.run("stop", "-t", "0", name)
		d.fails(1, "is not running", "exec", name, "true")
	})
}

func TestEvents(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		start := time.Now().Add(-time.Second)
		var live bytes.Buffer
		follow := d.start(func(cmd *exec.Cmd) { cmd.Stdout = &live }, "events", "--format", "{{.Status}}", "--filter", "container="+name, "--since", start.Format(time.RFC3339Nano), "--until", time.Now().Add(10*time.Second).Format(time.RFC3339Nano))
		d.try("", "run", "--name", name, "busybox", "sh", "-c", "exit 3")
		d.run("rm", name)
		past := d.run("events", "--format", "{{.Status}}", "--since", start.Format(time.RFC3339Nano), "--until", time.Now().Add(time.Second).Format(time.RFC3339Nano), "--filter", "container="+name)
		for _, want := range []string{"create", "start", "die", "destroy"} {
			d.matches("events", past, `(?m)\b`+want+`\b`)
		}
		if i, j := strings.Index(past, "create"), strings.Index(past, "destroy"); i > j {
			t.Errorf("events out of order: %s", past)
		}
		if err := follow.Wait(); err != nil {
			t.Errorf("events: %v", err)
		}
		d.matches("events as they came", live.String(), `(?s)create.*start.*die.*destroy`)
	})
}

// dialogue is a docker command whose standard streams are pipes.
type dialogue struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

// terminalLess starts the docker command with pipes.
func (d *docker) terminalLess(args ...string) *dialogue {
	d.t.Helper()
	talk := &dialogue{t: d.t}
	talk.cmd = d.start(func(cmd *exec.Cmd) {
		var err error
		if talk.in, err = cmd.StdinPipe(); err != nil {
			d.t.Fatal(err)
		}
		if talk.out, err = cmd.StdoutPipe(); err != nil {
			d.t.Fatal(err)
		}
	}, args...)
	return talk
}

// says writes text and reads the answer.
func (d *dialogue) says(text, answer string) {
	d.t.Helper()
	if _, err := io.WriteString(d.in, text); err != nil {
		d.t.Fatal(err)
	}
	got := make([]byte, len(answer))
	if n, err := io.ReadFull(d.out, got); err != nil || string(got) != answer {
		d.t.Fatalf("said %q, got %q (%v), want %q", text, got[:n], err, answer)
	}
}

// closes ends the command, not the container.
func (d *dialogue) closes() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}
