package endurance

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// onDisk prepares an engine whose data root is a small file system of its own.
func onDisk(t *testing.T, megabytes string) *engine {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "berth-end-")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o711); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "disk")
	for _, command := range [][]string{{"truncate", "-s", megabytes + "M", image}, {"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, data}} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	t.Cleanup(func() { _ = unix.Unmount(data, unix.MNT_DETACH) }) // prepare's cleanup has done it already
	return prepare(t, options{dir: dir})
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		block := bytes.Repeat([]byte{1}, size)
		for {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
}

// On a full disk the daemon refuses what needs room, with the reason, serves the
// rest, starts again, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	e := onDisk(t, "48")
	e.comesUp()
	e.loadBusybox()
	e.warm()
	before := e.steady()
	running := e.sleeper("running", nil)
	stopped := e.create("stopped", map[string]any{"Image": "busybox", "Cmd": []string{"echo", "hi"}})
	fill(t, e.data("filler"))

	serves := func(when string) {
		t.Helper()
		if s := e.inspect(running); !s.State.Running {
			t.Errorf("%s: the container does not run: %+v", when, s.State)
		}
		if o, err := e.exec(t.Context(), running, "echo", "fine"); err != nil && !strings.Contains(err.Error(), "no space left") || err == nil && o.stdout != "fine\n" {
			t.Errorf("%s: exec does not work and does not tell the reason: %+v %v", when, o, err)
		}
		e.must(http.MethodGet, "/containers/json?all=1", nil, http.StatusOK)
		e.must(http.MethodGet, "/images/json", nil, http.StatusOK)
		e.must(http.MethodGet, "/info", nil, http.StatusOK)
		for path, body := range map[string]any{
			"/images/load":       raw{"application/x-tar", bigArchive()},
			"/volumes/create":    map[string]any{"Name": "v" + strings.ReplaceAll(when, " ", "")},
			"/containers/create": map[string]any{"Image": "busybox", "Cmd": []string{"true"}},
		} {
			a := e.must(http.MethodPost, path, body, http.StatusOK, http.StatusCreated, http.StatusInternalServerError)
			if (!a.ok() || path == "/images/load") && !strings.Contains(string(a.body), "no space left") {
				t.Errorf("%s: %s does not tell the reason: %v", when, path, a)
			}
		}
	}
	serves("full")
	e.Kill()
	e.comesUp()
	serves("started on a full disk")
	if err := e.Stop(patience); err != nil {
		t.Errorf("an orderly end on a full disk: %v", err)
	}
	e.comesUp()
	if err := os.Remove(e.data("filler")); err != nil {
		t.Fatal(err)
	}
	var boxes []struct{ ID string }
	if err := e.must(http.MethodGet, "/containers/json?all=1", nil).decode(&boxes); err != nil {
		t.Fatal(err)
	}
	for _, b := range boxes {
		if b.ID != running && b.ID != stopped {
			e.remove(b.ID)
		}
	}
	for _, v := range []string{"vfull", "vstartedonafulldisk"} {
		e.must(http.MethodDelete, "/volumes/"+v, nil, http.StatusNoContent, http.StatusNotFound)
	}
	e.begin(stopped)
	if o := e.ends(stopped); o.stdout != "hi\n" {
		t.Errorf("with room again: %+v", o)
	}
	e.remove(stopped)
	e.remove(running)
	e.warm()
	e.settles(before)
}

// bigArchive is the body of a load that does not fit.
func bigArchive() *bytes.Buffer {
	r := pack(map[string]string{"layer.tar": strings.Repeat("x", 60<<20)})
	return r.Reader.(*bytes.Buffer)
}

// A disk that became read-only: the daemon starts, says so, shows and reads
// everything, and refuses changes.
func TestReadOnlyDisk(t *testing.T) {
	e := onDisk(t, "64")
	e.comesUp()
	e.loadBusybox()
	running := e.sleeper("running", nil)
	ended := e.create("ended", map[string]any{"Image": "busybox", "Cmd": []string{"echo", "hi"}})
	e.begin(ended)
	e.ends(ended)
	e.must(http.MethodPost, "/volumes/create", map[string]any{"Name": "kept"})
	if err := e.Stop(patience); err != nil {
		t.Fatal(err)
	}
	// A mount of its own over the data root: descriptors that are open for writing,
	// such as the shim's log, would hold up making the disk itself read-only.
	if err := unix.Mount(e.data(), e.data(), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(e.data(), unix.MNT_DETACH) }) // prepare's cleanup has done it already
	if err := unix.Mount("", e.data(), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	e.comesUp()
	if !e.logged("read-only") {
		t.Error("the log does not say what is wrong")
	}
	if s := e.inspect("ended"); s.State.ExitCode != 0 || s.State.Status != "exited" {
		t.Errorf("%+v", s.State)
	}
	if out, _ := split(e.must(http.MethodGet, "/containers/ended/logs?stdout=1", nil).body); out != "hi\n" {
		t.Errorf("logs: %q", out)
	}
	if !e.inspect(running).State.Running {
		t.Error("the running container is shown as ended")
	}
	e.must(http.MethodGet, "/volumes/kept", nil, http.StatusOK)
	e.must(http.MethodGet, "/images/busybox/json", nil, http.StatusOK)
	e.must(http.MethodGet, "/networks/bridge", nil, http.StatusOK)
	for path, body := range map[string]any{
		"/containers/create": map[string]any{"Image": "busybox", "Cmd": []string{"true"}},
		"/volumes/create":    map[string]any{"Name": "new"},
		"/networks/create":   map[string]any{"Name": "new"},
	} {
		a := e.must(http.MethodPost, path, body, http.StatusInternalServerError)
		if !strings.Contains(string(a.body), "read-only") && !strings.Contains(string(a.body), "read only") {
			t.Errorf("%s does not tell the reason: %v", path, a)
		}
	}
	a := e.must(http.MethodDelete, "/containers/ended", nil, http.StatusInternalServerError)
	if !strings.Contains(strings.ReplaceAll(string(a.body), "read only", "read-only"), "read-only") {
		t.Errorf("remove does not tell the reason: %v", a)
	}
}

// overwrite writes noise over a database.
func overwrite(t *testing.T, path string, from int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte("noise"), 8000), from); err != nil {
		t.Fatal(err)
	}
}

// One broken file at a time: the daemon starts, says which and why, keeps it,
// removes nothing that it does not understand, and serves the rest.
func TestBrokenFiles(t *testing.T) {
	type broken struct {
		name   string
		damage func(t *testing.T, e *engine, id string)
		says   string
		// lost is what is not served: container, image, volume, network.
		lost string
	}
	write := func(path ...string) func(*testing.T, *engine, string) {
		return func(t *testing.T, e *engine, id string) {
			if err := os.WriteFile(e.data(path...), []byte(`{"version": 1, "netw`), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, b := range []broken{
		{"containers database", func(t *testing.T, e *engine, _ string) { overwrite(t, e.data("containers.db"), 0) }, "the containers' database is damaged and kept aside", "container"},
		{"containers database cut", func(t *testing.T, e *engine, _ string) {
			if err := os.Truncate(e.data("containers.db"), 9000); err != nil {
				t.Fatal(err)
			}
		}, "the containers' database is damaged and kept aside", "container"},
		{"one container's record", func(t *testing.T, e *engine, id string) {
			db, err := bbolt.Open(e.data("containers.db"), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Update(func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("containers")).Put([]byte(id), []byte(`{"ID": "`))
			}); err != nil {
				t.Fatal(err)
			}
		}, "record cannot be read", "container"},
		{"images database", func(t *testing.T, e *engine, _ string) { overwrite(t, e.data("image", "images.db"), 0) }, "the database is damaged and kept aside", "image"},
		{"a missing layer", func(t *testing.T, e *engine, _ string) {
			layers, err := filepath.Glob(e.data("image", "layers", "*"))
			if err != nil || len(layers) == 0 {
				t.Fatal(layers, err)
			}
			for _, l := range layers {
				if err := os.Rename(l, e.data("elsewhere-"+filepath.Base(l))); err != nil {
					t.Fatal(err)
				}
			}
		}, "damaged layer", "layer"},
		{"a volume's file", write("volumes", "kept", "volume.json"), "a volume cannot be read", "volume"},
		{"the networks' file", write("network", "networks.json"), "the file of the networks is damaged", "network"},
		{"the history of events", func(t *testing.T, e *engine, _ string) { overwrite(t, e.data("events", "events.jsonl"), 0) }, "", ""},
		{"the engine's id", write("engine-id"), "", ""},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			e := start(t, options{})
			id := e.sleeper("running", nil)
			e.run(id, "sh", "-c", "echo mine >/file")
			pid := e.inspect(id).State.Pid
			e.must(http.MethodPost, "/volumes/create", map[string]any{"Name": "kept"})
			e.must(http.MethodPost, "/networks/create", map[string]any{"Name": "kept"})
			e.Kill()
			b.damage(t, e, id)
			e.comesUp()
			if b.says != "" && !e.logged(b.says) {
				t.Errorf("the log does not say %q", b.says)
			}
			if err := unix.Kill(pid, 0); err != nil {
				t.Errorf("the running container was ended: %v", err)
			}
			upper, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "root", "file"))
			if err != nil || string(upper) != "mine\n" {
				t.Errorf("what the container wrote: %q %v", upper, err)
			}
			for kind, path := range map[string]string{"container": "/containers/running/json", "image": "/images/busybox/json", "volume": "/volumes/kept", "network": "/networks/kept"} {
				want := http.StatusOK
				if kind == b.lost {
					want = http.StatusNotFound
				}
				e.must(http.MethodGet, path, nil, want)
			}
			switch b.lost {
			case "container", "image":
				// The layers and the writable layer are still there.
				if kept, _ := filepath.Glob(e.data("image", "rw", "*")); len(kept) == 0 {
					t.Error("the writable layers are gone")
				}
				if kept, _ := filepath.Glob(e.data("image", "layers", "*")); len(kept) == 0 {
					t.Error("the layers are gone")
				}
			case "layer":
				a := e.must(http.MethodPost, "/containers/create", map[string]any{"Image": "busybox"}, http.StatusInternalServerError)
				if !strings.Contains(string(a.body), "layer") {
					t.Errorf("does not tell the reason: %v", a)
				}
				return
			}
			// Everything new works.
			e.loadBusybox()
			if o := e.whole(map[string]any{"Image": "busybox", "Cmd": []string{"echo", "new"}}); o.stdout != "new\n" {
				t.Errorf("a new container: %+v", o)
			}
			if !strings.Contains(b.name, "container") {
				if o := e.run("running", "cat", "/file"); o.stdout != "mine\n" {
					t.Errorf("exec in the running container: %+v", o)
				}
			}
			e.Kill()
			e.comesUp() // and again
			e.must(http.MethodGet, "/info", nil, http.StatusOK)
			if err := unix.Kill(pid, 0); err != nil {
				t.Errorf("the running container was ended at the second start: %v", err)
			}
		})
	}
}
