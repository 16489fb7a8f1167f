package clienttest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// frames reads frames to the end: the payload of all.
func frames(in *bufio.Reader) (string, error) {
	var all strings.Builder
	for {
		var head [8]byte
		if _, err := io.ReadFull(in, head[:]); err == io.EOF {
			return all.String(), nil
		} else if err != nil {
			return all.String(), err
		}
		if _, err := io.CopyN(&all, in, int64(binary.BigEndian.Uint32(head[4:]))); err != nil {
			return all.String(), err
		}
	}
}

// numbered is a script that counts to n, a line at a time and sometimes half a
// line, and what it writes.
func numbered(n int) (script, text string) {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "line %d\n", i)
	}
	return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do printf 'line '; [ $((i%%50)) != 7 ] || sleep 0.02; echo $i; i=$((i+1)); done`, n), all.String()
}

// whole starts clients that attach with the log, or follow it, while a container
// writes: each gets everything once.
func whole(t *testing.T, a *remote, host map[string]any) {
	t.Helper()
	script, want := numbered(1500)
	c := a.run(map[string]any{"Cmd": shell(script), "HostConfig": host})
	type outcome struct {
		what, text string
		err        error
	}
	outcomes := make(chan outcome)
	const each = 4
	for i := range each {
		time.Sleep(50 * time.Millisecond)
		_, in := a.hijack("/containers/"+c+"/attach?logs=1&stream=1&stdout=1&stderr=1", "")
		go func() {
			text, err := frames(in)
			outcomes <- outcome{fmt.Sprintf("attach %d", i), text, err}
		}()
		answer, err := a.open(t.Context(), http.MethodGet, "/containers/"+c+"/logs?follow=1&stdout=1&stderr=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			text, err := frames(bufio.NewReader(answer.Body))
			outcomes <- outcome{fmt.Sprintf("follow %d", i), text, err}
		}()
	}
	for range 2 * each {
		o := <-outcomes
		if o.err != nil || o.text != want {
			t.Errorf("%s: %v, %d bytes, want %d: %s", o.what, o.err, len(o.text), len(want), difference(o.text, want))
		}
	}
}

// difference shows where a text leaves the other.
func difference(got, want string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	from := max(0, i-20)
	return fmt.Sprintf("at %d %q instead of %q", i, got[from:min(len(got), i+40)], want[from:min(len(want), i+40)])
}

func TestLogMeetsStream(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) { whole(t, a, map[string]any{}) })
}

// The same through many rotations.
func TestLogMeetsStreamRotated(t *testing.T) {
	t.Parallel()
	whole(t, newRemote(t, engine, "1.23"), map[string]any{"LogConfig": map[string]any{"Type": "json-file", "Config": map[string]string{"max-size": "10k", "max-file": "50"}}})
}

// A size is of bytes, or of binary multiples, whatever the letters' case.
func TestLogSizes(t *testing.T) {
	t.Parallel()
	a := newRemote(t, engine, "1.23")
	for unit, bytes := range map[string]int64{"3000": 3000, "3k": 3 << 10, "3K": 3 << 10, "3kb": 3 << 10, "1m": 1 << 20} {
		c := a.run(map[string]any{"Cmd": shell("seq 15000"), "HostConfig": map[string]any{
			"LogConfig": map[string]any{"Type": "json-file", "Config": map[string]string{"max-size": unit, "max-file": "2"}}}})
		a.wait(c)
		path, _ := a.object(http.MethodGet, "/containers/"+c+"/json", nil)["LogPath"].(string)
		// A file ends with the line that reached the size.
		if got := size(t, path+".1"); got < bytes || got > bytes+100 {
			t.Errorf("max-size %s: the file has %d bytes, want %d", unit, got, bytes)
		}
		if got := size(t, path); got > bytes+100 {
			t.Errorf("max-size %s: the present file has %d bytes", unit, got)
		}
	}
}

// Waiting for a container that ends at once never misses its end.
func TestWaitMissesNothing(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		for i := range 5 {
			c := a.create(map[string]any{"Cmd": shell(fmt.Sprintf("exit %d", 10+i))})
			a.call(http.MethodPost, "/containers/"+c+"/start", nil)
			codes := make(chan string, 4)
			for range cap(codes) {
				go func() {
					r, err := a.send(http.MethodPost, "/containers/"+c+"/wait", nil)
					codes <- fmt.Sprint(strings.TrimSpace(string(r.body)), err)
				}()
			}
			for range cap(codes) {
				if got, want := <-codes, fmt.Sprintf(`{"StatusCode":%d}<nil>`, 10+i); got != want {
					t.Errorf("wait: %s, want %s", got, want)
				}
			}
		}
	})
}

// A terminal's size may be told from the start on; before that there is none.
func TestResize(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.create(map[string]any{"Tty": true, "OpenStdin": true, "Cmd": shell("echo ready; while read line; do stty size; done")})
		a.call(http.MethodPost, "/containers/"+c+"/resize?h=31&w=71", nil, http.StatusConflict)
		a.call(http.MethodPost, "/containers/"+c+"/start", nil)
		a.call(http.MethodPost, "/containers/"+c+"/resize?h=31&w=71", nil, http.StatusOK)
		conn, in := a.hijack("/containers/"+c+"/attach?stream=1&stdin=1&stdout=1", "")
		shows := func(want string) {
			t.Helper()
			if _, err := io.WriteString(conn, "\n"); err != nil {
				t.Fatal(err)
			}
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatalf("waiting for %s: %v", want, err)
				}
				if line = strings.TrimSpace(line); strings.Contains(line, " ") {
					if line != want {
						t.Errorf("the size is %s, want %s", line, want)
					}
					return
				}
			}
		}
		shows("31 71")
		a.call(http.MethodPost, "/containers/"+c+"/resize?h=32&w=72", nil, http.StatusOK)
		shows("32 72")
		a.call(http.MethodPost, "/containers/"+c+"/resize?h=x&w=72", nil, http.StatusBadRequest)
		a.call(http.MethodPost, "/containers/"+c+"/kill", nil)
	})
}

// The delay before a restart doubles from 100 ms, and begins anew after a run of
// ten seconds.
func TestRestartDelays(t *testing.T) {
	t.Parallel()
	a := newRemote(t, engine, "1.23")
	began := now()
	c := a.run(map[string]any{"HostConfig": map[string]any{"RestartPolicy": map[string]any{"Name": "always"}},
		"Cmd": shell("echo run >>/runs; [ $(wc -l </runs) != 5 ] || sleep 10.2; exit 1")})
	const starts = 7
	var all []event
	eventually(t, "it has run seven times", func() bool {
		all = a.events(began, now(), map[string][]string{"container": {c}, "event": {"start", "die"}})
		return strings.Count(actions(all), "start") >= starts
	})
	var died int64
	i := 0
	for _, e := range all {
		if e.Action == "die" {
			died = e.TimeNano
			continue
		}
		if died != 0 && i < starts-1 {
			want := []time.Duration{100, 200, 400, 800, 100, 200}[i] * time.Millisecond
			most := want + 5*time.Second
			if i == 4 { // it would be 1.6 s without the long run
				most = 1500 * time.Millisecond
			}
			if got := time.Duration(e.TimeNano - died); got < want || got > most {
				t.Errorf("delay %d is %v, want %v", i, got, want)
			}
			i++
		}
	}
	if n, _ := a.object(http.MethodGet, "/containers/"+c+"/json", nil)["RestartCount"].(float64); n < starts-1 {
		t.Errorf("RestartCount is %v", n)
	}
}

// Following goes on through the runs that the policy or a client asks for, and
// ends with the last one.
func TestFollowRuns(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		follow := func(id string) string {
			t.Helper()
			answer, err := a.open(t.Context(), http.MethodGet, "/containers/"+id+"/logs?follow=1&stdout=1&stderr=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			text, err := frames(bufio.NewReader(answer.Body))
			if err != nil {
				t.Error(err)
			}
			return text
		}
		failing := a.run(map[string]any{"Cmd": shell("echo a run; exit 1"), "HostConfig": map[string]any{
			"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": 3}}})
		if got, want := follow(failing), strings.Repeat("a run\n", 4); got != want {
			t.Errorf("by its policy: %q, want %q", got, want)
		}
		c := a.run(map[string]any{"Cmd": shell("echo begun; exec sleep 1000")})
		text := make(chan string, 1)
		go func() { text <- follow(c) }()
		begun := func(n int) {
			t.Helper()
			eventually(t, "the run writes", func() bool {
				return strings.Count(string(a.call(http.MethodGet, "/containers/"+c+"/logs?stdout=1", nil).body), "begun") == n
			})
		}
		for run := range 2 {
			begun(run + 1)
			a.call(http.MethodPost, "/containers/"+c+"/restart?t=0", nil, http.StatusNoContent)
		}
		begun(3)
		a.call(http.MethodPost, "/containers/"+c+"/kill", nil)
		if got, want := <-text, strings.Repeat("begun\n", 3); got != want {
			t.Errorf("by a client: %q, want %q", got, want)
		}
	})
}
