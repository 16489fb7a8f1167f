package clienttest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hijack sends a request that takes its connection over and returns the
// connection behind the answer's head.
func (a *remote) hijack(path, body string) (net.Conn, *bufio.Reader) {
	a.t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(a.host, "unix://"))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		a.t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST /v%s%s HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		a.version, path, len(body), body)
	if err != nil {
		a.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		a.t.Fatalf("POST %s: %v, %v", path, answer, err)
	}
	return conn, in
}

// exec makes an exec and returns its id.
func (a *remote) exec(container string, config map[string]any) string {
	a.t.Helper()
	config["AttachStdout"], config["AttachStderr"] = true, true
	id, _ := a.object(http.MethodPost, "/containers/"+container+"/exec", config)["Id"].(string)
	return id
}

// says runs an exec with a terminal to its end: what it wrote, and its exit code.
func (a *remote) says(container string, config map[string]any) (string, int) {
	a.t.Helper()
	config["Tty"] = true
	id := a.exec(container, config)
	_, in := a.hijack("/exec/"+id+"/start", `{"Tty":true}`)
	text, err := io.ReadAll(in)
	if err != nil {
		a.t.Fatal(err)
	}
	code, _ := a.object(http.MethodGet, "/exec/"+id+"/json", nil)["ExitCode"].(float64)
	return strings.TrimSuffix(string(text), "\r\n"), int(code)
}

// What an exec asks for is what its process has.
func TestExecProcess(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.run(map[string]any{"Cmd": []string{"sleep", "1000"}, "Env": []string{"OUTER=yes"}, "WorkingDir": "/home"})
		const granted = "00000000a80425fb" // Docker's fourteen
		for _, x := range []struct {
			since, name string
			config      map[string]any
			text        string // a pattern
			code        int
		}{
			{"1.18", "as the container", map[string]any{"Cmd": shell(`id -u; pwd; echo $OUTER; tty; exit 7`)}, `0\r\n/home\r\nyes\r\n/dev/\S+`, 7},
			{"1.19", "user", map[string]any{"User": "nobody", "Cmd": shell(`id -un; id -gn; grep CapEff /proc/self/status`)}, `nobody\r\nnogroup\r\nCapEff:\s0{16}`, 0},
			{"1.19", "user by numbers", map[string]any{"User": "123:456", "Cmd": shell(`id -u; id -g`)}, `123\r\n456`, 0},
			{"1.18", "not privileged", map[string]any{"Cmd": shell(`grep CapBnd /proc/self/status`)}, `CapBnd:\s` + granted, 0},
			{"1.18", "by a signal", map[string]any{"Cmd": shell(`kill -TERM $$`)}, ``, 128 + 15},
			{"1.18", "not found", map[string]any{"Cmd": []string{"/no/such"}}, `.*no such file or directory.*`, 127},
			{"1.18", "not a program", map[string]any{"Cmd": []string{"/etc/passwd"}}, `.*permission denied.*`, 126},
		} {
			if !a.since(x.since) {
				continue // the field is none yet
			}
			text, code := a.says(c, x.config)
			if !regexp.MustCompile(`(?s)^`+x.text+`$`).MatchString(text) || code != x.code {
				t.Errorf("%s: %q and %d, want %q and %d", x.name, text, code, x.text, x.code)
			}
		}
		plain, _ := a.says(c, map[string]any{"Cmd": shell(`grep CapBnd /proc/self/status`)})
		all, _ := a.says(c, map[string]any{"Privileged": true, "Cmd": shell(`grep CapBnd /proc/self/status`)})
		whole := a.run(map[string]any{"Cmd": []string{"sleep", "1000"}, "HostConfig": map[string]any{"Privileged": true}})
		want, _ := a.says(whole, map[string]any{"Cmd": shell(`grep CapBnd /proc/self/status`)})
		if granted := all != plain; granted != a.since("1.21") || granted && all != want {
			t.Errorf("privileged exec: %q, not: %q, a privileged container's: %q", all, plain, want)
		}
		if !a.since("1.19") {
			return
		}
		r := a.call(http.MethodPost, "/exec/"+a.exec(c, map[string]any{"User": "nosuch", "Cmd": []string{"true"}})+"/start", map[string]any{"Detach": true},
			http.StatusBadRequest, http.StatusNotFound, http.StatusInternalServerError)
		if !strings.Contains(string(r.body), "nosuch") {
			t.Errorf("an unknown user: %v", r)
		}
	})
}

// A terminal's client resizes it, goes away by the detach keys and leaves the
// process running; inspect of the container names it as long as it runs.
func TestExecDetachKeys(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.run(map[string]any{"Cmd": []string{"sleep", "1000"}})
		ids := func() any { return a.object(http.MethodGet, "/containers/"+c+"/json", nil)["ExecIDs"] }
		if got := ids(); got != nil {
			t.Errorf("ExecIDs without an exec: %v", got)
		}
		keys, typed := "", "\x10\x11"
		if a.since("1.22") {
			keys, typed = "ctrl-a,b", "\x01b"
		}
		x := a.exec(c, map[string]any{"Cmd": shell("echo ready; while read line; do echo got $line; stty size; done"), "Tty": true, "AttachStdin": true, "DetachKeys": keys})
		conn, in := a.hijack("/exec/"+x+"/start", `{"Tty":true}`)
		expect := func(want string) {
			t.Helper()
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatalf("waiting for %q: %v", want, err)
				}
				if strings.TrimSpace(line) == want {
					return
				}
			}
		}
		expect("ready")
		a.call(http.MethodPost, "/exec/"+x+"/resize?h=33&w=77", nil, http.StatusCreated)
		if _, err := io.WriteString(conn, "one\n"); err != nil {
			t.Fatal(err)
		}
		expect("got one")
		expect("33 77")
		if got := fmt.Sprint(ids()); got != "["+x+"]" {
			t.Errorf("ExecIDs: %v, want %s", got, x)
		}
		if _, err := io.WriteString(conn, typed); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(in); err != nil {
			t.Errorf("after the detach keys: %q, %v", rest, err)
		}
		if got := a.object(http.MethodGet, "/exec/"+x+"/json", nil)["Running"]; got != true {
			t.Errorf("after the detach keys: Running is %v", got)
		}
	})
}

// Execs are refused where there is nothing to run them in.
func TestExecConflicts(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.run(map[string]any{"Cmd": []string{"sleep", "1000"}})
		command := map[string]any{"Cmd": []string{"true"}}
		x, once := a.exec(c, command), a.exec(c, command)
		start := map[string]any{"Detach": true}
		a.call(http.MethodPost, "/exec/"+once+"/start", start, http.StatusOK)
		refused := http.StatusConflict
		if !a.since("1.21") {
			refused = http.StatusBadRequest // start has no 409 yet
		}
		a.call(http.MethodPost, "/exec/"+once+"/start", start, refused)
		a.call(http.MethodPost, "/containers/"+c+"/pause", nil)
		a.call(http.MethodPost, "/containers/"+c+"/exec", command, http.StatusConflict)
		a.call(http.MethodPost, "/exec/"+x+"/start", start, refused)
		a.call(http.MethodPost, "/containers/"+c+"/unpause", nil)
		a.call(http.MethodPost, "/exec/"+x+"/resize?h=10&w=10", nil, http.StatusConflict)
		a.call(http.MethodPost, "/containers/"+c+"/stop?t=0", nil)
		a.call(http.MethodPost, "/containers/"+c+"/exec", command, http.StatusConflict)
		a.call(http.MethodPost, "/exec/"+x+"/start", start, refused)
		a.call(http.MethodPost, "/exec/nosuch/start", start, http.StatusNotFound)
		if got := a.object(http.MethodGet, "/exec/"+once+"/json", nil)["ExitCode"]; fmt.Sprint(got) != "0" {
			t.Errorf("exit code of an exec of a stopped container: %v", got)
		}
	})
}
