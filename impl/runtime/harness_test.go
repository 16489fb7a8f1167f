package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
)

// shimPath is the berth-shim that TestMain built.
var shimPath string

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "start-and-wait" {
		startAndWait(os.Args[2:])
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "berth-runtime-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shimPath = filepath.Join(dir, "bin", "berth-shim")
	build := exec.Command("go", "build", "-tags", "seccomp osusergo netgo", "-ldflags", "-s -w -extldflags -static",
		"-o", shimPath, "github.com/seed-50ced230/berth/cmd/berth-shim")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build berth-shim: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// busyboxRoot makes a root directory with busybox and its applets.
func busyboxRoot(tb testing.TB) string {
	tb.Helper()
	root := tb.TempDir()
	must(tb, os.Chmod(root, 0o755))
	for _, d := range []string{"bin", "dev", "etc", "proc", "sys", "tmp", "root", "work"} {
		must(tb, os.MkdirAll(filepath.Join(root, d), 0o755))
	}
	program, err := os.ReadFile("/bin/busybox")
	must(tb, err)
	must(tb, os.WriteFile(filepath.Join(root, "bin/busybox"), program, 0o755))
	list, err := exec.Command("/bin/busybox", "--list").Output()
	must(tb, err)
	for applet := range strings.FieldsSeq(string(list)) {
		if applet != "busybox" {
			must(tb, os.Symlink("busybox", filepath.Join(root, "bin", applet)))
		}
	}
	must(tb, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o644))
	return root
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newRuntime(tb testing.TB, root string) *runtime.Runtime {
	tb.Helper()
	before := idleShims(tb)
	r, err := runtime.New(runtime.Options{Root: root, Shim: shimPath})
	must(tb, err)
	tb.Cleanup(func() { _ = r.Close() })
	// A census that is taken before the two are there would miss them.
	known := func(pid string) bool { return slices.Contains(before, pid) }
	for end := time.Now().Add(20 * time.Second); len(slices.DeleteFunc(idleShims(tb), known)) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatal("no two shims wait for an order")
		}
	}
	return r
}

// idleShims are the shims of this process that wait for an order, or are about to.
func idleShims(tb testing.TB) []string {
	tb.Helper()
	return slices.DeleteFunc(children(tb), func(pid string) bool {
		cmd, _ := os.ReadFile("/proc/" + pid + "/cmdline")
		return string(cmd) != "berth-shim\x00run\x00"
	})
}

// children are the pids of the processes that this one started.
func children(tb testing.TB) (pids []string) {
	tb.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	must(tb, err)
	for _, name := range lists {
		list, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that ended
		}
		pids = append(pids, strings.Fields(string(list))...)
	}
	return pids
}

// world is a runtime with a busybox root for its containers.
type world struct {
	tb       testing.TB
	rt       *runtime.Runtime
	root     string // the runtime's
	lower    string
	dir      string // per-container directories
	profiles defaults.Profiles
	n        atomic.Int64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, root: filepath.Join(tb.TempDir(), "run"), lower: busyboxRoot(tb), dir: tb.TempDir()}
	w.rt = newRuntime(tb, w.root)
	return w
}

// spec describes a container with an overlay root, a log and the defaults.
func (w *world) spec(args ...string) *runtime.Spec {
	w.tb.Helper()
	id := fmt.Sprintf("t%d-%d", os.Getpid(), w.n.Add(1))
	return makeSpec(w.tb, &w.profiles, id, w.lower, filepath.Join(w.dir, id), args...)
}

func makeSpec(tb testing.TB, profiles *defaults.Profiles, id, lower, dir string, args ...string) *runtime.Spec {
	tb.Helper()
	host, err := defaults.HostCapabilities()
	must(tb, err)
	caps, _, err := defaults.Grant(host, nil, nil, false)
	must(tb, err)
	profile, err := profiles.Default(caps)
	must(tb, err)
	oci, err := defaults.Spec(defaults.Options{Capabilities: caps, Seccomp: profile})
	must(tb, err)
	oci.Process.Args = args
	oci.Process.Env = []string{"PATH=/bin", "HOME=/root"}
	oci.Hostname = "test"
	oci.Linux.CgroupsPath = "/berth-test/" + id
	oci.Linux.Namespaces = append(oci.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	for _, d := range []string{"upper", "work", "merged"} {
		must(tb, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	return &runtime.Spec{
		ID: id, OCI: oci,
		Rootfs: runtime.Rootfs{
			Lower: []string{lower}, Upper: filepath.Join(dir, "upper"),
			Work: filepath.Join(dir, "work"), Target: filepath.Join(dir, "merged"),
		},
		Log: runtime.Log{Path: filepath.Join(dir, "log")},
	}
}

func testContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

// start starts a container that is killed and deleted at the test's end.
func (w *world) start(spec *runtime.Spec) *runtime.Task {
	w.tb.Helper()
	task, err := w.rt.Start(testContext(w.tb), spec)
	must(w.tb, err)
	w.tb.Cleanup(func() { remove(w.tb, task) })
	return task
}

func remove(tb testing.TB, task *runtime.Task) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, over := task.Exit(); !over {
		_ = task.Resume(ctx)
		_ = task.KillAll(ctx, 9)
	}
	if _, err := task.Wait(ctx); err != nil {
		tb.Errorf("wait for %s: %v", task.ID(), err)
	}
	if err := task.Delete(ctx); err != nil {
		tb.Errorf("delete %s: %v", task.ID(), err)
	}
}

// inside does something with a path of a container, seen from outside.
func inside[T any](task *runtime.Task, path string, do func(path string) (T, error)) (result T, err error) {
	root, err := task.Root()
	if err != nil {
		return result, err
	}
	defer root.Close()
	return do(below(root.File, path))
}

// below spells a path in a directory that is open.
func below(dir *os.File, path string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), path)
}

func wait(tb testing.TB, task interface {
	Wait(context.Context) (runtime.Exit, error)
}) runtime.Exit {
	tb.Helper()
	exit, err := task.Wait(testContext(tb))
	must(tb, err)
	return exit
}

type logLine struct {
	Log, Stream string
	Time        time.Time
}

func readLog(tb testing.TB, path string) []logLine {
	tb.Helper()
	f, err := os.Open(path)
	must(tb, err)
	defer f.Close()
	var lines []logLine
	for dec := json.NewDecoder(f); ; {
		var l logLine
		if err := dec.Decode(&l); err == io.EOF {
			return lines
		} else if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		lines = append(lines, l)
	}
}

func output(lines []logLine, stream string) string {
	var b strings.Builder
	for _, l := range lines {
		if l.Stream == stream {
			b.WriteString(l.Log)
		}
	}
	return b.String()
}

// eventually waits for a condition that another process brings about.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for range 2000 {
		if cond() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Fatalf("never happened: %s", what)
}
