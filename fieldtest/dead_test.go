package fieldtest

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/spec"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// immutable lets nobody change a directory, or lets them again (FS_IOC_SETFLAGS,
// chattr(1)).
func immutable(t *testing.T, dir string, on bool) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		t.Fatal(err)
	}
	const immutableFlag = 0x10 // FS_IMMUTABLE_FL (linux/fs.h)
	flags &^= immutableFlag
	if on {
		flags |= immutableFlag
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
		t.Fatal(err)
	}
}

// A container whose files cannot be removed is dead, in each version's form, over
// a restart of the daemon, too. Nothing can be done with it but to remove it, and
// that works as soon as it can.
func TestDead(t *testing.T) {
	const name = "berthfield2"
	dir := filepath.Join(scratch, "dead")
	remains := daemon.Remains{Dir: dir, Bridge: name, Cgroup: "/" + name}
	t.Cleanup(func() {
		if err := remains.Remove(); err != nil {
			t.Error(err)
		}
	})
	engine, err := startBerth(dir, name, "10.218.0.1/24")
	if err != nil {
		t.Fatal(err)
	}
	s := newSide(engine, dir, name)
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.makeImages(); err != nil {
		t.Fatal(err)
	}
	c := newTrial(t, "1.23")
	c.side = s
	c.host["RestartPolicy"] = object{"Name": "always"} // which moves no dead one
	c.config["Volumes"] = object{"/data": object{}}
	c.idle()
	c.must("POST", "/containers/"+c.id+"/stop?t=0", nil)
	for _, at := range []struct{ what, dir, text string }{
		{"its own directory", "data/containers/" + c.id, `^Unable to remove filesystem for ` + c.id + `: .*operation not permitted$`},
		{"its writable layer", "data/image/rw/" + c.id, `^Driver overlay failed to remove root filesystem ` + c.id + `: .*operation not permitted$`},
	} {
		what := at.what
		immutable(t, c.below(at.dir), true)
		t.Cleanup(func() {
			if _, err := os.Stat(c.below(at.dir)); err == nil {
				immutable(t, c.below(at.dir), false)
			}
		})
		a := c.call("DELETE", "/containers/"+c.id+"?v=1", nil)
		c.equal("status with "+what, a.status, http.StatusInternalServerError)
		c.matches("text with "+what, a.text(), at.text)
		c.isDead(what)
		if a := c.call("DELETE", "/containers/"+c.id+"?force=1&v=1", nil); a.status != http.StatusInternalServerError {
			t.Errorf("forced: %v", a)
		}
		engine.Kill()
		<-engine.Ended()
		if engine, err = engine.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Daemon, c.Daemon = engine, engine
		c.isDead(what + ", after a restart")
		immutable(t, c.below(at.dir), false)
	}
	c.matches("volumes", c.must("GET", "/volumes", nil).text(), `"Mountpoint"`)
	c.must("DELETE", "/containers/"+c.id+"?v=1", nil)
	c.equal("after its removal", c.call("GET", "/containers/"+c.id+"/json", nil).status, missing)
	c.lacks("volumes after its removal", c.must("GET", "/volumes", nil).text(), `"Mountpoint"`)
	for _, left := range []string{"data/containers/", "data/image/rw/"} {
		if _, err := os.Stat(c.below(left + c.id)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}

// isDead wants the container to be shown as dead and to be of no use.
func (c *trial) isDead(when string) {
	c.Helper()
	for _, v := range spec.Versions() {
		d := *c
		d.version = v
		state := at(d.inspected(), "State").(object)
		d.equal(when+": Running at "+v, state["Running"], false)
		var dead, status any
		if d.since("1.22") {
			dead = true
		}
		if d.since("1.21") {
			status = "dead"
		}
		d.equal(when+": Dead at "+v, state["Dead"], dead)
		d.equal(when+": Status at "+v, state["Status"], status)
		d.equal(when+": in lists of those that run, at "+v, ids(d.list()), list{})
		d.equal(when+": by its status, at "+v, ids(d.list("all", "1", "filters", `{"status":["dead"]}`)), list{d.id})
		found := d.list("all", "1", "size", "1")
		if len(found) != 1 {
			d.Fatalf("%s: the list has %s", when, print(found))
		}
		d.equal(when+": the list's Status at "+v, found[0]["Status"], "Dead")
		var word any
		if d.since("1.23") {
			word = "dead"
		}
		d.equal(when+": the list's State at "+v, found[0]["State"], word)
	}
	for _, try := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/containers/" + c.id + "/start", nil},
		{"POST", "/containers/" + c.id + "/restart", nil},
		{"POST", "/containers/" + c.id + "/update", object{"CpuShares": 512}},
		{"POST", "/commit?container=" + c.id + "&repo=dead", object{}},
		{"GET", "/containers/" + c.id + "/export", nil},
		{"GET", "/containers/" + c.id + "/changes", nil},
		{"GET", "/containers/" + c.id + "/archive?path=/etc", nil},
		{"POST", "/networks/bridge/connect", object{"Container": c.id}},
	} {
		a := c.call(try.method, try.path, try.body)
		c.equal(when+": status of "+try.path, a.status, conflict)
		c.matches(when+": text of "+try.path, a.text(), `^Container is marked for removal and cannot be `)
	}
}
