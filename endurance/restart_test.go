package endurance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A restart policy starts a container once per end, to the number that it allows
// and not once more, whenever in that the daemon is killed or stopped: the containers
// count their runs themselves. BERTH_SEED repeats the draws, BERTH_ROUNDS is how often
// there is a new set of containers.
func TestRestartsAreCounted(t *testing.T) {
	_, draw := draws(t)
	n := rounds(t, 4)
	const boxes, restarts, kills = 6, 3, 10
	e := start(t, options{})
	dir := t.TempDir()
	for round := range n {
		names := make([]string, boxes)
		for i := range names {
			names[i] = fmt.Sprintf("r%d-%d", round, i)
			e.create(names[i], map[string]any{
				"Image": "busybox", "Cmd": []string{"sh", "-c", "echo run >>/runs/" + names[i] + "; exit 5"},
				"HostConfig": map[string]any{
					"Binds": []string{dir + ":/runs"}, "NetworkMode": "none",
					"RestartPolicy": map[string]any{"Name": "on-failure", "MaximumRetryCount": restarts},
				},
			})
		}
		for _, name := range names {
			e.begin(name)
		}
		e.Kill()
		for range kills {
			if draw.IntN(3) > 0 {
				e.interrupted(time.Duration(60+draw.IntN(240)) * time.Millisecond)
				continue
			}
			e.comesUp()
			time.Sleep(time.Duration(80+draw.IntN(80)) * time.Millisecond)
			if err := e.Stop(30 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		e.comesUp()
		for _, name := range names {
			var st state
			eventually(t, name+" ends", func() bool { st = e.inspect(name); return st.State.Status == "exited" })
			text, err := os.ReadFile(filepath.Join(dir, name))
			if runs := strings.Count(string(text), "run\n"); runs != restarts+1 || st.RestartCount != restarts || st.State.ExitCode != 5 || st.State.Error != "" {
				t.Errorf("round %d: %s ran %d times, wanted %d; %+v %v", round, name, runs, restarts+1, st, err)
			}
			e.remove(name)
		}
	}
}
