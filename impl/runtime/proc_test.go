package runtime_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/userns"
)

// What was opened of a container is the container's, with its mounts, as long as
// it is open, and nothing is opened of one that has ended.
func TestRootOutlivesTheContainer(t *testing.T) {
	w := newWorld(t)
	spec := w.spec("sh", "-c", "echo mounted > /mnt/file; echo own > /work/file; exec sleep 1000")
	spec.OCI.Mounts = append(spec.OCI.Mounts, specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs"})
	before := census(t)
	task, err := w.rt.Start(testContext(t), spec)
	must(t, err)
	eventually(t, "the files", func() bool {
		text, _ := inside(task, "work/file", os.ReadFile)
		return string(text) == "own\n"
	})
	root, err := task.Root()
	must(t, err)
	files := func(when string) {
		t.Helper()
		for path, want := range map[string]string{"work/file": "own\n", "mnt/file": "mounted\n"} {
			if text, err := os.ReadFile(below(root.File, path)); err != nil || string(text) != want {
				t.Errorf("%s: %s = %q, %v", when, path, text, err)
			}
		}
	}
	files("while it runs")
	if ids, err := userns.Of(task.Proc); err != nil || !ids.None() {
		t.Errorf("ids = %v, %v", ids, err)
	}
	must(t, task.Signal(testContext(t), syscall.SIGKILL))
	wait(t, task)
	files("after its end")
	for what, open := range map[string]func() error{
		"root":      func() error { _, err := task.Root(); return err },
		"namespace": func() error { _, err := task.Namespace("mnt"); return err },
		"ids":       func() error { _, err := userns.Of(task.Proc); return err },
	} {
		if err := open(); !errors.Is(err, errdefs.ErrConflict) {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
	must(t, root.Close())
	must(t, task.Delete(testContext(t)))
	before.compare(t, census(t))
}
