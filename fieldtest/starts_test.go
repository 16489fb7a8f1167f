package fieldtest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/spec"
	"github.com/seed-50ced230/berth/testbed/census"
)

// failure is a start that fails. The container stays as it was, and inspect
// shows why.
type failure struct {
	name     string
	versions []string
	describe func(c *trial)
	status   int
	text     string
	// code is the exit code that inspect shows.
	code int
}

func failures() []failure {
	command := func(words ...any) func(*trial) { return func(c *trial) { c.config["Cmd"] = list(words) } }
	return []failure{
		{name: "command that is not there", describe: command("nosuchcommand"), status: missing, text: `^Container command 'nosuchcommand' not found or does not exist`, code: 127},
		{name: "path that is not there", describe: command("/no/such"), status: missing, text: `^Container command '/no/such' not found or does not exist`, code: 127},
		{name: "file that is no program", describe: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{"/notaprogram"}
		}, status: bad, text: `^Container command '/notaprogram' could not be invoked`, code: 126},
		{name: "directory", describe: command("/etc"), status: bad, text: `^Container command '/etc' could not be invoked`, code: 126},
		{name: "user that is not there", describe: func(c *trial) { c.config["User"] = "nosuch" }, status: bad, text: `(?i)unable to find user nosuch`, code: 128},
		{name: "group that is not there", versions: since("1.20"), describe: func(c *trial) { c.host["GroupAdd"] = list{"nosuch"} }, status: bad, text: `(?i)unable to find group nosuch`, code: 128},
		{name: "group without a name", versions: since("1.20"), describe: func(c *trial) { c.host["GroupAdd"] = list{""} }, status: bad, text: `^Unable to find group`, code: 128},
		{name: "device that is not there", describe: func(c *trial) {
			c.host["Devices"] = list{object{"PathOnHost": "/dev/nosuch"}}
		}, status: bad, text: `^error gathering device information while adding custom device "/dev/nosuch": .*no such file or directory$`, code: 128},
		{name: "device that is none", describe: func(c *trial) {
			c.host["Devices"] = list{object{"PathOnHost": "/etc/passwd"}}
		}, status: bad, text: `^error gathering device information while adding custom device "/etc/passwd": .*not a device node$`, code: 128},
		{name: "rate of a device that is not there", versions: since("1.22"), describe: func(c *trial) {
			c.host["BlkioDeviceReadBps"] = list{object{"Path": "/dev/nosuch", "Rate": 1 << 20}}
		}, status: bad, text: `/dev/nosuch: no such file or directory`, code: 128},
		{name: "rate of a device that is no disk", versions: since("1.22"), describe: func(c *trial) {
			c.host["BlkioDeviceReadBps"] = list{object{"Path": "/dev/null", "Rate": 1 << 20}}
		}, status: bad, text: `/dev/null: it is no block device`, code: 128},
		{name: "network of a container that does not run", describe: func(c *trial) {
			c.host["NetworkMode"] = "container:peer"
		}, status: conflict, text: `^cannot join network of a non running container: `, code: 128},
		{name: "processes of a container that does not run", describe: func(c *trial) {
			c.host["PidMode"] = "container:peer"
		}, status: conflict, text: `it is not running$`, code: 128},
		{name: "link to a container that does not run", describe: func(c *trial) {
			c.host["Links"] = list{"peer:p"}
		}, status: conflict, text: `^Cannot link to a non running container: /peer AS /`, code: 128},
		{name: "network that is not there", versions: since("1.21"), describe: func(c *trial) {
			c.host["NetworkMode"] = "nosuchnet"
		}, status: missing, text: `nosuchnet not found`, code: 128},
		{name: "bind below a file", describe: func(c *trial) {
			c.host["Binds"] = list{filepath.Join(c.dir("file", ""), "file", "below") + ":/given"}
		}, status: bad, text: `^cannot use .* as a bind mount`, code: 128},
		{name: "directory on a file", describe: func(c *trial) {
			c.host["Binds"] = list{c.dir() + ":/etc/passwd"}
		}, status: bad, text: `(?i)not a directory`, code: 128},
		{name: "file on a directory", describe: func(c *trial) {
			c.host["Binds"] = list{filepath.Join(c.dir("file", ""), "file") + ":/etc"}
		}, status: bad, text: `(?i)not a directory`, code: 128},
		{name: "working directory below a file", describe: func(c *trial) {
			c.config["WorkingDir"] = "/etc/passwd/below"
		}, status: bad, text: `(?i)not a directory`, code: 128},
	}
}

// leavesNothing runs something and wants everything on the machine that is the
// engine's to be as before.
func leavesNothing(t *testing.T, s side, run func()) {
	t.Helper()
	place := census.Place{Dir: s.dir, Bridge: s.name, Cgroup: "/" + s.name, Pid: s.Pid(), Depth: 4}
	count := func() census.Census {
		s.client.CloseIdleConnections()
		now, err := census.Take(place)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	// What the engine opens once and keeps, it has after this.
	c := newTrial(t, "1.23")
	c.side = s
	c.idle()
	for _, step := range []string{"pause", "unpause", "stop?t=0"} {
		c.must("POST", "/containers/"+c.id+"/"+step, nil)
	}
	before := census.Census{}
	c.eventually("what ended before is gone", func() bool {
		now := count()
		same := len(now.Since(before)) == 0
		before = now
		return same
	})
	run()
	var left []string
	for range 50 {
		if left = count().Since(before); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
}

// A start that fails says why with the documented status, leaves the container
// as it was and nothing else behind.
func TestStartsThatFail(t *testing.T) {
	peer(t)
	var starts []func(*testing.T)
	for _, f := range failures() {
		versions := f.versions
		if versions == nil {
			versions = spec.Versions()
		}
		for _, v := range versions {
			c := newTrial(t, v)
			c.config["Cmd"] = list{"true"}
			f.describe(c)
			c.create()
			starts = append(starts, func(t *testing.T) {
				t.Run(f.name+"/"+v, func(t *testing.T) {
					t.Parallel()
					d := *c
					d.T = t
					a := d.call("POST", "/containers/"+d.id+"/start", nil)
					d.equal("status", a.status, f.status)
					d.matches("text", a.text(), f.text)
					d.stillCreated(f.code)
				})
			})
		}
	}
	leavesNothing(t, own, func() {
		t.Run("all", func(t *testing.T) {
			for _, start := range starts {
				start(t)
			}
		})
	})
}

// stillCreated wants the container to be as before its start, but for the
// reason of the failure.
func (c *trial) stillCreated(code int) {
	c.Helper()
	state := at(c.inspected(), "State").(object)
	c.equal("Running", state["Running"], false)
	c.equal("Pid", state["Pid"], 0)
	c.equal("ExitCode", state["ExitCode"], code)
	if text, _ := state["Error"].(string); text == "" {
		c.Errorf("State.Error is empty")
	}
	c.equal("StartedAt", state["StartedAt"], "0001-01-01T00:00:00Z")
	if c.since("1.21") {
		c.equal("Status", state["Status"], "created")
	}
	found := c.list("all", "1", "filters", `{"id":["`+c.id+`"],"status":["created"]}`)
	c.equal("containers that are created", ids(found), list{c.id})
}

// A port that another has is refused at the start. Nothing of the start is left,
// and it succeeds once the port is free.
func TestPortIsTaken(t *testing.T) {
	for _, v := range []string{"1.18", "1.23"} {
		t.Run(v, func(t *testing.T) {
			c := newTrial(t, v)
			port := c.freePort()
			describe := func(c *trial) {
				c.host["PortBindings"] = object{"4000/tcp": list{object{"HostPort": port}}}
				c.config["Cmd"] = list{"sleep", "1000"}
			}
			describe(c)
			c.start("")
			d := c.another()
			describe(d)
			d.create()
			leavesNothing(t, own, func() {
				a := d.call("POST", "/containers/"+d.id+"/start", nil)
				d.equal("status", a.status, conflict)
				d.matches("text", a.text(), `Bind for 0\.0\.0\.0:`+port+` failed: port is already allocated`)
				d.stillCreated(128)
			})
			c.must("POST", "/containers/"+c.id+"/stop?t=0", nil)
			d.must("POST", "/containers/"+d.id+"/start", nil)
			d.shows("State.Running", true)
			d.shows("State.Error", "")
			d.must("POST", "/containers/"+d.id+"/stop?t=0", nil)

			// A program of the host's has it.
			l, err := net.Listen("tcp4", "0.0.0.0:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			a := d.call("POST", "/containers/"+d.id+"/start", nil)
			d.equal("status", a.status, conflict)
			d.matches("text", a.text(), `:`+port+`: bind: address already in use|port is already allocated`)
			d.shows("State.Running", false)
		})
	}
}

// A host configuration in the body of a start takes the place of the one that
// the container was created with, at the versions that document it.
func TestHostConfigAtStart(t *testing.T) {
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			c := newTrial(t, v)
			dir := c.dir("file", "of the host\n")
			c.config["Cmd"] = list{"sh", "-c", "cat /given/file; ls -d /old 2>&1; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; df -k /dev/shm | awk 'NR==2{print $2}'"}
			c.host["Binds"] = list{c.dir() + ":/old"}
			c.create()
			c.must("POST", "/containers/"+c.id+"/start", object{"Binds": list{dir + ":/given"}, "Memory": 64 << 20})
			c.wait()
			c.matches("from inside", c.logs(), `^of the host\nls: /old: No such file or directory\n67108864\n65536$`)
			c.shows("HostConfig.Binds", list{dir + ":/given"})
			c.shows("HostConfig.Memory", 64<<20)
			a := c.call("POST", "/containers/"+c.id+"/start", object{"Memory": 1})
			c.equal("status", a.status, bad)
			c.matches("text", a.text(), `^Minimum memory limit allowed is 4MB$`)
			if _, err := os.Stat(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// A host configuration in the body of a start lets go of the volumes that it
// does not name, and removes those that were made for the container alone.
func TestVolumesAtStart(t *testing.T) {
	c := newTrial(t, "1.23")
	old, next := c.volume(), c.volume()+"next"
	c.host["Binds"] = list{old + ":/old"}
	c.config["Volumes"] = object{"/own": object{}}
	c.create()
	own := c.mount("/own")["Name"].(string)
	c.must("POST", "/containers/"+c.id+"/start", object{"Binds": list{next + ":/next", c.dir() + ":/own"}})
	c.wait()
	c.equal("status of the removal of a volume that is not the container's any more", c.call("DELETE", "/volumes/"+old, nil).status, 204)
	c.equal("status of the volume that was made for the container", c.call("GET", "/volumes/"+own, nil).status, 404)
	c.equal("status of the removal of the new volume", c.call("DELETE", "/volumes/"+next, nil).status, 409)
	c.must("DELETE", "/containers/"+c.id, nil)
	c.equal("status of the removal of the new volume", c.call("DELETE", "/volumes/"+next, nil).status, 204)
}

// A start that fails in another's network leaves the container its host name.
func TestHostnameAfterFailedStart(t *testing.T) {
	c := newTrial(t, "1.23")
	other := c.another()
	other.config["Hostname"] = "theirs"
	other.idle()
	c.config["Cmd"] = list{"/not/there"}
	c.host["NetworkMode"] = "container:" + other.id
	c.create()
	before := at(c.inspected(), "Config.Hostname")
	c.equal("status", c.call("POST", "/containers/"+c.id+"/start", nil).status, 404)
	c.stillCreated(127)
	c.equal("host name", at(c.inspected(), "Config.Hostname"), before)
	if before == "theirs" {
		c.Errorf("the container has the other's host name before its start")
	}
}
