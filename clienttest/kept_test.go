package clienttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A killed daemon's successor knows the ends of execs, what the policies of
// restart ask for, and ten thousand events. All that on a host without programs:
// berthd finds none in its PATH.
func TestKept(t *testing.T) {
	t.Parallel()
	e := startCold(t, "berthtest18", "10.213.18.1/24", launch{wrap: []string{"env", "PATH=/nowhere"}})
	if err := loadBusybox(e.Host()); err != nil {
		t.Fatal(err)
	}
	a := newRemote(t, e.Host(), "1.23")
	shared := t.TempDir()
	started := func(policy string, script string) string {
		return a.run(map[string]any{"Cmd": shell(script), "HostConfig": map[string]any{
			"RestartPolicy": map[string]any{"Name": policy}, "Binds": []string{shared + ":/shared"}}})
	}

	// top, from /proc alone.
	home := started("", "while :; do sleep 1000; done")
	eventually(t, "top shows the processes", func() bool {
		top := string(a.call(http.MethodGet, "/containers/"+home+"/top", nil).body)
		return strings.Contains(top, `"sleep 1000"`) && strings.Contains(top, `"CMD"`)
	})
	if r := a.call(http.MethodGet, "/containers/"+home+"/top?ps_args=aux", nil, http.StatusServiceUnavailable, http.StatusInternalServerError); !strings.Contains(string(r.body), "ps") {
		t.Errorf("top with arguments: %v", r)
	}

	// Execs that end before, while the daemon is away, and after.
	execs := map[string]int{}
	for script, code := range map[string]int{"exit 7": 7, "until [ -e /shared/go ]; do sleep 0.02; done; exit 8": 8, "until [ -e /shared/on ]; do sleep 0.02; done; exit 9": 9} {
		id := a.exec(home, map[string]any{"Cmd": shell(script)})
		a.call(http.MethodPost, "/exec/"+id+"/start", map[string]any{"Detach": true})
		execs[id] = code
	}
	ended := func(id string) (bool, any) {
		x := a.object(http.MethodGet, "/exec/"+id+"/json", nil)
		return x["Running"] == false, x["ExitCode"]
	}
	for id, code := range execs {
		if code == 7 {
			eventually(t, "the exec has ended", func() bool { over, _ := ended(id); return over })
		}
	}

	a.run(map[string]any{"Cmd": []string{"true"}})
	eventually(t, "all that ended has been reaped", func() bool { return len(zombies(t, e.Pid(), e.place.Dir)) == 0 })

	// Restart policies: of what ended while the daemon was away, and of what a
	// client had stopped before.
	once := "[ -e /shared/%s ] && exec sleep 1000; touch /shared/%s; until [ -e /shared/go ]; do sleep 0.02; done; exit %d"
	containers := map[string]string{}
	for name, policy := range map[string]string{"always": "always", "unless": "unless-stopped", "failed": "on-failure", "well": "on-failure", "no": ""} {
		containers[name] = started(policy, fmt.Sprintf(once, name, name, map[bool]int{true: 3}[name != "well"]))
	}
	for name, policy := range map[string]string{"stopped-always": "always", "stopped-unless": "unless-stopped"} {
		containers[name] = started(policy, "exec sleep 1000")
		a.call(http.MethodPost, "/containers/"+containers[name]+"/stop?t=0", nil)
	}
	eventually(t, "all have begun", func() bool {
		found, _ := filepath.Glob(shared + "/*")
		return len(found) == 5
	})
	began := a.events("0", now(), nil)[0].TimeNano

	e.Kill()
	history := filepath.Join(e.place.Dir, "data", "events", "events.jsonl")
	f, err := os.OpenFile(history, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	const many = 10_000
	past := time.Now().UTC()
	for i := range many {
		fmt.Fprintf(f, `{"time":%q,"type":"volume","action":"create","id":"made-%d","attributes":{"driver":"local"}}`+"\n", past.Add(time.Duration(i)).Format(time.RFC3339Nano), i)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shared, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // they end without the daemon
	e.comesBack()

	if err := os.WriteFile(filepath.Join(shared, "on"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for id, code := range execs {
		eventually(t, "the exec has ended", func() bool { over, _ := ended(id); return over })
		if _, got := ended(id); got != float64(code) {
			t.Errorf("an exec's exit code is %v, want %d", got, code)
		}
	}
	for name, running := range map[string]bool{"always": true, "unless": true, "failed": true, "well": false, "no": false, "stopped-always": true, "stopped-unless": false} {
		if running {
			eventually(t, name+" runs again", func() bool { s := a.state(containers[name]); return s["Running"] == true && s["Restarting"] == false })
		} else if s := a.state(containers[name]); s["Running"] != false {
			t.Errorf("%s runs: %v", name, s)
		}
	}

	again := func() {
		t.Helper()
		all := a.events("0", now(), map[string][]string{"type": {"volume"}, "event": {"create"}})
		next := 0
		for _, ev := range all {
			if ev.Actor.ID == "made-"+strconv.Itoa(next) {
				next++
			}
		}
		if next != many {
			t.Errorf("%d of %d events are there in order", next, many)
		}
	}
	again()
	if all := a.events("0", moment(began), nil); len(all) != 1 || all[0].TimeNano != began {
		t.Errorf("the first event is %v", all)
	}
	e.Kill()
	e.comesBack()
	again()

	// A line of 100 MB takes no more memory than others, in the daemon, to write
	// and to read, whoever follows.
	before := peak(t, e.Pid())
	const long = 100_000_000
	c := a.run(map[string]any{"Cmd": shell(fmt.Sprintf("head -c %d /dev/zero | tr '\\0' y", long)), "HostConfig": map[string]any{
		"LogConfig": map[string]any{"Type": "json-file", "Config": map[string]string{"max-size": "1g"}}}, "Tty": true})
	answer, err := a.open(t.Context(), http.MethodGet, "/containers/"+c+"/logs?follow=1&stdout=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, want := sha256.New(), sha256.New()
	n, err := io.Copy(got, answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for range long / 1000 {
		want.Write(bytes.Repeat([]byte{'y'}, 1000))
	}
	if n != long || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes came, want %d", n, long)
	}
	if grown := peak(t, e.Pid()) - before; grown > 50<<20 {
		t.Errorf("the daemon took %d MiB more", grown>>20)
	}
}

// zombies are the processes that ended and whose parent, the daemon or one that
// names its directory, has not taken note.
func zombies(t *testing.T, daemon int, dir string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	parents := 0
	for _, p := range all {
		line, err := os.ReadFile(p + "/cmdline")
		if err != nil || p != fmt.Sprintf("/proc/%d", daemon) && !bytes.Contains(line, []byte(dir)) {
			continue
		}
		parents++
		children, _ := filepath.Glob(p + "/task/*/children")
		for _, list := range children {
			text, _ := os.ReadFile(list)
			for _, child := range strings.Fields(string(text)) {
				if stat, err := os.ReadFile("/proc/" + child + "/stat"); err == nil && bytes.Contains(stat, []byte(") Z ")) {
					found = append(found, string(stat))
				}
			}
		}
	}
	if parents < 2 {
		t.Fatal("no container has a process that names", dir)
	}
	return found
}

// peak is the most memory that a process has had, bytes (proc(5), VmHWM).
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
