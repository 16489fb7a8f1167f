package fieldtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/spec"
)

// processRows are about what runs and how it is reached.
func processRows() []row {
	return []row{
		{fields: "Cmd", name: "list", prove: func(c *trial) {
			c.config["Cmd"] = list{"sh", "-c", `echo "$0|$1"`, "a b", "c"}
			c.equal("output", c.run(""), "a b|c")
			c.shows("Config.Cmd", list{"sh", "-c", `echo "$0|$1"`, "a b", "c"})
			c.shows("Path", "sh")
			c.shows("Args", list{"-c", `echo "$0|$1"`, "a b", "c"})
		}},
		{fields: "Cmd", name: "string", prove: func(c *trial) {
			c.config["Cmd"] = "hostname"
			c.equal("output", c.run(""), c.id[:12])
			c.shows("Config.Cmd", list{"hostname"})
		}},
		{fields: "Cmd", name: "of the image's entrypoint", prove: func(c *trial) {
			c.config["Image"], c.config["Cmd"] = richImage, list{"client"}
			c.equal("output", c.run(""), "image-entrypoint client")
		}},
		{fields: "Cmd", name: "none", prove: func(c *trial) {
			c.config["Image"] = richImage
			c.equal("output", c.run(""), "image-entrypoint echo image-cmd")
			c.shows("Config.Entrypoint", list{"/bin/echo", "image-entrypoint"})
			c.shows("Config.Cmd", list{"echo", "image-cmd"})
		}},
		{fields: "Entrypoint", name: "list", prove: func(c *trial) {
			c.config["Entrypoint"], c.config["Cmd"] = list{"echo", "entry"}, list{"point"}
			c.equal("output", c.run(""), "entry point")
			c.shows("Config.Entrypoint", list{"echo", "entry"})
			c.shows("Path", "echo")
			c.shows("Args", list{"entry", "point"})
		}},
		{fields: "Entrypoint", name: "string", prove: func(c *trial) {
			c.config["Entrypoint"], c.config["Cmd"] = "echo", list{"point"}
			c.equal("output", c.run(""), "point")
			c.shows("Config.Entrypoint", list{"echo"})
		}},
		{fields: "Entrypoint", name: "without the image's command", prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{"echo", "mine"}
			c.equal("output", c.run(""), "mine")
			c.shows("Config.Cmd", nil)
		}},
		{fields: "Env", prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{}
			c.config["Env"] = list{"BOTH=client", "EMPTY=", "WITH=a=b c"}
			c.equal("environment", c.run(`echo "$BOTH|$FROM_IMAGE|${EMPTY-unset}|$WITH|$PATH"`),
				"client|yes||a=b c|/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
			c.equal("inspect's Env begins with the client's", at(c.inspected(), "Config.Env").(list)[:3], list{"BOTH=client", "EMPTY=", "WITH=a=b c"})
		}},
		{fields: "WorkingDir", prove: func(c *trial) {
			c.config["WorkingDir"] = "/made/for/it"
			c.equal("directory", c.run("pwd; ls -ld /made/for/it | cut -c1-10"), "/made/for/it\ndrwxr-xr-x")
			c.shows("Config.WorkingDir", "/made/for/it")
		}},
		{fields: "WorkingDir", name: "of the image", versions: spec.Versions(), prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{}
			c.equal("directory", c.run("pwd"), "/content/sub")
		}},
		{fields: "Tty", prove: func(c *trial) {
			c.config["Tty"] = true
			c.matches("terminal", c.run("test -t 0 && test -t 1 && test -t 2 && echo all; tty; echo $TERM"), `^all\n/dev/(console|pts/0)\nxterm$`)
			c.shows("Config.Tty", true)
		}},
		{fields: "AttachStdin AttachStdout AttachStderr", name: "without OpenStdin", prove: func(c *trial) {
			// The client's intention: the process sees nothing of it. Its input ends at once.
			c.config["AttachStdin"], c.config["AttachStdout"], c.config["AttachStderr"] = true, true, true
			c.equal("input", c.run("cat; echo end"), "end")
			for _, f := range []string{"AttachStdin", "AttachStdout", "AttachStderr"} {
				c.shows("Config."+f, true)
			}
			d := c.another()
			d.config["AttachStdin"], d.config["AttachStdout"] = false, false
			d.equal("output is kept all the same", d.run("echo kept"), "kept")
			d.shows("Config.AttachStdout", false)
		}},
		{fields: "OpenStdin", prove: func(c *trial) {
			c.config["OpenStdin"] = true
			c.start("while read line; do echo got $line; done; echo end")
			c.feed("one\n")
			c.eventually("the first client's line arrives", func() bool { return c.logs() == "got one" })
			c.feed("two\n") // the first client's leaving did not end the input
			c.eventually("the second client's line arrives", func() bool { return c.logs() == "got one\ngot two" })
			c.shows("Config.OpenStdin", true)
			c.shows("State.Running", true)
		}},
		{fields: "StdinOnce", prove: func(c *trial) {
			c.config["OpenStdin"], c.config["StdinOnce"] = true, true
			c.start("while read line; do echo got $line; done; echo end")
			c.feed("one\n")
			c.equal("exit code", c.wait(), 0)
			c.equal("output", c.logs(), "got one\nend")
			c.shows("Config.StdinOnce", true)
		}},
		{fields: "StopSignal", prove: func(c *trial) {
			c.config["StopSignal"] = "SIGUSR1"
			c.start("trap 'echo usr1; exit 3' USR1; trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.05; done")
			c.eventually("the traps are set", func() bool { return c.logs() == "ready" })
			c.shows("Config.StopSignal", "SIGUSR1")
			c.must("POST", "/containers/"+c.id+"/stop?t=10", nil)
			c.equal("output", c.logs(), "ready\nusr1")
			c.shows("State.ExitCode", 3)
		}},
		{fields: "StopSignal", name: "of the image", versions: since("1.21"), prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{}
			c.start("trap 'echo usr2; exit 3' USR2; echo ready; while :; do sleep 0.05; done")
			c.eventually("the trap is set", func() bool { return c.logs() == "ready" })
			c.must("POST", "/containers/"+c.id+"/stop?t=10", nil)
			c.equal("output", c.logs(), "ready\nusr2")
			c.shows("Config.StopSignal", "SIGUSR2")
		}},
		{fields: "HostConfig.RestartPolicy HostConfig.RestartPolicy.Name HostConfig.RestartPolicy.MaximumRetryCount", name: "on-failure", prove: func(c *trial) {
			c.host["RestartPolicy"] = object{"Name": "on-failure", "MaximumRetryCount": 2}
			c.start("echo run; exit 9")
			c.eventually("the policy gives up", func() bool {
				s := at(c.inspected(), "State").(object)
				return s["Running"] == false && s["Restarting"] == false
			})
			c.equal("runs", c.logs(), "run\nrun\nrun")
			c.shows("HostConfig.RestartPolicy", object{"Name": "on-failure", "MaximumRetryCount": 2})
			c.shows("RestartCount", 2)
			c.shows("State.ExitCode", 9)
		}},
		{fields: "HostConfig.RestartPolicy", name: "always", prove: func(c *trial) {
			c.host["RestartPolicy"] = object{"Name": "always"}
			c.start("echo run; sleep 0.1")
			c.eventually("a second run", func() bool { return strings.Count(c.logs(), "run") >= 2 })
			c.must("POST", "/containers/"+c.id+"/stop?t=0", nil)
			c.shows("State.Running", false)
			c.shows("HostConfig.RestartPolicy", object{"Name": "always", "MaximumRetryCount": 0})
		}},
		{fields: "HostConfig.LogConfig HostConfig.LogConfig.Type HostConfig.LogConfig.Config", name: "syslog", prove: func(c *trial) {
			server, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				c.Fatal(err)
			}
			defer server.Close()
			config := object{"syslog-address": "udp://" + server.LocalAddr().String(), "tag": c.name}
			c.host["LogConfig"] = object{"Type": "syslog", "Config": config}
			c.start("echo to the server")
			c.wait()
			packet := make([]byte, 4096)
			_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, _, err := server.ReadFrom(packet)
			if err != nil {
				c.Fatal(err)
			}
			c.matches("the server's line", string(packet[:n]), c.name+`.*to the server`)
			c.shows("HostConfig.LogConfig", object{"Type": "syslog", "Config": config})
		}},
		{fields: "HostConfig.LogConfig", name: "json-file", prove: func(c *trial) {
			c.host["LogConfig"] = object{"Type": "json-file", "Config": object{"max-size": "1k", "max-file": "2"}}
			out := c.run("i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done")
			c.matches("the last line", out, `line 99$`)
			c.lacks("lines that were rotated away", out, `line 0\n`)
			c.shows("HostConfig.LogConfig", object{"Type": "json-file", "Config": object{"max-size": "1k", "max-file": "2"}})
		}},
		{fields: "HostConfig.LogConfig", name: "none", prove: func(c *trial) {
			c.host["LogConfig"] = object{"Type": "none"}
			c.start("echo nowhere")
			c.wait()
			a := c.call("GET", "/containers/"+c.id+"/logs?stdout=1", nil)
			c.lacks("the log", a.text(), "nowhere")
			c.shows("HostConfig.LogConfig.Type", "none")
			c.shows("LogPath", "")
		}},
	}
}

// feed attaches to the container's input, writes text and leaves.
func (c *trial) feed(text string) {
	c.Helper()
	conn, err := net.Dial("unix", c.Socket())
	if err != nil {
		c.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v%s/containers/%s/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n", c.version, c.id)
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			c.Fatalf("attach: %v", err)
		}
		if line == "\r\n" {
			break
		}
	}
	if _, err := io.WriteString(conn, text); err != nil {
		c.Fatal(err)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		c.Fatal(err)
	}
}
