package endurance

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/plugin"
)

// gatekeepers are authorization plugins and an engine that asks them.
func gatekeepers(t *testing.T, names ...string) (*engine, []*plugin.Process) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "berth-authz-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	flags := []string{"--plugin-sockets", dir, "--plugin-spec", filepath.Join(dir, "none")}
	var plugins []*plugin.Process
	for _, name := range names {
		p, err := plugin.Start("authorization", filepath.Join(dir, name+".sock"), filepath.Join(dir, name+".desk"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		plugins = append(plugins, p)
		flags = append(flags, "--authorization-plugin", name)
	}
	return start(t, options{flags: flags}), plugins
}

func behave(t *testing.T, p *plugin.Process, method, how string) {
	t.Helper()
	if err := p.Behave(method, how); err != nil {
		t.Fatal(err)
	}
}

// last is the newest call of a plugin that begins with a text.
func last(p *plugin.Process, prefix string) string {
	calls := p.Calls()
	for i := len(calls) - 1; i >= 0; i-- {
		if strings.HasPrefix(calls[i], prefix) {
			return calls[i]
		}
	}
	return ""
}

// TestAuthorization asks two plugins about all kinds of requests and has each of
// them refuse, at the request and at the answer.
func TestAuthorization(t *testing.T) {
	e, plugins := gatekeepers(t, "first", "second")
	first, second := plugins[0], plugins[1]
	for _, p := range plugins {
		for _, call := range []string{"AuthZReq POST /v1.23/images/load", "AuthZRes POST /v1.23/images/load", "AuthZReq POST /v1.23/exec/", "AuthZRes POST /v1.23/exec/"} {
			if p.Count(call) == 0 {
				t.Errorf("%s was not asked: %s", p.Dir, call)
			}
		}
	}
	if call := last(first, "AuthZReq POST /v1.23/images/load"); !strings.HasSuffix(call, ` 0 ""`) {
		t.Errorf("an archive went to the plugin: %.100s", call)
	}
	if call := last(first, "AuthZRes POST /v1.23/containers/create"); !strings.Contains(call, ` 201 "{\"Id\":`) {
		t.Errorf("the answer's body did not go to the plugin: %s", call)
	}
	var info struct {
		Plugins struct{ Authorization []string }
	}
	if err := e.must(http.MethodGet, "/info", nil).decode(&info); err != nil || strings.Join(info.Plugins.Authorization, " ") != "first second" {
		t.Errorf("info: %+v %v", info, err)
	}
	refused := func(status int, text, method, path string, body any) {
		t.Helper()
		if a := want(t, e.client, status, method, path, body); string(a.body) != text+"\n" {
			t.Errorf("%s %s: %s, wanted %s", method, path, a.body, text)
		}
	}
	id := e.create("box", map[string]any{"Image": "busybox", "Cmd": sleep, "OpenStdin": true})
	e.begin(id)

	// In the middle of the chain, and at its end; the second hears nothing then.
	behave(t, second, "AuthZReq", "deny secret")
	refused(403, "authorization denied by plugin second: secret is not allowed", "POST", "/containers/create?name=secret", map[string]any{"Image": "busybox"})
	refused(403, "authorization denied by plugin second: secret is not allowed", "POST", "/containers/create", map[string]any{"Image": "busybox", "Env": []string{"A=secret"}})
	behave(t, first, "AuthZReq", "deny secret")
	before := second.Count("AuthZReq")
	refused(403, "authorization denied by plugin first: secret is not allowed", "GET", "/containers/secret/json", nil)
	if second.Count("AuthZReq") != before {
		t.Error("the second plugin was asked after the first had refused")
	}
	want(t, e.client, 404, "GET", "/containers/other/json", nil)
	// Form bodies are parameters.
	refused(403, "authorization denied by plugin first: secret is not allowed", "POST", "/images/create", raw{"application/x-www-form-urlencoded", strings.NewReader("fromImage=secret")})
	refused(403, "authorization denied by plugin first: secret is not allowed", "POST", "/images/busybox/tag", raw{"application/x-www-form-urlencoded", strings.NewReader("repo=secret")})
	// Passwords never went to plugins.
	if a := want(t, e.client, 500, "POST", "/auth", map[string]any{"username": "u", "password": "secret", "serveraddress": "127.0.0.1:1"}); strings.Contains(string(a.body), "denied") {
		t.Error(a)
	}
	if call := last(first, "AuthZReq POST /v1.23/auth"); strings.Contains(call, "secret") {
		t.Errorf("a password went to the plugin: %s", call)
	}

	// Answers: whole, streamed, hijacked. Nothing of them goes out.
	behave(t, first, "AuthZRes", "deny box")
	for _, try := range []struct{ method, path string }{
		{"GET", "/containers/json"}, {"GET", "/containers/box/json"}, {"GET", "/containers/box/logs?stdout=1&follow=1"}, {"GET", "/containers/box/export"},
		{"GET", "/containers/box/archive?path=/etc"}, {"POST", "/containers/box/attach?stream=1&stdout=1"}, {"POST", "/containers/box/wait"},
		{"GET", "/containers/box/stats"}, {"GET", "/events?since=0&x=box"}, {"POST", "/containers/box/stop?t=0"},
	} {
		refused(403, "authorization denied by plugin first: box is not allowed", try.method, try.path, nil)
	}
	head := want(t, e.client, 403, "HEAD", "/containers/box/archive?path=/etc", nil)
	if head.header.Get("X-Docker-Container-Path-Stat") != "" {
		t.Errorf("a refused answer tells: %v", head.header)
	}
	conn, _, resp, err := e.hijack(http.MethodPost, "/containers/box/attach?stream=1&stdin=1", "")
	if err != nil || resp.StatusCode != 403 {
		t.Errorf("hijacked: %v %v", resp, err)
	}
	conn.Close()
	behave(t, first, "AuthZRes", "")
	behave(t, first, "AuthZReq", "lie")
	refused(403, "authorization denied by plugin first: esc?[2J", "GET", "/version", nil)
	behave(t, first, "AuthZReq", "")

	// Streams go on as without plugins.
	e.begin("box")
	if o := e.run("box", "sh", "-c", "echo out; echo err >&2; exit 3"); o != (outcome{3, "out\n", "err\n"}) {
		t.Errorf("exec: %+v", o)
	}
	e.remove("box")
}

// TestAuthorizationOutage kills, stops and breaks the plugin: nothing is served
// meanwhile, each refusal comes within a bound, and nothing hangs for others.
func TestAuthorizationOutage(t *testing.T) {
	e, plugins := gatekeepers(t, "gate")
	gate := plugins[0]
	for _, o := range []struct {
		what  string
		how   func()
		text  string
		bound time.Duration
	}{
		{"fails", func() { behave(t, gate, "AuthZReq", "fail") }, "plugin gate failed with error: AuthZPlugin.AuthZReq: AuthZReq fails as told\n", time.Second},
		{"fails at the answer", func() { behave(t, gate, "AuthZReq", ""); behave(t, gate, "AuthZRes", "fail") }, "plugin gate failed with error: AuthZPlugin.AuthZRes: AuthZRes fails as told\n", time.Second},
		{"hangs", func() { behave(t, gate, "AuthZReq", "hang") }, "no answer within", 15 * time.Second},
		{"is dead", gate.Kill, "cannot connect", 8 * time.Second},
		{"is gone", func() { os.Remove(filepath.Join(filepath.Dir(gate.Dir), "gate.sock")) }, "plugin gate not found", time.Second},
	} {
		o.how()
		began := time.Now()
		a := want(t, e.client, 500, "GET", "/containers/json", nil)
		if took := time.Since(began); took > o.bound || !strings.Contains(string(a.body), o.text) {
			t.Errorf("a plugin that %s: %s after %v, wanted %q within %v", o.what, a.body, took, o.text, o.bound)
		}
	}
	p, err := plugin.Start("authorization", filepath.Join(filepath.Dir(gate.Dir), "gate.sock"), filepath.Join(filepath.Dir(gate.Dir), "new.desk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	want(t, e.client, 200, "GET", "/containers/json", nil)
}

// TestCVE202441110 is the kind of CVE-2024-41110: a request in a shape in which the plugin sees no body, or another one, while the
// engine acts upon it. The plugin refuses Privileged wherever it sees the word.
func TestCVE202441110(t *testing.T) {
	e, plugins := gatekeepers(t, "gate")
	behave(t, plugins[0], "AuthZReq", "deny Privileged")
	const evil = `{"Image":"busybox","HostConfig":{"Privileged":true}}`
	chunked := func(parts ...string) string {
		var b strings.Builder
		for _, p := range append(parts, "") {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
		}
		return b.String()
	}
	large := `{"Image":"busybox","Env":["A=` + strings.Repeat("x", 1<<20) + `"],"HostConfig":{"Privileged":true}}`
	var split []string
	for _, c := range evil {
		split = append(split, string(c))
	}
	for name, request := range map[string]string{
		"plain":              fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
		"no type":            fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(evil), evil),
		"charset":            fmt.Sprintf("Content-Type: APPLICATION/JSON; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
		"another type":       fmt.Sprintf("Content-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
		"length 0":           "Content-Type: application/json\r\nContent-Length: 0\r\n\r\n" + evil,
		"length 0, chunked":  "Content-Type: application/json\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(evil),
		"two lengths":        fmt.Sprintf("Content-Type: application/json\r\nContent-Length: 0\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
		"chunked":            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(evil),
		"chunked by bytes":   "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(split...),
		"chunked, identity":  "Content-Type: application/json\r\nTransfer-Encoding: identity, chunked\r\n\r\n" + chunked(evil),
		"expects":            fmt.Sprintf("Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
		"upgrade":            fmt.Sprintf("Content-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
		"too large":          fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(large), large),
		"too large, chunked": "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(large),
		"escaped":            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(`{"Privileged":1,`, evil[1:]),
		"form":               fmt.Sprintf("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(evil), evil),
	} {
		conn, err := net.Dial("unix", e.socket)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		go func() { // the answer may come before the end of a large body
			_, _ = io.WriteString(conn, "POST /v1.23/containers/create HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"+request)
		}()
		r := bufio.NewReader(conn)
		resp, err := http.ReadResponse(r, nil)
		if err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(r, nil)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !slices.Contains([]int{http.StatusForbidden, http.StatusBadRequest, http.StatusNotImplemented}, resp.StatusCode) {
			text, _ := io.ReadAll(resp.Body)
			t.Errorf("%s: %s %s", name, resp.Status, text)
		}
		conn.Close()
	}
	var list []struct{ ID string }
	if err := e.must(http.MethodGet, "/containers/json?all=1", nil).decode(&list); err != nil || len(list) != 0 {
		t.Errorf("created: %v %v", list, err)
	}

	// Paths: the plugin sees what is served, whatever the client wrote.
	for _, path := range []string{
		"/v1.23/images/../containers/json", "//v1.23//containers//json", "/v1.23/containers/%6a%73on", "/v1.23/containers%2fjson", "/v1.23/./containers/json",
		"http://d/v1.23/containers/json",
	} {
		conn, err := net.Dial("unix", e.socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s?all=1 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v %v", path, resp, err)
		}
		conn.Close()
		if call := last(plugins[0], "AuthZReq"); !strings.HasPrefix(call, "AuthZReq GET /v1.23/containers/json?all=1 ") {
			t.Errorf("%s came as %s", path, call)
		}
	}

	// Credentials stay here.
	auth := base64.URLEncoding.EncodeToString([]byte(`{"username":"u","password":"p"}`))
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://d/v1.23/images/create?fromImage=127.0.0.1:1/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Registry-Auth", auth)
	if resp, err := e.hc.Do(r); err == nil {
		resp.Body.Close()
	}
	text, _ := os.ReadFile(filepath.Join(plugins[0].Dir, "calls"))
	if strings.Contains(string(text), auth) {
		t.Error("a plugin got the credentials of a registry")
	}
}
