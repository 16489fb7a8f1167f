package clienttest

import (
	"strings"
	"testing"
)

func TestCreateStart(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		id := d.run("create", "--name", name, "busybox", "sh", "-c", "echo made; exit 4")
		d.equal("created", d.inspect(name, "{{.Id}} {{.State.Running}} {{.Path}} {{len .Args}}"), id+" false sh 2")
		r := d.try("", "start", "-a", name)
		if r.code != 4 || r.stdout != "made\n" {
			t.Errorf("start -a: want exit code 4 and output: %v", r)
		}
		d.equal("state", d.inspect(name, "{{.State.Running}} {{.State.ExitCode}}"), "false 4")
		r = d.try("", "start", "-a", name)
		if r.code != 4 || r.stdout != "made\n" {
			t.Errorf("second start -a: want exit code 4 and output: %v", r)
		}
		d.equal("logs of both runs", d.run("logs", name), "made\nmade")
	})
}

func TestStartInteractive(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("create", "-i", "--name", name, "busybox", "sh", "-c", "cat; echo end")
		d.equal("start -ai", d.feed("typed\n", "start", "-ai", name), "typed\nend")
	})
}

func TestStopAndKill(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		polite := d.name("polite")
		d.run("run", "-d", "--name", polite, "busybox", "sh", "-c", `trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done`)
		eventually(t, "the trap is set", func() bool { return d.run("logs", polite) == "ready" })
		d.equal("stop", d.run("stop", polite), polite)
		d.equal("after stop", d.inspect(polite, "{{.State.Running}} {{.State.ExitCode}}"), "false 3")
		d.run("stop", polite) // is stopped already: no error
		if d.since("1.20") {  // older versions say nothing about it
			d.fails(1, "not running", "kill", polite)
		}

		deaf := d.name("deaf")
		d.run("run", "-d", "--name", deaf, "busybox", "sleep", "1000") // pid 1 ignores TERM
		d.run("stop", "-t", "0", deaf)
		d.equal("killed after the time", d.inspect(deaf, "{{.State.Running}} {{.State.ExitCode}}"), "false 137")

		d.run("start", deaf)
		d.run("kill", deaf)
		d.equal("exit code after kill", d.run("wait", deaf), "137")

		signalled := d.name("signalled")
		d.run("run", "-d", "--name", signalled, "busybox", "sh", "-c", `trap "exit 8" USR1; echo ready; while :; do sleep 0.05; done`)
		eventually(t, "the trap is set", func() bool { return d.run("logs", signalled) == "ready" })
		d.run("kill", "-s", "USR1", signalled)
		d.equal("exit code after USR1", d.run("wait", signalled), "8")
	})
}

func TestRestart(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "busybox", "sh", "-c", "echo up; exec sleep 1000")
		eventually(t, "it is up", func() bool { return d.run("logs", name) == "up" })
		before := d.inspect(name, "{{.State.Pid}}")
		d.equal("restart", d.run("restart", "-t", "0", name), name)
		eventually(t, "it is up again", func() bool { return d.run("logs", name) == "up\nup" })
		if after := d.inspect(name, "{{.State.Pid}} {{.State.Running}}"); after == before+" true" || !strings.HasSuffix(after, " true") {
			t.Errorf("pid %s before, pid and running %s after", before, after)
		}
	})
}

func TestRename(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		old, now := d.name("old"), d.name("new")
		d.run("create", "--name", old, "busybox")
		d.run("rename", old, now)
		d.equal("name", d.inspect(now, "{{.Name}}"), "/"+now)
		d.fails(1, "No such (container|object)", "inspect", old)
		d.run("create", "--name", old, "busybox")
		d.fails(1, "already in use", "rename", old, now)
		d.fails(125, "already in use", "run", "--name", now, "busybox", "true")
	})
}

func TestWait(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "-i", "--name", name, "busybox", "sh", "-c", "read line; exit 9")
		waiting := make(chan string, 1)
		go func() { waiting <- strings.TrimSpace(d.try("", "wait", name).stdout) }()
		d.try("go\n", "attach", name)
		d.equal("wait", <-waiting, "9")
		d.equal("wait for an exited one", d.run("wait", name), "9")
	})
}

func TestPs(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		up, down := d.name("up"), d.name("down")
		label := "suite=" + up
		upID := d.run("run", "-d", "--name", up, "--label", label, "busybox", "sleep", "1000")
		d.try("", "run", "--name", down, "--label", label, "busybox", "sh", "-c", "exit 2")
		downID := d.inspect(down, "{{.Id}}")
		d.equal("running ones", d.run("ps", "--no-trunc", "-q", "--filter", "label="+label), upID)
		d.equal("all", d.run("ps", "-a", "--no-trunc", "-q", "--filter", "label="+label), downID+"\n"+upID)
		d.equal("exited", d.run("ps", "-a", "--no-trunc", "-q", "--filter", "label="+label, "--filter", "status=exited"), downID)
		d.equal("exit code", d.run("ps", "-a", "--no-trunc", "-q", "--filter", "label="+label, "--filter", "exited=2"), downID)
		d.equal("by name", d.run("ps", "-a", "--format", "{{.Names}}", "--filter", "name="+down), down)
		line := d.run("ps", "-a", "--no-trunc", "--filter", "label="+label, "--format", "{{.ID}} {{.Image}} {{.Command}} {{.Status}}")
		d.matches("columns of the running one", line, `(?m)^`+upID+` busybox "sleep 1000" Up .*`)
		d.matches("columns of the exited one", line, `(?m)^`+downID+` busybox "sh -c 'exit 2'" Exited \(2\) .*`)
		d.matches("size", d.run("ps", "-a", "-s", "--filter", "label="+label, "--format", "{{.Size}}"), `^\d.*virtual`)
	})
}

func TestInspect(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "-e", "A=b", "busybox", "sleep", "1000")
		d.equal("configuration", d.inspect(name, "{{.Config.Image}} {{json .Config.Cmd}} {{.Path}} {{.Args}} {{.Name}}"), `busybox ["sleep","1000"] sleep [1000] /`+name)
		d.equal("image", d.inspect(name, "{{.Image}}"), d.run("inspect", "--type", "image", "--format", "{{.Id}}", "busybox"))
		d.matches("address", d.inspect(name, "{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}} {{.NetworkSettings.Gateway}} {{.NetworkSettings.MacAddress}}"), `^\d+\.\d+\.\d+\.\d+/\d+ \d+\.\d+\.\d+\.\d+ 02:42(:[0-9a-f]{2}){4}$`)
		d.matches("times", d.inspect(name, "{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}"), `^\d{4}-\d\d-\d\dT\S+Z \d{4}-\d\d-\d\dT\S+Z 0001-01-01T00:00:00Z$`)
		d.equal("environment", d.inspect(name, "{{index .Config.Env 0}}"), "A=b")
	})
}

func TestMissing(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		for _, args := range [][]string{{"start"}, {"stop"}, {"kill"}, {"rm"}, {"logs"}, {"wait"}, {"restart"}, {"attach"}} {
			d.fails(1, "No such container: nosuch", append(args, "nosuch")...)
		}
		d.fails(1, "No such container: nosuch", "exec", "nosuch", "true")
		d.fails(1, "(?i)no such image", "rmi", "nosuch:tag")
	})
}
