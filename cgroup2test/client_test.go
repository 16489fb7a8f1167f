package cgroup2test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// object is a JSON object of the API.
type object = map[string]any

type client struct {
	http *http.Client
	log  string
}

// statusError is an answer of 400 or above.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// call sends a request of version 1.23 and decodes the answer into out, unless
// that is nil.
func (c *client) call(method, path string, body, out any) (int, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, "http://engine/v1.23"+path, in)
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err
	}
	if resp.StatusCode >= 400 {
		return resp.StatusCode, &statusError{resp.StatusCode, strings.TrimSpace(string(answer))}
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	if text, ok := out.(*string); ok {
		*text = string(answer)
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(answer, out)
}

func (c *client) create(config object) (id string, warnings []string, err error) {
	var made struct {
		ID       string
		Warnings []string
	}
	_, err = c.call("POST", "/containers/create", config, &made)
	return made.ID, made.Warnings, err
}

// box is a container that a test runs.
type box struct {
	t        *testing.T
	id       string
	warnings []string
}

// made creates a container that is removed with the test.
func made(t *testing.T, host object, command ...string) *box {
	t.Helper()
	if host == nil {
		host = object{}
	}
	if _, ok := host["NetworkMode"]; !ok {
		host["NetworkMode"] = "none"
	}
	id, warnings, err := engine.create(object{"Image": "busybox", "Cmd": command, "HostConfig": host})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	b := &box{t: t, id: id, warnings: warnings}
	t.Cleanup(func() { b.must("DELETE", "?force=1&v=1", nil, nil) })
	return b
}

// runs is made and started: by default it sleeps.
func runs(t *testing.T, host object, command ...string) *box {
	t.Helper()
	if len(command) == 0 {
		command = []string{"sleep", "100000"}
	}
	b := made(t, host, command...)
	b.must("POST", "/start", nil, nil)
	return b
}

func (b *box) must(method, path string, body, out any) {
	b.t.Helper()
	if _, err := engine.call(method, "/containers/"+b.id+path, body, out); err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
}

type inspected struct {
	State struct {
		Pid, ExitCode              int
		Status                     string
		Running, Paused, OOMKilled bool
	}
	HostConfig object
}

func (b *box) inspect() (i inspected) {
	b.t.Helper()
	b.must("GET", "/json", nil, &i)
	return i
}

// exec runs a command inside and gives its output and exit code.
func (b *box) exec(command ...string) (string, int) {
	b.t.Helper()
	var made struct{ ID string }
	b.must("POST", "/exec", object{"Cmd": command, "AttachStdout": true, "AttachStderr": true, "Tty": true}, &made)
	var out string
	if _, err := engine.call("POST", "/exec/"+made.ID+"/start", object{"Tty": true}, &out); err != nil {
		b.t.Fatalf("exec %v: %v", command, err)
	}
	var end struct{ ExitCode int }
	if _, err := engine.call("GET", "/exec/"+made.ID+"/json", nil, &end); err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(out, "\r", "")), end.ExitCode
}

// inside is a file of the container's own cgroup as the container sees it.
func (b *box) inside(file string) string {
	b.t.Helper()
	text, code := b.exec("cat", root+"/"+file)
	if code != 0 {
		b.t.Fatalf("read %s inside: %s", file, text)
	}
	return text
}

// dir is the container's cgroup as the host sees it.
func (b *box) dir() string {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", b.inspect().State.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	path, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "0::")
	if !ok {
		b.t.Fatalf("no place in the unified hierarchy: %q", text)
	}
	return filepath.Join(root, path)
}

// outside is a file of the container's cgroup as the host sees it.
func (b *box) outside(file string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir(), file))
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (b *box) wait() int {
	b.t.Helper()
	var end struct{ StatusCode int }
	b.must("POST", "/wait", nil, &end)
	return end.StatusCode
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// scopes are systemd's units of containers.
func scopes() ([]string, error) {
	out, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend", "berth-*.scope").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("systemctl list-units: %w\n%s", err, out)
	}
	var units []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 0 {
			units = append(units, "unit "+f[0])
		}
	}
	return units, nil
}
