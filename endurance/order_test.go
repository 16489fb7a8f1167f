package endurance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// actions are the events of a container so far, in their order.
func (e *engine) actions(id string) string {
	e.t.Helper()
	until := time.Now()
	body := e.must(http.MethodGet, fmt.Sprintf("/events?since=1&until=%d.%09d&filters=%%7B%%22container%%22:%%5B%%22%s%%22%%5D%%7D", until.Unix(), until.Nanosecond(), id), nil, http.StatusOK).body
	var words []string
	for d := json.NewDecoder(bytes.NewReader(body)); d.More(); {
		var happened event
		if err := d.Decode(&happened); err != nil {
			e.t.Fatal(err)
		}
		words = append(words, happened.Action)
	}
	return strings.Join(words, " ")
}

// What ends a container comes in the history before its end, and its end before
// its removal.
func TestOrderOfEvents(t *testing.T) {
	e := start(t, options{})
	var busy sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			for range 12 {
				for want, requests := range map[string][][2]string{
					"create start kill die":               {{"POST", "/kill"}},
					"create start kill die destroy":       {{"DELETE", "?force=1"}},
					"create start pause kill die":         {{"POST", "/pause"}, {"POST", "/kill"}},
					"create start pause kill die destroy": {{"POST", "/pause"}, {"DELETE", "?force=1"}},
				} {
					id := made(t, e.client, "/containers/create", map[string]any{"Image": "busybox", "Cmd": sleep, "HostConfig": map[string]any{"NetworkMode": "none"}})
					e.begin(id)
					for _, r := range requests {
						e.must(r[0], "/containers/"+id+r[1], nil, http.StatusNoContent)
					}
					if got := e.actions(id); got != want {
						t.Errorf("%v: events %q, wanted %q", requests, got, want)
					}
					if requests[len(requests)-1][0] == "POST" {
						e.remove(id)
					}
				}
			}
		})
	}
	busy.Wait()
}

// A stop or restart whose client leaves is carried out all the same: otherwise the
// container may have ended and be started by nobody, or go on with a signal in it
// that was the first half of a stop.
func TestClientLeavesStop(t *testing.T) {
	e := start(t, options{})
	leave := func(path string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if a, err := e.send(ctx, http.MethodPost, path, nil); err == nil {
			t.Fatalf("%s did not wait: %v", path, a)
		}
	}
	id := e.create("deaf", map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", `trap "" TERM; while :; do sleep 0.1; done`}})
	e.begin(id)
	before := e.inspect(id).State
	leave("/containers/deaf/restart?t=1")
	eventually(t, "it is restarted", func() bool {
		now := e.inspect(id).State
		return now.Running && now.StartedAt.After(before.StartedAt)
	})
	leave("/containers/deaf/stop?t=1")
	eventually(t, "it is stopped", func() bool { return e.inspect(id).State.ExitCode == 137 && !e.inspect(id).State.Running })
	// For ever is as long as the client waits.
	e.begin(id)
	leave("/containers/deaf/stop?t=-1")
	e.must(http.MethodPost, "/containers/deaf/pause", nil, http.StatusNoContent)
	e.must(http.MethodPost, "/containers/deaf/unpause", nil, http.StatusNoContent)
	if want, got := "create start kill kill die stop start restart kill kill die stop start kill pause unpause", e.actions(id); got != want {
		t.Errorf("events %q, wanted %q", got, want)
	}
	e.remove(id)
}

// What the kernel does not let go of a run at its end keeps the container neither
// from another run, as soon as it can be removed, nor from its removal.
func TestRemainsOfARun(t *testing.T) {
	e := start(t, options{})
	before := e.steady()
	guests := map[string]*exec.Cmd{}
	for range 2 {
		id := e.create("", map[string]any{"Image": "busybox", "Cmd": sleep})
		e.begin(id)
		guests[id] = e.guest(id)
		if err := syscall.Kill(e.inspect(id).State.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	again := true
	for id, guest := range guests {
		eventually(t, "the end is worked off", func() bool { return e.logged("could not be removed\" container=" + id) })
		_ = guest.Process.Kill()
		_ = guest.Wait()
		if again {
			e.begin(id)
		}
		e.remove(id)
		again = false
	}
	e.settles(before)
}

// guest puts a process of the host's into a container's control groups.
func (e *engine) guest(id string) *exec.Cmd {
	e.t.Helper()
	guest := exec.Command("sleep", "1000")
	if err := guest.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		_ = guest.Process.Kill()
		_ = guest.Wait()
	})
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} { // version 2, version 1
		found, _ := filepath.Glob(hierarchy + e.place.Cgroup + "/" + id + "/cgroup.procs")
		for _, procs := range found {
			if err := os.WriteFile(procs, []byte(itoa(guest.Process.Pid)), 0); err != nil {
				e.t.Error(err)
			}
		}
	}
	return guest
}
