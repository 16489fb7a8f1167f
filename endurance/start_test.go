package endurance

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/container"
)

// What the disk has of a start that was answered a moment ago, or was under way, is
// that a run was about to begin. What came of it the next daemon finds out.
func TestStartUnderWay(t *testing.T) {
	e := start(t, options{})
	generation := filepath.Join(e.dir, "exec", "containers", ".generation")
	now, err := os.ReadFile(generation)
	if err != nil {
		t.Fatal(err)
	}
	// record changes what the disk has of a container while no daemon runs.
	record := func(id string, change func(*container.Record) *container.Record) (r *container.Record) {
		store, err := container.OpenStore(e.data("containers.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if r = store.Get(id); r == nil {
			t.Fatalf("no record of %s", id)
		}
		if change != nil {
			if err := store.Put(change(r)); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	make := func(name string, policy string) string {
		return e.create(name, map[string]any{"Image": "busybox", "Cmd": sleep, "HostConfig": map[string]any{
			"NetworkMode": "none", "RestartPolicy": map[string]any{"Name": policy}}})
	}
	never, lost, again, refused := make("never", ""), make("lost", ""), make("again", "always"), e.create("refused", map[string]any{"Image": "busybox", "Cmd": []string{"/nowhere"}})
	e.must(http.MethodPost, "/containers/"+refused+"/start", nil, http.StatusNotFound)
	// The disk has the intent alone for a second, which a busy host may let pass.
	var runs string
	var before state
	for tries := 1; ; tries++ {
		runs = make("runs", "")
		e.begin(runs)
		before = e.inspect(runs)
		e.Kill()
		if r := record(runs, nil); r.Start != nil && r.State.Status == container.Created {
			break
		} else if tries == 10 {
			t.Fatalf("no start of %d was killed within a second: %+v", tries, r.State)
		}
		e.comesUp()
		e.remove(runs)
	}
	if r := record(refused, nil); r.Start != nil || r.State.ExitCode != 127 {
		t.Errorf("refused: %+v, %+v", r.Start, r.State)
	}
	starting := func(generation string) func(*container.Record) *container.Record {
		return func(r *container.Record) *container.Record {
			return r.Starting(container.Start{Generation: generation, At: r.Created, Config: r.Config})
		}
	}
	record(never, starting(string(now)))
	record(lost, starting("another"))
	record(again, starting("another"))

	e.comesUp()
	if after := e.inspect(runs); !after.State.Running || after.State.Pid != before.State.Pid || !after.State.StartedAt.Equal(before.State.StartedAt) {
		t.Errorf("the container that runs: %+v, before %+v", after.State, before.State)
	}
	if st := e.inspect(never).State; st.Status != "created" || st.ExitCode != 0 || !st.StartedAt.IsZero() {
		t.Errorf("the container that was not started: %+v", st)
	}
	if st := e.inspect(lost).State; st.Status != "exited" || st.ExitCode != 255 || st.Error != "the host was restarted while the container ran" || st.StartedAt.IsZero() {
		t.Errorf("the container of which nothing is known: %+v", st)
	}
	eventually(t, "the container with a policy runs again", func() bool { return e.inspect(again).State.Running })
	for _, id := range []string{never, lost, runs} {
		e.Kill()
		if r := record(id, nil); r.Start != nil {
			t.Errorf("%s: it still says that a run is about to begin", r.Name)
		}
		e.comesUp()
	}

	// A run that lasts is recorded as such.
	e.begin(never)
	time.Sleep(1500 * time.Millisecond)
	e.Kill()
	if r := record(never, nil); r.Start != nil || r.State.Status != container.Running {
		t.Errorf("the container that has run for a while: %+v, %+v", r.Start, r.State)
	}
	e.comesUp()
	for _, id := range []string{never, lost, again, refused, runs} {
		e.remove(id)
	}
}
