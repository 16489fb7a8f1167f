package endurance

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// crowded puts a process into a pids cgroup of its own and gives what sets its
// limit: room is how many threads and processes more it may have.
func crowded(t *testing.T, pid int) (limit func(room int)) {
	t.Helper()
	root := "/sys/fs/cgroup/pids"
	if _, err := os.Stat(root); err != nil {
		root = "/sys/fs/cgroup" // v2
	}
	dir := filepath.Join(root, "berthend-crowded")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(dir, "cgroup.procs", fmt.Sprint(pid))
	t.Cleanup(func() {
		write(dir, "pids.max", "max")
		procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for _, p := range strings.Fields(string(procs)) {
			_ = os.WriteFile(filepath.Join(root, "cgroup.procs"), []byte(p), 0o600) // may have ended
		}
		eventually(t, "the cgroup is empty", func() bool { return os.Remove(dir) == nil })
	})
	return func(room int) {
		t.Helper()
		if room < 0 {
			write(dir, "pids.max", "max")
			return
		}
		text, err := os.ReadFile(filepath.Join(dir, "pids.current"))
		if err != nil {
			t.Fatal(err)
		}
		var now int
		if _, err := fmt.Sscan(string(text), &now); err != nil {
			t.Fatal(err)
		}
		write(dir, "pids.max", fmt.Sprint(now+room))
	}
}

// TestFullPids takes from the daemon every further thread and process, before it
// has done much: it lives, serves what needs none, says of the rest what is wrong,
// and goes on when there is room again. Containers that run are left alone.
func TestFullPids(t *testing.T) {
	e := start(t, options{})
	running := e.sleeper("running", nil)
	created := e.create("created", map[string]any{"Image": "busybox", "Cmd": sleep})
	limit := crowded(t, e.Pid())
	pid := e.Pid()
	for _, room := range []int{0, 1, 2, 3, 5} {
		limit(room)
		var busy sync.WaitGroup
		var mu sync.Mutex
		refused := map[string]int{}
		for range 30 {
			busy.Go(func() {
				for _, path := range []string{"/_ping", "/containers/json?all=1", "/containers/running/json", "/containers/running/logs?stdout=1", "/images/json", "/networks", "/volumes", "/info", "/events?since=1&until=2"} {
					want(t, e.client, 200, http.MethodGet, path, nil)
				}
				for _, try := range []struct{ method, path string }{
					{"POST", "/containers/created/start"}, {"POST", "/containers/running/exec"}, {"GET", "/containers/running/archive?path=/etc"}, {"GET", "/containers/created/archive?path=/etc"},
					{"GET", "/containers/running/top"}, {"POST", "/containers/running/pause"}, {"POST", "/containers/running/unpause"},
				} {
					var body any
					if strings.HasSuffix(try.path, "/exec") {
						body = map[string]any{"Cmd": []string{"true"}}
					}
					a, err := e.send(context.Background(), try.method, try.path, body)
					if err != nil {
						t.Errorf("room for %d: %s: %v", room, try.path, err)
						return
					}
					if a.status == 500 {
						mu.Lock()
						refused[fmt.Sprintf("%s %.300s", try.path, a.body)]++
						mu.Unlock()
					}
				}
			})
		}
		busy.Wait()
		for text, n := range refused {
			t.Logf("room for %d, %d times: %s", room, n, text)
			if !strings.Contains(text, "resource temporarily unavailable") && !strings.Contains(text, "pause container") && !strings.Contains(text, "pids.max") && !strings.Contains(text, "paused") {
				t.Errorf("room for %d: the reason is not told: %s", room, text)
			}
		}
		if e.Pid() != pid || !e.inspect(running).State.Running {
			t.Fatal("the daemon or the container did not live")
		}
		select {
		case <-e.Ended():
			t.Fatal("the daemon has ended")
		default:
		}
		e.must(http.MethodPost, "/containers/"+created+"/stop?t=0", nil, 204, 304)
	}
	limit(-1)
	_, _ = e.send(context.Background(), http.MethodPost, "/containers/running/unpause", nil)
	e.begin(created)
	if o := e.run(created, "echo", "fine"); o.stdout != "fine\n" {
		t.Errorf("%+v", o)
	}
	e.remove(created)
	e.remove(running)
}
