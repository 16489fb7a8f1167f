package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
)

// startAndWait is a daemon of its own for the tests below: it starts a
// container, prints a line, and waits to be killed.
func startAndWait(args []string) {
	var (
		tb       fatal
		profiles defaults.Profiles
	)
	root, id, lower, dir := args[0], args[1], args[2], args[3]
	shimPath = args[4]
	r, err := runtime.New(runtime.Options{Root: root, Shim: shimPath})
	must(tb, err)
	spec := makeSpec(tb, &profiles, id, lower, dir, args[5:]...)
	spec.Stdio.OpenStdin, spec.Run = true, 7
	task, err := r.Start(context.Background(), spec)
	must(tb, err)
	_, err = task.Exec(context.Background(), execSpec("e1", "sh", "-c", "touch /tmp/e1; sleep 2; exit 3"))
	must(tb, err)
	fmt.Println("started")
	select {}
}

// fatal is enough of a testing.TB for a program that is none.
type fatal struct{ testing.TB }

func (fatal) Helper() {}
func (fatal) Fatal(args ...any) {
	fmt.Fprintln(os.Stderr, args...)
	os.Exit(1)
}

// startElsewhere starts a container in another process and kills that.
func (w *world) startElsewhere(args ...string) (id, log string) {
	w.tb.Helper()
	id = fmt.Sprintf("t%d-%d", os.Getpid(), w.n.Add(1))
	dir := filepath.Join(w.dir, id)
	cmd := exec.Command(os.Args[0], append([]string{"start-and-wait", w.root, id, w.lower, dir, shimPath}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(w.tb, err)
	must(w.tb, cmd.Start())
	line := make([]byte, 8)
	_, err = out.Read(line)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	must(w.tb, err)
	return id, filepath.Join(dir, "log")
}

func (w *world) load(id string) *runtime.Task {
	w.tb.Helper()
	task, err := w.rt.Load(testContext(w.tb), id)
	must(w.tb, err)
	w.tb.Cleanup(func() { remove(w.tb, task) })
	return task
}

func TestSurvivesTheDaemon(t *testing.T) {
	w := newWorld(t)
	id, log := w.startElsewhere("sh", "-c", "echo begin; read line; echo got $line; exit 5")
	if ids, err := w.rt.List(); err != nil || len(ids) != 1 || ids[0] != id {
		t.Fatalf("list = %v, %v", ids, err)
	}
	if ids, err := runtime.Live(w.root); err != nil || len(ids) != 1 || ids[0] != id {
		t.Errorf("live = %v, %v", ids, err)
	}
	task := w.load(id)
	if _, over := task.Exit(); over {
		t.Fatal("it has ended")
	}
	e, err := task.LoadExec(testContext(t), "e1")
	must(t, err)
	if exit := wait(t, e); exit.Code != 3 {
		t.Errorf("exec: %+v", exit)
	}
	a, err := task.Attach(testContext(t), runtime.AttachOptions{Stdin: true})
	must(t, err)
	defer a.Close()
	_, err = a.Write([]byte("input\n"))
	must(t, err)
	if exit := wait(t, task); exit.Code != 5 {
		t.Errorf("exit = %+v", exit)
	}
	if got := output(readLog(t, log), "stdout"); got != "begin\ngot input\n" {
		t.Errorf("log = %q", got)
	}
	eventually(t, "its end", func() bool {
		ids, err := runtime.Live(w.root)
		must(t, err)
		return len(ids) == 0
	})
}

func TestExitsWhileTheDaemonIsDown(t *testing.T) {
	w := newWorld(t)
	id, log := w.startElsewhere("sh", "-c", "until [ -e /tmp/e1 ]; do sleep 0.05; done; echo end; exit 9")
	handle := filepath.Join(w.root, id)
	eventually(t, "the exit file", func() bool {
		_, err := os.Stat(filepath.Join(handle, "exit"))
		return err == nil
	})
	task := w.load(id)
	exit, over := task.Exit()
	if !over || exit.Code != 9 || exit.Reason != "" {
		t.Errorf("exit = %+v, %v", exit, over)
	}
	if got := output(readLog(t, log), "stdout"); got != "end\n" {
		t.Errorf("log = %q", got)
	}
	// The exec was in the container's pid namespace and ended with it.
	e, err := task.LoadExec(testContext(t), "e1")
	must(t, err)
	if exit := wait(t, e); exit.Code != 137 {
		t.Errorf("exec: %+v", exit)
	}
}

func TestShimKilled(t *testing.T) {
	w := newWorld(t)
	other := w.start(w.spec("sleep", "1000"))
	task := w.start(w.spec("sleep", "1000"))
	must(t, syscall.Kill(task.MonitorPid(), syscall.SIGKILL))
	exit := wait(t, task)
	if exit.Code != 137 || !strings.Contains(exit.Reason, "berth-shim") {
		t.Errorf("exit = %+v", exit)
	}
	eventually(t, "the container's process dies, too", func() bool {
		return isZombie(task.Pid())
	})
	if _, over := other.Exit(); over {
		t.Error("another container ended")
	}
}

func TestShimKilledWhileTheDaemonIsDown(t *testing.T) {
	w := newWorld(t)
	id, _ := w.startElsewhere("sleep", "1000")
	first := newRuntime(t, w.root)
	task, err := first.Load(testContext(t), id)
	must(t, err)
	monitor, pid := task.MonitorPid(), task.Pid()
	must(t, syscall.Kill(monitor, syscall.SIGKILL))
	wait(t, task)
	again := w.load(id)
	exit, over := again.Exit()
	if !over || !strings.Contains(exit.Reason, "berth-shim") {
		t.Errorf("exit = %+v, %v", exit, over)
	}
	eventually(t, "its process dies", func() bool { return isZombie(pid) })
}

// isZombie says that a process is gone or waits to be reaped by whoever became
// its parent.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestLoadUnknown(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"unknown", "", "..", "state", "a/b"} {
		if _, err := w.rt.Load(testContext(t), id); !errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestUnfinishedStartIsSwept(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.root, "half")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "handle.json"),
		[]byte(`{"Version":1,"ID":"half","Cgroup":{"path":"/berth-test/half"}}`), 0o600))
	if _, err := w.rt.Load(testContext(t), "half"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("error = %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the handle is there: %v", err)
	}
}

func TestBrokenHandleIsAnError(t *testing.T) {
	w := newWorld(t)
	for id, text := range map[string]string{"newer": `{"Version":1000}`, "garbage": "\x00"} {
		dir := filepath.Join(w.root, id)
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "handle.json"), []byte(text), 0o600))
		if _, err := w.rt.Load(testContext(t), id); err == nil || errors.Is(err, errdefs.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	for delay := time.Millisecond; delay < 80*time.Millisecond; delay += 4 * time.Millisecond {
		ctx, cancel := context.WithTimeout(context.Background(), delay)
		task, err := w.rt.Start(ctx, w.spec("sleep", "1000"))
		cancel()
		if err == nil {
			remove(t, task)
		}
	}
	before.compare(t, census(t))
	if ids, err := w.rt.List(); err != nil || len(ids) > 0 {
		t.Errorf("left behind: %v, %v", ids, err)
	}
}

// A daemon killed at any moment of a start leaves a container that runs or
// nothing.
func TestDaemonKilledWhileStarting(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	var running, gone int
	for delay := time.Duration(0); delay < 200*time.Millisecond; delay += 8 * time.Millisecond {
		id := fmt.Sprintf("t%d-%d", os.Getpid(), w.n.Add(1))
		cmd := exec.Command(os.Args[0], "start-and-wait", w.root, id, w.lower, filepath.Join(w.dir, id), shimPath, "sleep", "1000")
		must(t, cmd.Start())
		time.Sleep(delay)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		task, err := w.rt.Load(testContext(t), id)
		switch {
		case errors.Is(err, errdefs.ErrNotFound):
			gone++
		case err != nil:
			t.Errorf("after %v: %v", delay, err)
		default:
			running++
			if exit, over := task.Exit(); over {
				t.Errorf("after %v: %+v", delay, exit)
			}
			remove(t, task)
		}
	}
	t.Logf("%d ran, %d were gone", running, gone)
	before.compare(t, census(t))
	if ids, err := w.rt.List(); err != nil || len(ids) > 0 {
		t.Errorf("left behind: %v, %v", ids, err)
	}
}

// A run that has begun is found, however short it is and whenever in its start the
// daemon was killed: it is counted once.
func TestShortRunOfAKilledDaemon(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	var ran, gone int
	for round := range 60 {
		id := fmt.Sprintf("t%d-%d", os.Getpid(), w.n.Add(1))
		dir := filepath.Join(w.dir, id)
		cmd := exec.Command(os.Args[0], "start-and-wait", w.root, id, w.lower, dir, shimPath, "sh", "-c", "echo x >>/work/ran")
		must(t, cmd.Start())
		eventually(t, "the start", func() bool { _, err := os.Stat(filepath.Join(w.root, id, "handle.json")); return err == nil })
		time.Sleep(time.Duration(round%20) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		task, err := w.rt.Load(testContext(t), id)
		if err == nil {
			wait(t, task)
		}
		text, readErr := os.ReadFile(filepath.Join(dir, "upper", "work", "ran"))
		switch {
		case errors.Is(err, errdefs.ErrNotFound):
			gone++
			if readErr == nil {
				t.Errorf("round %d: it ran (%q) and nobody knows", round, text)
			}
		case err != nil:
			t.Errorf("round %d: %v", round, err)
		default:
			ran++
			if string(text) != "x\n" || task.Run() != 7 {
				t.Errorf("round %d: run %d wrote %q, %v", round, task.Run(), text, readErr)
			}
			remove(t, task)
		}
	}
	t.Logf("%d ran, %d were gone", ran, gone)
	if ran == 0 {
		t.Error("none ran")
	}
	before.compare(t, census(t))
}
