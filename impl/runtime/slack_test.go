package runtime_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime"
)

// The threads of a shim wake less often; containers, execs and monitors have the
// timer slack that they always had.
func TestTimerSlack(t *testing.T) {
	own, err := os.ReadFile("/proc/self/timerslack_ns")
	must(t, err)
	w := newWorld(t)
	spec := w.spec("sh", "-c", "cat /proc/self/timerslack_ns; sleep 1000")
	task := w.start(spec)
	eventually(t, "the container tells its timer slack", func() bool {
		text, err := os.ReadFile(spec.Log.Path)
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	if got := output(readLog(t, spec.Log.Path), "stdout"); got != string(own) {
		t.Errorf("in the container %q, not %q", got, own)
	}
	e, err := task.Exec(testContext(t), &runtime.ExecSpec{ID: "e", Process: &specs.Process{Args: []string{"/bin/sleep", "1000"}, Cwd: "/"}})
	must(t, err)
	slack := func(pid string) string {
		text, err := os.ReadFile("/proc/" + pid + "/timerslack_ns")
		if err != nil {
			return "" // it has ended
		}
		return string(text)
	}
	// A program that has just been started has the other slack for a moment.
	eventually(t, "all processes have their own slack, and two threads more", func() bool {
		relaxed := 0
		for _, child := range children(t) {
			threads, err := filepath.Glob("/proc/" + child + "/task/*")
			must(t, err)
			for _, thread := range threads {
				if slack(filepath.Base(thread)) == "1000000\n" {
					relaxed++
				}
			}
			below, _ := os.ReadFile("/proc/" + child + "/task/" + child + "/children")
			for _, pid := range append(strings.Fields(string(below)), child) {
				if got := slack(pid); got != string(own) && got != "" {
					return false
				}
			}
		}
		return relaxed >= 2 // one in each of two shims that wait
	})
	must(t, e.Signal(testContext(t), 9))
	wait(t, e)
}
