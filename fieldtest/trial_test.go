package fieldtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/stream"
	"github.com/seed-50ced230/berth/spec"
)

// trial is one row at one version: a container that is described, run and
// looked at. What it made is removed at the end of the test.
type trial struct {
	*testing.T
	// side is the engine that the container is on.
	side
	// version is "1.18" … "1.23".
	version string
	// config, host and endpoints become the body of the creation: the
	// container's configuration, its HostConfig and its
	// NetworkingConfig.EndpointsConfig.
	config, host, endpoints object
	// name is the container's.
	name string
	// id is the container's, once it is created; warnings came with it.
	id       string
	warnings []string
}

var trials atomic.Int64

func newTrial(t *testing.T, version string) *trial {
	return &trial{T: t, side: own, version: version, config: object{}, host: object{}, endpoints: object{}, name: fmt.Sprintf("t%d", trials.Add(1))}
}

// another describes a further container of the same test.
func (c *trial) another() *trial {
	d := newTrial(c.T, c.version)
	d.side = c.side
	return d
}

// since says whether the version is v or later.
func (c *trial) since(v string) bool { return c.version >= v } // two digits all

func (c *trial) call(method, path string, body any) answer {
	c.Helper()
	a, err := c.requestJSON(method, "/v"+c.version+path, body)
	if err != nil {
		c.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// must calls and wants a status below 400.
func (c *trial) must(method, path string, body any) answer {
	c.Helper()
	a := c.call(method, path, body)
	if a.status >= 400 {
		c.Fatalf("%s %s: %v", method, path, a)
	}
	return a
}

// body is the creation's.
func (c *trial) body() object {
	b := object{"Image": plainImage}
	for k, v := range c.config {
		b[k] = v
	}
	if len(c.host) > 0 {
		b["HostConfig"] = c.host
	}
	if len(c.endpoints) > 0 {
		b["NetworkingConfig"] = object{"EndpointsConfig": c.endpoints}
	}
	return b
}

// tryCreate asks for the container.
func (c *trial) tryCreate() answer {
	c.Helper()
	a := c.call("POST", "/containers/create?name="+c.name, c.body())
	if a.status == http.StatusCreated {
		var made struct {
			ID       string `json:"Id"`
			Warnings []string
		}
		if err := json.Unmarshal(a.body, &made); err != nil {
			c.Fatalf("create: %v: %v", a, err)
		}
		c.id, c.warnings = made.ID, made.Warnings
		id := made.ID
		c.Cleanup(func() {
			if a, err := c.requestJSON("DELETE", "/v1.23/containers/"+id+"?force=1&v=1", nil); err != nil || a.status >= 400 && a.status != 404 {
				c.Errorf("remove container %s: %v %v", id, a, err)
			}
		})
	}
	return a
}

// create makes the container, which must work.
func (c *trial) create() *trial {
	c.Helper()
	if a := c.tryCreate(); a.status != http.StatusCreated {
		c.Fatalf("create: %v", a)
	}
	return c
}

// start makes the container with a command for sh and starts it.
func (c *trial) start(script string) *trial {
	c.Helper()
	if script != "" {
		c.config["Cmd"] = list{"sh", "-c", script}
	}
	c.create().must("POST", "/containers/"+c.id+"/start", nil)
	return c
}

// idle starts the container with a process that goes on until it is killed.
func (c *trial) idle() *trial {
	c.Helper()
	return c.start("exec sleep 1000")
}

// run makes and starts the container, waits for its end, which must be a
// success, and gives what it printed.
func (c *trial) run(script string) string {
	c.Helper()
	c.start(script)
	code := c.wait()
	out := c.logs()
	if code != 0 {
		c.Fatalf("the container ended with %d: %s", code, out)
	}
	return out
}

func (c *trial) wait() int {
	c.Helper()
	var end struct{ StatusCode int }
	a := c.must("POST", "/containers/"+c.id+"/wait", nil)
	if err := json.Unmarshal(a.body, &end); err != nil {
		c.Fatalf("wait: %v: %v", a, err)
	}
	return end.StatusCode
}

// logs gives the container's output and error output, one after the other.
func (c *trial) logs() string {
	c.Helper()
	a := c.must("GET", "/containers/"+c.id+"/logs?stdout=1&stderr=1", nil)
	if c.config["Tty"] == true {
		return strings.TrimSpace(strings.ReplaceAll(string(a.body), "\r\n", "\n"))
	}
	return strings.TrimSpace(c.split(a.body))
}

func (c *trial) split(frames []byte) string {
	c.Helper()
	var out, errs bytes.Buffer
	if err := stream.Split(&out, &errs, bytes.NewReader(frames)); err != nil {
		c.Fatalf("frames of the output: %v", err)
	}
	return out.String() + errs.String()
}

// exec runs a command for sh in the running container and gives its output.
func (c *trial) exec(script string) string {
	c.Helper()
	var made struct {
		ID string `json:"Id"`
	}
	a := c.must("POST", "/containers/"+c.id+"/exec", object{"AttachStdout": true, "AttachStderr": true, "Cmd": list{"sh", "-c", script}})
	if err := json.Unmarshal(a.body, &made); err != nil {
		c.Fatalf("exec: %v: %v", a, err)
	}
	return strings.TrimSpace(c.split(c.must("POST", "/exec/"+made.ID+"/start", object{}).body))
}

// inspected is the container as the version shows it.
func (c *trial) inspected() object {
	c.Helper()
	var m object
	a := c.must("GET", "/containers/"+c.id+"/json", nil)
	if err := json.Unmarshal(a.body, &m); err != nil {
		c.Fatalf("inspect: %v: %v", a, err)
	}
	return m
}

// shows wants a value at a path of inspect's answer: "HostConfig.Memory".
func (c *trial) shows(path string, want any) {
	c.Helper()
	c.equal("inspect's "+path, at(c.inspected(), path), want)
}

// at is the value at a path of members; nil if there is none.
func at(m any, path string) any {
	for _, key := range strings.Split(path, ".") {
		o, ok := m.(object)
		if !ok {
			return nil
		}
		m = o[key]
	}
	return m
}

// equal compares two values as JSON has them.
func (c *trial) equal(what string, got, want any) {
	c.Helper()
	if g, w := plain(got), plain(want); !reflect.DeepEqual(g, w) {
		c.Errorf("%s: got %s, want %s", what, print(g), print(w))
	}
}

func (c *trial) matches(what, got, pattern string) {
	c.Helper()
	if !regexp.MustCompile(pattern).MatchString(got) {
		c.Errorf("%s: got %q, want a match of %q", what, got, pattern)
	}
}

func (c *trial) lacks(what, got, pattern string) {
	c.Helper()
	if found := regexp.MustCompile(pattern).FindString(got); found != "" {
		c.Errorf("%s: got %q, in which %q must not be", what, got, found)
	}
}

// warned wants a warning of the creation.
func (c *trial) warned(pattern string) {
	c.Helper()
	c.matches("warnings", strings.Join(c.warnings, "\n"), pattern)
}

// eventually waits until holds is true, ten seconds at most.
func (c *trial) eventually(what string, holds func() bool) {
	c.Helper()
	for range 500 {
		if holds() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.Fatalf("%s: not within ten seconds", what)
}

// plain turns a value into what decoding its JSON gives.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test's own literal
	}
	var p any
	if err := json.Unmarshal(data, &p); err != nil {
		panic(err)
	}
	return p
}

func print(v any) string {
	data, _ := json.Marshal(v)
	return string(data)
}

// query is a query string of pairs.
func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}

// since gives the versions from the first one on.
func since(first string) []string { return between(first, "9") }

// between gives the versions from the first to the last.
func between(first, last string) []string {
	var vs []string
	for _, v := range spec.Versions() {
		if v >= first && v <= last {
			vs = append(vs, v)
		}
	}
	return vs
}
