package endurance

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-50ced230/berth/testbed/census"
)

// SIGUSR1 has the daemon write the stacks of its goroutines; it serves on.
func TestStacks(t *testing.T) {
	e := start(t, options{cold: true})
	signal(t, e.Pid(), syscall.SIGUSR1)
	var found []string
	eventually(t, "the stacks are written", func() bool {
		found, _ = filepath.Glob(filepath.Join(e.dir, "exec", "goroutines-*.txt"))
		return len(found) == 1
	})
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "net/http.(*Server).Serve") || len(census.Goroutines(string(text))) < 5 {
		t.Errorf("that is no dump of the daemon's goroutines:\n%.2000s", text)
	}
	if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v %v", info.Mode(), err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	e.must("GET", "/_ping", nil)
}

// SIGHUP brings the level of the log and the labels in; a broken file changes
// nothing, and what needs a new start is named.
func TestReload(t *testing.T) {
	e := start(t, options{cold: true})
	config := filepath.Join(e.dir, "daemon.json")
	labels := func() string {
		var info struct{ Labels []string }
		if err := e.must("GET", "/info", nil).decode(&info); err != nil {
			t.Fatal(err)
		}
		return strings.Join(info.Labels, " ")
	}
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		signal(t, e.Pid(), syscall.SIGHUP)
	}
	write(`{"labels": ["a=1"]}`)
	eventually(t, "the labels are there", func() bool { return labels() == "a=1" })
	write(`{"labels": ["a=2"`)
	eventually(t, "the broken file is reported", func() bool { return e.logged("the configuration is not reloaded; the present one stays") })
	write(`{"labels": ["a=3"], "mtu": 1400}`)
	eventually(t, "the next file is taken", func() bool { return labels() == "a=3" })
	eventually(t, "what needs a new start is named", func() bool { return e.logged("settings=[mtu]") })
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}
