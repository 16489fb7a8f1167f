package fieldtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/spec"
)

// shown is what inspect and list say of a state.
type shown struct {
	running, paused, restarting bool
	code                        int
	// word is State.Status (from 1.21 on) and the list's State (from 1.23 on).
	word string
	// text is the list's Status.
	text string
	// started and finished say whether there is such a time.
	started, finished bool
}

const age = `(Less than a second|\d+ seconds?|About a minute)`

// showsState compares inspect and list with a state.
func (c *trial) showsState(when string, want shown) {
	c.Helper()
	state := at(c.inspected(), "State").(object)
	c.equal(when+": Running", state["Running"], want.running)
	c.equal(when+": Paused", state["Paused"], want.paused)
	c.equal(when+": Restarting", state["Restarting"], want.restarting)
	c.equal(when+": ExitCode", state["ExitCode"], want.code)
	c.equal(when+": OOMKilled", state["OOMKilled"], false)
	pid, _ := state["Pid"].(float64)
	c.equal(when+": whether there is a Pid", pid > 0, want.running && !want.restarting)
	status, there := state["Status"]
	c.equal(when+": whether there is a Status", there, c.since("1.21"))
	if there {
		c.equal(when+": Status", status, want.word)
	}
	dead, there := state["Dead"]
	c.equal(when+": whether there is a Dead", there, c.since("1.22"))
	if there {
		c.equal(when+": Dead", dead, false)
	}
	for field, want := range map[string]bool{"StartedAt": want.started, "FinishedAt": want.finished} {
		text, _ := state[field].(string)
		moment, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			c.Errorf("%s: %s: %v", when, field, err)
		}
		c.equal(when+": whether there is "+field, !moment.IsZero(), want)
		if want && time.Since(moment).Abs() > 5*time.Minute {
			c.Errorf("%s: %s is %v", when, field, moment)
		}
	}
	found := c.list("all", "1", "filters", `{"id":["`+c.id+`"]}`)
	if len(found) != 1 {
		c.Fatalf("%s: the list has %s", when, print(found))
	}
	text, _ := found[0]["Status"].(string)
	c.matches(when+": the list's Status", text, "^"+want.text+"$")
	word, there := found[0]["State"]
	c.equal(when+": whether the list has a State", there, c.since("1.23"))
	if there {
		c.equal(when+": the list's State", word, want.word)
	}
	running := c.list("filters", `{"id":["`+c.id+`"]}`)
	c.equal(when+": whether the list without all has it", len(running) == 1, want.running)
	c.equal(when+": containers with this status", ids(c.list("filters", `{"id":["`+c.id+`"],"status":["`+want.word+`"]}`)), list{c.id})
}

// A container's states, one after another, in inspect and list.
func TestStates(t *testing.T) {
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t, v)
			c.config["Cmd"] = list{"sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done"}
			c.create()
			c.showsState("created", shown{word: "created", text: "Created"})
			c.must("POST", "/containers/"+c.id+"/start", nil)
			up := shown{running: true, word: "running", text: "Up " + age, started: true}
			c.showsState("started", up)
			c.must("POST", "/containers/"+c.id+"/pause", nil)
			c.showsState("paused", shown{running: true, paused: true, word: "paused", text: "Up " + age + ` \(Paused\)`, started: true})
			c.must("POST", "/containers/"+c.id+"/unpause", nil)
			c.showsState("unpaused", up)
			c.eventually("the trap is set", func() bool { return c.logs() == "ready" })
			c.must("POST", "/containers/"+c.id+"/stop?t=10", nil)
			c.showsState("stopped", shown{code: 7, word: "exited", text: `Exited \(7\) ` + age + " ago", started: true, finished: true})
			c.must("POST", "/containers/"+c.id+"/start", nil)
			up.finished = true
			c.showsState("started again", up)
			c.must("POST", "/containers/"+c.id+"/kill", nil)
			c.wait()
			c.showsState("killed", shown{code: 137, word: "exited", text: `Exited \(137\) ` + age + " ago", started: true, finished: true})

			// Between two runs by its policy.
			d := c.another()
			d.host["RestartPolicy"] = object{"Name": "always"}
			d.config["Cmd"] = list{"sh", "-c", "exit 9"}
			d.create().must("POST", "/containers/"+d.id+"/start", nil)
			d.eventually("a wait that is long enough to look at", func() bool {
				m := d.inspected()
				count, _ := m["RestartCount"].(float64)
				return count >= 5 && at(m, "State.Restarting") == true
			})
			d.showsState("restarting", shown{running: true, restarting: true, code: 9, word: "restarting", text: `Restarting \(9\) ` + age + " ago", started: true, finished: true})
			d.must("POST", "/containers/"+d.id+"/stop?t=0", nil)
			code, _ := at(d.inspected(), "State.ExitCode").(float64)
			if code != 9 && code != 137 { // the stop may have met the next run
				t.Errorf("ExitCode is %v after the stop", code)
			}
			d.showsState("no longer restarting", shown{code: int(code), word: "exited", text: fmt.Sprintf(`Exited \(%v\) `, code) + age + " ago", started: true, finished: true})
		})
	}
}

// The paths that inspect shows are there, and are what the container has.
func TestPathsExist(t *testing.T) {
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t, v)
			c.start("echo a line; echo content >/made; exec sleep 1000")
			c.eventually("the line is in the log", func() bool { return c.logs() == "a line" })
			m := c.inspected()
			for field, inside := range map[string]string{"HostsPath": "/etc/hosts", "ResolvConfPath": "/etc/resolv.conf", "HostnamePath": "/etc/hostname"} {
				path, _ := m[field].(string)
				data, err := os.ReadFile(path)
				if err != nil {
					t.Errorf("%s: %v", field, err)
				}
				c.equal(field, strings.TrimSpace(string(data)), c.exec("cat "+inside))
			}
			log, err := os.ReadFile(m["LogPath"].(string))
			if err != nil {
				t.Errorf("LogPath: %v", err)
			}
			var line struct{ Log string }
			if err := json.Unmarshal(log, &line); err != nil || line.Log != "a line\n" {
				t.Errorf("LogPath: %q, %v", log, err)
			}
			c.equal("Driver", m["Driver"], "overlay")
			c.equal("GraphDriver's name", at(m, "GraphDriver.Name"), m["Driver"])
			data := at(m, "GraphDriver.Data").(object)
			made, err := os.ReadFile(filepath.Join(data["UpperDir"].(string), "made"))
			if err != nil || string(made) != "content\n" {
				t.Errorf("what the container wrote, in UpperDir: %q, %v", made, err)
			}
			for _, dir := range append(strings.Split(data["LowerDir"].(string), ":"), data["WorkDir"].(string), data["MergedDir"].(string)) {
				if info, err := os.Stat(dir); err != nil || !info.IsDir() {
					t.Errorf("a directory of GraphDriver: %v", err)
				}
			}
			_, there := m["ExecDriver"]
			c.equal("whether there is an ExecDriver", there, !c.since("1.22"))
			c.equal("Name", m["Name"], "/"+c.name)
			created, err := time.Parse(time.RFC3339Nano, m["Created"].(string))
			if err != nil || time.Since(created).Abs() > 5*time.Minute {
				t.Errorf("Created: %v, %v", created, err)
			}
		})
	}
}

// Sizes are those of the files, and shown when they are asked for.
func TestSizes(t *testing.T) {
	var base float64
	image := newTrial(t, "1.23")
	image.config["Cmd"] = list{"true"}
	image.create()
	base = image.list("all", "1", "size", "1", "filters", `{"id":["`+image.id+`"]}`)[0]["SizeRootFs"].(float64)
	if base < 1<<20 {
		t.Errorf("the whole tree of a container of busybox: %v bytes", base)
	}
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t, v)
			c.config["Volumes"] = object{"/data": object{}}
			c.run("head -c 1000000 /dev/zero >/made; head -c 5000000 /dev/zero >/data/not-counted; head -c 5000000 /dev/zero >/dev/shm/neither")
			check := func(what string, m object) {
				t.Helper()
				rw, _ := m["SizeRw"].(float64)
				root, _ := m["SizeRootFs"].(float64)
				if rw < 1000000 || rw > 1100000 {
					t.Errorf("%s: SizeRw is %v after a million bytes", what, m["SizeRw"])
				}
				if root < base+1000000 || root > base+1100000 {
					t.Errorf("%s: SizeRootFs is %v; without the million it was %v", what, m["SizeRootFs"], base)
				}
			}
			one := `{"id":["` + c.id + `"]}`
			check("list", c.list("all", "1", "size", "1", "filters", one)[0])
			unasked := c.list("all", "1", "filters", one)[0]
			if n, _ := unasked["SizeRw"].(float64); n != 0 {
				t.Errorf("list without size: SizeRw is %v", n)
			}
			if !c.since("1.21") {
				return
			}
			var m object
			if err := json.Unmarshal(c.must("GET", "/containers/"+c.id+"/json?size=1", nil).body, &m); err != nil {
				t.Fatal(err)
			}
			check("inspect", m)
			if _, there := c.inspected()["SizeRw"]; there {
				t.Error("inspect without size shows SizeRw")
			}
		})
	}
}

// A removal takes the volumes that were made for the container alone with it, if
// it is asked to, and never those with a name or with another user.
func TestRemoveVolumes(t *testing.T) {
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			c := newTrial(t, v)
			named := c.volume()
			anonymous := func(c *trial, parameters string) int {
				c.Helper()
				d := *c
				d.version = "1.23" // which tells a volume's name
				name := d.mount("/own")["Name"].(string)
				c.must("DELETE", "/containers/"+c.id+parameters, nil)
				return d.call("DELETE", "/volumes/"+name, nil).status
			}
			describe := func(c *trial) *trial {
				c.config["Volumes"], c.config["Cmd"] = object{"/own": object{}}, list{"true"}
				c.host["Binds"] = list{named + ":/named"}
				return c.create()
			}
			c.equal("removal of the volume after one without v", anonymous(describe(c), ""), 204)
			c.equal("removal of the volume after one with v", anonymous(describe(c.another()), "?v=1"), 404)
			d, e := describe(c.another()), c.another()
			e.host["VolumesFrom"], e.config["Cmd"] = list{d.name}, list{"true"}
			e.create()
			f := *e
			f.version = "1.23"
			shared := f.mount("/own")["Name"].(string)
			c.equal("removal of a volume that another uses", anonymous(d, "?v=1"), 409)
			e.must("DELETE", "/containers/"+e.id+"?v=1", nil)
			c.equal("removal of a volume that was another's first", f.call("DELETE", "/volumes/"+shared, nil).status, 204)
			c.equal("status of the volume with a name", f.call("GET", "/volumes/"+named, nil).status, 200)
		})
	}
}
