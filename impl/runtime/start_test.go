package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime"
)

func TestExitCodeAndLog(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "echo one; echo two >&2; echo three; printf four; exit 7")
	task := w.start(spec)
	exit := wait(t, task)
	if exit.Code != 7 || exit.Signal != 0 || exit.OOMKilled || exit.Reason != "" {
		t.Errorf("exit = %+v", exit)
	}
	if exit.At.Before(task.StartedAt()) {
		t.Errorf("ended %v before its start %v", exit.At, task.StartedAt())
	}
	lines := readLog(t, spec.Log.Path)
	if got := output(lines, "stdout"); got != "one\nthree\nfour" {
		t.Errorf("stdout = %q", got)
	}
	if got := output(lines, "stderr"); got != "two\n" {
		t.Errorf("stderr = %q", got)
	}
}

func TestSignals(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("sleep", "1000"))
	if pids, err := task.Pids(testContext(t)); err != nil || len(pids) != 1 || pids[0] != task.Pid() {
		t.Errorf("pids = %v, %v; want %d", pids, err, task.Pid())
	}
	must(t, task.Signal(testContext(t), 9))
	if exit := wait(t, task); exit.Code != 137 || exit.Signal != 9 {
		t.Errorf("exit = %+v", exit)
	}
	if err := task.Signal(testContext(t), 9); !errors.Is(err, errdefs.ErrConflict) {
		t.Errorf("signal after the end: %v", err)
	}
}

func TestCommandErrors(t *testing.T) {
	w := newWorld(t)
	must(t, os.WriteFile(filepath.Join(w.lower, "work/plain"), []byte("x"), 0o644))
	must(t, os.WriteFile(filepath.Join(w.lower, "work/garbage"), []byte("\x00\x01\x02"), 0o755))
	must(t, os.WriteFile(filepath.Join(w.lower, "work/script"), []byte("#!/nowhere\n"), 0o755))
	for name, c := range map[string]struct {
		args []string
		cwd  string
		code int
		text string
	}{
		"not in PATH":        {args: []string{"nonsense"}, code: 127, text: "executable file not found"},
		"no such file":       {args: []string{"/nonsense"}, code: 127, text: "no such file"},
		"not executable":     {args: []string{"/work/plain"}, code: 126, text: "permission denied"},
		"a directory":        {args: []string{"/work"}, code: 126, text: "directory"},
		"not a program":      {args: []string{"/work/garbage"}, code: 126, text: "exec format error"},
		"no interpreter":     {args: []string{"/work/script"}, code: 127, text: "no such file"},
		"no working dir":     {args: []string{"true"}, cwd: "/bin/busybox", code: 128, text: "not a directory"},
		"no command":         {args: nil, code: 128, text: "no command"},
		"name is misleading": {args: []string{"no such file or directory"}, cwd: "/bin/busybox", code: 128, text: "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			before := census(t)
			spec := w.spec(c.args...)
			if c.cwd != "" {
				spec.OCI.Process.Cwd = c.cwd
			}
			_, err := w.rt.Start(testContext(t), spec)
			var failed *runtime.StartError
			if !errors.As(err, &failed) {
				t.Fatalf("error = %v", err)
			}
			if failed.Code != c.code || !strings.Contains(failed.Text, c.text) {
				t.Errorf("code %d, text %q", failed.Code, failed.Text)
			}
			if lines := readLog(t, spec.Log.Path); len(lines) > 0 {
				t.Errorf("the log has %v", lines)
			}
			before.compare(t, census(t))
			if ids, err := w.rt.List(); err != nil || len(ids) > 0 {
				t.Errorf("left behind: %v, %v", ids, err)
			}
		})
	}
}

func TestBadMountLeavesNothing(t *testing.T) {
	w := newWorld(t)
	before := census(t)
	spec := w.spec("true")
	spec.OCI.Mounts = append(spec.OCI.Mounts, specs.Mount{
		Destination: "/x", Source: "/does/not/exist", Type: "bind", Options: []string{"rbind"},
	})
	_, err := w.rt.Start(testContext(t), spec)
	var failed *runtime.StartError
	if !errors.As(err, &failed) || failed.Code != 128 {
		t.Fatalf("error = %v", err)
	}
	before.compare(t, census(t))
}

func TestSameIDTwice(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sleep", "1000")
	w.start(spec)
	if _, err := w.rt.Start(testContext(t), spec); !errors.Is(err, errdefs.ErrConflict) {
		t.Errorf("error = %v", err)
	}
	if _, err := w.rt.Load(testContext(t), spec.ID); err != nil {
		t.Errorf("the first one is gone: %v", err)
	}
}

func TestRootIsAnOverlay(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "echo new > /work/file; rm /etc/passwd; ls /work")
	if exit := wait(t, w.start(spec)); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
	if _, err := os.Stat(filepath.Join(spec.Rootfs.Upper, "work/file")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(w.lower, "etc/passwd")); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(spec.Rootfs.Target); err != nil || len(entries) > 0 {
		t.Errorf("the mount is visible on the host: %v, %v", entries, err)
	}
}

func TestNothingLeaks(t *testing.T) {
	w := newWorld(t)
	run := func() {
		task, err := w.rt.Start(testContext(t), w.spec("sh", "-c", "echo x; echo y >&2"))
		must(t, err)
		wait(t, task)
		must(t, task.Delete(testContext(t)))
	}
	run() // what is set up once
	before := census(t)
	for range 5 {
		run()
	}
	before.compare(t, census(t))
}
