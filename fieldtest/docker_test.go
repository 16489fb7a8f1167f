package fieldtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// dockerSide starts Debian's Docker Engine in a network of its own.
func dockerSide(t *testing.T, name string, further ...string) side {
	t.Helper()
	dir := filepath.Join(scratch, name)
	cgroup := bridge + "-" + name
	command, err := daemon.Docker("/usr/sbin/dockerd", dir, append([]string{"--cgroup-parent", "/" + cgroup}, further...)...)
	if err != nil {
		t.Fatal(err)
	}
	// In memory, because this engine waits for the disk at every step.
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "mode=711"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engine, err := daemon.Start(ctx, command)
	if err != nil {
		t.Fatal(err)
	}
	s := newSide(engine, dir, "")
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := errors.Join(engine.Stop(time.Minute), daemon.Remains{Dir: dir, Cgroup: "/" + cgroup}.Remove()); err != nil {
			t.Error(err)
		}
	})
	if err := s.makeImages(); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask is a request that both engines get. The containers peer (created), runner
// (running) and stopped (ended) are there.
type ask struct {
	name string
	do   func(c *trial) answer
}

func asks() []ask {
	var all []ask
	for _, r := range refusals() {
		if r.versions != nil && !slices.Contains(r.versions, "1.23") {
			continue
		}
		all = append(all, ask{"create: " + r.name, func(c *trial) answer {
			c.config["Cmd"] = list{"true"}
			for k, v := range r.config {
				c.config[k] = v
			}
			c.host = r.host
			return c.tryCreate()
		}})
	}
	for _, f := range failures() {
		if f.versions != nil && !slices.Contains(f.versions, "1.23") {
			continue
		}
		all = append(all, ask{"start: " + f.name, func(c *trial) answer {
			c.config["Cmd"] = list{"true"}
			f.describe(c)
			if a := c.tryCreate(); a.status != http.StatusCreated {
				return a
			}
			return c.call("POST", "/containers/"+c.id+"/start", nil)
		}})
	}
	plainly := func(name, method, path string, body any) {
		all = append(all, ask{name, func(c *trial) answer { return c.call(method, path, body) }})
	}
	for _, operation := range []struct{ method, path string }{
		{"POST", "start"}, {"POST", "stop"}, {"POST", "restart"}, {"POST", "kill"}, {"POST", "pause"}, {"POST", "unpause"}, {"POST", "wait"},
		{"GET", "json"}, {"GET", "top"}, {"GET", "changes"}, {"GET", "stats?stream=0"}, {"GET", "logs?stdout=1"}, {"POST", "rename?name=x"},
		{"POST", "attach?stdout=1"}, {"POST", "resize?h=1&w=1"}, {"GET", "archive?path=/etc"}, {"DELETE", ""}, {"GET", "export"},
	} {
		plainly(operation.path+": no such container", operation.method, strings.TrimSuffix("/containers/nosuch/"+operation.path, "/"), nil)
	}
	plainly("exec: no such container", "POST", "/containers/nosuch/exec", object{"Cmd": list{"true"}})
	plainly("exec: not running", "POST", "/containers/peer/exec", object{"Cmd": list{"true"}})
	plainly("exec: no command", "POST", "/containers/runner/exec", object{})
	plainly("exec: no such exec", "POST", "/exec/nosuch/start", object{})
	plainly("exec: inspect of no such exec", "GET", "/exec/nosuch/json", nil)
	plainly("update: no such container", "POST", "/containers/nosuch/update", object{})
	plainly("update: little memory", "POST", "/containers/peer/update", object{"Memory": 1 << 20})
	plainly("update: no such policy", "POST", "/containers/peer/update", object{"RestartPolicy": object{"Name": "sometimes"}})
	plainly("kill: no such signal", "POST", "/containers/runner/kill?signal=NOPE", nil)
	plainly("kill: not running", "POST", "/containers/peer/kill", nil)
	plainly("pause: not running", "POST", "/containers/peer/pause", nil)
	plainly("unpause: not paused", "POST", "/containers/runner/unpause", nil)
	plainly("top: not running", "GET", "/containers/peer/top", nil)
	plainly("top: no such column", "GET", "/containers/runner/top?ps_args=-o%20nosuch", nil)
	plainly("resize: not running", "POST", "/containers/peer/resize?h=10&w=10", nil)
	plainly("resize: no number", "POST", "/containers/runner/resize?h=x&w=10", nil)
	plainly("logs: no stream", "GET", "/containers/peer/logs", nil)
	plainly("rename: taken", "POST", "/containers/peer/rename?name=runner", nil)
	plainly("rename: the same", "POST", "/containers/peer/rename?name=peer", nil)
	plainly("rename: nothing", "POST", "/containers/peer/rename", nil)
	plainly("rename: no name", "POST", "/containers/peer/rename?name=.x", nil)
	plainly("remove: running", "DELETE", "/containers/runner", nil)
	plainly("remove: no such link", "DELETE", "/containers/peer/nosuch?link=1", nil)
	plainly("remove: link of nobody", "DELETE", "/containers/nosuch/x?link=1", nil)
	plainly("start: already started", "POST", "/containers/runner/start", nil)
	plainly("stop: already stopped", "POST", "/containers/stopped/stop", nil)
	plainly("archive: no such file", "GET", "/containers/peer/archive?path=/no/such", nil)
	plainly("archive: no path", "GET", "/containers/peer/archive", nil)
	plainly("copy: no such file", "POST", "/containers/peer/copy", object{"Resource": "/no/such"})
	plainly("commit: no such container", "POST", "/commit?container=nosuch", object{})
	plainly("commit: no name", "POST", "/commit?container=peer&repo=UPPER", object{})
	plainly("list: no such status", "GET", "/containers/json?filters="+`%7B%22status%22%3A%5B%22nosuch%22%5D%7D`, nil)
	plainly("list: no such filter", "GET", "/containers/json?filters="+`%7B%22nosuch%22%3A%5B%22x%22%5D%7D`, nil)
	plainly("list: before nobody", "GET", "/containers/json?before=nosuch", nil)
	plainly("list: limit that is no number", "GET", "/containers/json?limit=x", nil)
	plainly("create: name taken", "POST", "/containers/create?name=peer", object{"Image": plainImage, "Cmd": list{"true"}})
	plainly("create: no name", "POST", "/containers/create?name=.x", object{"Image": plainImage, "Cmd": list{"true"}})
	plainly("create: no body", "POST", "/containers/create", nil)
	plainly("create: no object", "POST", "/containers/create", list{})
	plainly("create: no command", "POST", "/containers/create", object{"Image": "nocommand:1"})
	return all
}

// prepare makes the containers of the asks on a side, and an image without a
// command.
func (s side) prepare(t *testing.T) {
	t.Helper()
	for name, cmd := range map[string]list{"peer": {"true"}, "runner": {"sleep", "1000"}, "stopped": {"true"}} {
		c := newTrial(t, "1.23")
		c.side, c.name, c.config["Cmd"] = s, name, cmd
		c.create()
		if name != "peer" {
			c.must("POST", "/containers/"+c.id+"/start", nil)
		}
		if name == "stopped" {
			c.wait()
		}
	}
	c := newTrial(t, "1.23")
	c.side = s
	c.must("POST", "/commit?container=peer&repo=nocommand&tag=1", object{"Cmd": nil, "Entrypoint": nil})
	t.Cleanup(func() { _, _ = s.requestJSON("DELETE", "/v1.23/images/nocommand:1?force=1", nil) })
}

var (
	idPattern   = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b`)
	nameOfTrial = regexp.MustCompile(`/t\d+\b`)
	// A runtime's own words follow, which are its release's.
	runtimeWords = regexp.MustCompile(`(?s)(failed to create shim task: OCI runtime create failed:|unable to start container process:).*`)
	givenDir     = regexp.MustCompile(regexp.QuoteMeta("/tmp/berth-fields-") + `\d+(/given-\d+)?`)
)

// said is an answer without what is another each time.
func said(a answer) string {
	text := a.text()
	if a.status < 400 {
		text = "" // it is no refusal; what it is, other tests look at
	}
	text = idPattern.ReplaceAllString(text, "ID")
	text = nameOfTrial.ReplaceAllString(text, "/NAME")
	text = runtimeWords.ReplaceAllString(text, "$1 …")
	text = givenDir.ReplaceAllString(text, "DIR")
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.status, text))
}

// alike says whether answers differ in no more than capital letters, quotes and the
// full stop at the end, in which engines differ from one release to the next.
func alike(a, b string) bool {
	same := func(s string) string {
		return strings.TrimRight(strings.NewReplacer(`"`, "", "'", "").Replace(strings.ToLower(s)), ".")
	}
	return same(a) == same(b)
}

// differenceFile has what Docker Engine answers otherwise, and why that is meant.
const differenceFile = "testdata/docker.json"

// difference is an answer of Docker Engine that berth's is not like.
type difference struct {
	Ask    string
	Docker string
	Berth  string
	// Why says why berth's answer is meant: the document's, an older engine's, or a
	// better one.
	Why string
}

// What is refused is refused in the same way by Docker Engine, but for a reviewed
// list of differences, each of which is there.
func TestRefusalsBesideDocker(t *testing.T) {
	berth, docker := plainSide(t), dockerSide(t, "docker")
	berth.prepare(t)
	docker.prepare(t)
	all := asks()
	answers := make([][2]string, len(all))
	t.Run("asks", func(t *testing.T) {
		for n, a := range all {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				for i, s := range []side{berth, docker} {
					c := newTrial(t, "1.23")
					c.side = s
					answers[n][i] = said(a.do(c))
				}
			})
		}
	})
	var found []difference
	for n, a := range all {
		if !alike(answers[n][0], answers[n][1]) {
			found = append(found, difference{Ask: a.name, Berth: answers[n][0], Docker: answers[n][1]})
		}
	}
	compareDifferences(t, found)
}

func compareDifferences(t *testing.T, found []difference) {
	t.Helper()
	data, err := os.ReadFile(differenceFile)
	if err != nil {
		t.Fatal(err)
	}
	var known []difference
	if err := json.Unmarshal(data, &known); err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		i := slices.IndexFunc(known, func(k difference) bool { return k.Ask == f.Ask })
		switch {
		case i < 0:
			t.Errorf("%s: not in %s:\n  berth:  %s\n  docker: %s", f.Ask, differenceFile, f.Berth, f.Docker)
		case known[i].Berth != f.Berth || known[i].Docker != f.Docker:
			t.Errorf("%s: another difference than in %s:\n  berth:  %s\n  was:    %s\n  docker: %s\n  was:    %s", f.Ask, differenceFile, f.Berth, known[i].Berth, f.Docker, known[i].Docker)
		case known[i].Why == "":
			t.Errorf("%s: %s does not say why", f.Ask, differenceFile)
		}
	}
	for _, k := range known {
		if !slices.ContainsFunc(found, func(f difference) bool { return f.Ask == k.Ask }) {
			t.Errorf("%s: %s has a difference that is not there any more", k.Ask, differenceFile)
		}
	}
	if path := os.Getenv("BERTH_DIFFERENCES"); path != "" {
		data, _ := json.MarshalIndent(found, "", "  ")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Error(err)
		}
	}
}
