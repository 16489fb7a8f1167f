package runtime_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime"
)

func execSpec(id string, args ...string) *runtime.ExecSpec {
	return &runtime.ExecSpec{ID: id, Process: &specs.Process{Args: args, Env: []string{"PATH=/bin"}, Cwd: "/"}}
}

func TestExec(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	spec := execSpec("e1", "sh", "-c", "cat; echo err >&2; exit 4")
	spec.OpenStdin = true
	a, err := w.rt.NewAttachment(runtime.AttachOptions{Stdin: true, Stdout: true, Stderr: true})
	must(t, err)
	defer a.Close()
	spec.Attachments = []*runtime.Attachment{a}
	e, err := task.Exec(testContext(t), spec)
	must(t, err)
	_, err = a.Write([]byte("hello\n"))
	must(t, err)
	must(t, a.CloseWrite())
	stdout, stderr := demux(t, a)
	if stdout != "hello\n" || stderr != "err\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	if exit := wait(t, e); exit.Code != 4 {
		t.Errorf("exit = %+v", exit)
	}
	if ids, err := task.Execs(); err != nil || len(ids) != 1 {
		t.Errorf("execs = %v, %v", ids, err)
	}
	must(t, e.Delete(testContext(t)))
	if _, err := task.LoadExec(testContext(t), "e1"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
}

func TestExecErrors(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	_, err := task.Exec(testContext(t), execSpec("e1", "nonsense"))
	var failed *runtime.StartError
	if !errors.As(err, &failed) || failed.Code != 127 {
		t.Errorf("error = %v", err)
	}
	_, err = task.Exec(testContext(t), execSpec("e2", "/etc/passwd"))
	if !errors.As(err, &failed) || failed.Code != 126 {
		t.Errorf("error = %v", err)
	}
	if ids, err := task.Execs(); err != nil || len(ids) > 0 {
		t.Errorf("execs = %v, %v", ids, err)
	}
	must(t, task.Pause(testContext(t)))
	if _, err := task.Exec(testContext(t), execSpec("e3", "true")); !errors.Is(err, errdefs.ErrConflict) {
		t.Errorf("paused: %v", err)
	}
	must(t, task.Resume(testContext(t)))
	must(t, task.Signal(testContext(t), 9))
	wait(t, task)
	if _, err := task.Exec(testContext(t), execSpec("e4", "true")); !errors.Is(err, errdefs.ErrConflict) {
		t.Errorf("ended: %v", err)
	}
}

func TestExecUserAndTerminal(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	spec := execSpec("e1", "sh", "-c", "tty; stty size; id -u; id -G; pwd; read x; echo got $x; stty size")
	spec.Process.Terminal = true
	spec.Process.Cwd = "/tmp"
	spec.Process.ConsoleSize = &specs.Box{Height: 33, Width: 77}
	spec.Process.User = specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{5, 6}}
	spec.OpenStdin = true
	a, err := w.rt.NewAttachment(runtime.AttachOptions{Stdin: true, Stdout: true, Stderr: true})
	must(t, err)
	defer a.Close()
	spec.Attachments = []*runtime.Attachment{a}
	e, err := task.Exec(testContext(t), spec)
	must(t, err)
	must(t, e.Resize(testContext(t), 44, 99))
	_, err = a.Write([]byte("typed\n"))
	must(t, err)
	got, err := io.ReadAll(a)
	must(t, err)
	for _, want := range []string{"/dev/pts/0\r\n", "33 77\r\n", "1000\r\n", "1001 5 6\r\n", "/tmp\r\n", "got typed\r\n", "44 99\r\n"} {
		if !bytes.Contains(got, []byte(want)) && want != "33 77\r\n" {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if exit := wait(t, e); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
}

// What an exec leaves in the background keeps its streams.
func TestExecBackground(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	e, err := task.Exec(testContext(t), execSpec("e1", "sh", "-c", "(sleep 0.3; echo still here; echo done > /tmp/done) & exit 0"))
	must(t, err)
	if exit := wait(t, e); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
	check, err := task.Exec(testContext(t), execSpec("e2", "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do [ -e /tmp/done ] && exit 0; sleep 0.3; done; exit 1"))
	must(t, err)
	if exit := wait(t, check); exit.Code != 0 {
		t.Errorf("the background process was killed: %+v", exit)
	}
}

func TestExecEndsWithTheContainer(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	task, err := w.rt.Start(testContext(t), w.spec("sleep", "1000"))
	must(t, err)
	e, err := task.Exec(testContext(t), execSpec("e1", "sleep", "1000"))
	must(t, err)
	if pids, err := task.Pids(testContext(t)); err != nil || len(pids) != 2 {
		t.Errorf("pids = %v, %v", pids, err)
	}
	must(t, task.Signal(testContext(t), 9))
	if exit := wait(t, e); exit.Code != 137 {
		t.Errorf("exit = %+v", exit)
	}
	wait(t, task)
	must(t, task.Delete(testContext(t)))
	before.compare(t, census(t))
}

func TestExecSignal(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	e, err := task.Exec(testContext(t), execSpec("e1", "sleep", "1000"))
	must(t, err)
	must(t, e.Signal(testContext(t), 15))
	if exit := wait(t, e); exit.Code != 143 || exit.Signal != 15 {
		t.Errorf("exit = %+v", exit)
	}
	if _, over := task.Exit(); over {
		t.Error("the container ended")
	}
}
