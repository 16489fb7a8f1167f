package runtime_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime"
)

// sharedDir is a directory on a mount whose mounts reach all its peers, as "/"
// is where systemd runs.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	must(t, syscall.Mount("", dir, "", syscall.MS_SHARED, ""))
	return dir
}

func mountsBelow(t *testing.T, dir string) (list []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if place := strings.Fields(line)[4]; strings.HasPrefix(place, dir+"/") {
			list = append(list, place)
		}
	}
	return list
}

// newSharedWorld has its handles and its containers' files on a shared mount.
func newSharedWorld(t *testing.T) (*world, string) {
	t.Helper()
	dir := sharedDir(t)
	w := &world{tb: t, root: filepath.Join(dir, "run"), lower: busyboxRoot(t), dir: filepath.Join(dir, "files")}
	w.rt = newRuntime(t, w.root)
	return w, dir
}

func bindMount(source, destination, propagation string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: destination, Options: []string{"rbind", "rw", propagation}}
}

// A container that borrows another's /dev/shm and shares a mount with the host
// leaves the host's mounts and, when it is removed, the other's files alone.
func TestBorrowedOnSharedMount(t *testing.T) {
	w, dir := newSharedWorld(t)
	other := w.start(w.spec("sh", "-c", "echo theirs > /dev/shm/file; exec sleep 1000"))
	eventually(t, "the other wrote its file", func() bool {
		text, _ := inside(other, "dev/shm/file", os.ReadFile)
		return string(text) == "theirs\n"
	})
	namespace, err := other.Namespace("mnt")
	must(t, err)
	defer namespace.Close()

	outside := filepath.Join(dir, "outside")
	must(t, os.MkdirAll(filepath.Join(outside, "inner"), 0o755))
	spec := w.spec("sh", "-c", "cat /dev/shm/file && touch /ready && exec sleep 1000")
	spec.OCI.Mounts = append(spec.OCI.Mounts, bindMount(outside, "/outside", "rshared"), specs.Mount{
		Type: "bind", Destination: "/dev/shm", Options: []string{"rbind", "rw", "rprivate"},
	})
	spec.OCI.Linux.RootfsPropagation = "shared"
	spec.Borrow = []runtime.Borrow{{Mount: len(spec.OCI.Mounts) - 1, Namespace: namespace, Path: "/dev/shm"}}
	task, err := w.rt.Start(testContext(t), spec)
	must(t, err)
	removed := false
	defer func() {
		if !removed {
			remove(t, task)
		}
	}()
	eventually(t, "the container saw the other's file", func() bool { _, err := inside(task, "ready", os.Stat); return err == nil })
	if list := mountsBelow(t, dir); len(list) > 0 {
		t.Errorf("the host got mounts of the container: %s", list)
	}

	must(t, syscall.Mount("tmpfs", outside+"/inner", "tmpfs", 0, ""))
	defer func() { _ = syscall.Unmount(outside+"/inner", syscall.MNT_DETACH) }()
	must(t, os.WriteFile(outside+"/inner/later", nil, 0o644))
	if _, err := inside(task, "outside/inner/later", os.Stat); err != nil {
		t.Errorf("what the host mounts later does not reach the container: %v", err)
	}

	remove(t, task)
	removed = true
	_, theirs := inside(other, "dev/shm/file", os.Stat)
	_, hosts := os.Stat(outside + "/inner/later")
	if err := errors.Join(theirs, hosts); err != nil {
		t.Errorf("the removal of a container took files that are not its own: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.root, spec.ID)); !os.IsNotExist(err) {
		t.Errorf("the handle directory is left: %v", err)
	}
}

// A bind mount whose source is spelled with another process's root is a bind
// mount as any other: the kernel refuses what another mount namespace has, and
// the files there stay whatever becomes of the container.
func TestBindThroughOtherRoot(t *testing.T) {
	w, dir := newSharedWorld(t)
	outside := filepath.Join(dir, "outside")
	must(t, os.Mkdir(outside, 0o755))
	must(t, os.WriteFile(outside+"/file", []byte("of the host"), 0o644))
	for _, propagation := range []string{"rprivate", "rshared"} {
		spec := w.spec("cat", "/outside/file")
		spec.OCI.Mounts = append(spec.OCI.Mounts, bindMount(fmt.Sprintf("/proc/%d/root%s", os.Getpid(), outside), "/outside", propagation), bindMount(dir, "/shared", "rshared"))
		spec.OCI.Linux.RootfsPropagation = "shared"
		task, err := w.rt.Start(testContext(t), spec)
		t.Logf("%s: start: %v", propagation, err)
		if err == nil {
			remove(t, task)
		}
		if list := mountsBelow(t, dir); len(list) > 0 {
			t.Errorf("%s: the host got mounts of the container: %s", propagation, list)
		}
		if text, err := os.ReadFile(outside + "/file"); err != nil || string(text) != "of the host" {
			t.Errorf("%s: the removal of a container took the host's file: %q, %v", propagation, text, err)
		}
	}
}

// A handle directory with a mount that is not the shim's is not removed, and
// what is mounted there neither; what an older shim left is unmounted first.
func TestRemoveStopsAtMounts(t *testing.T) {
	w, dir := newSharedWorld(t)
	outside := filepath.Join(dir, "outside")
	must(t, os.MkdirAll(filepath.Join(outside, "inner"), 0o755))
	must(t, syscall.Mount("tmpfs", outside+"/inner", "tmpfs", 0, ""))
	defer func() { must(t, syscall.Unmount(outside+"/inner", syscall.MNT_DETACH)) }()
	kept := []string{outside + "/file", outside + "/inner/file"}
	for _, path := range kept {
		must(t, os.WriteFile(path, nil, 0o644))
	}
	task, err := w.rt.Start(testContext(t), w.spec("true"))
	must(t, err)
	wait(t, task)
	bind := func(name string) string {
		place := filepath.Join(w.root, task.ID(), name)
		must(t, os.MkdirAll(place, 0o700))
		must(t, syscall.Mount(outside, place, "", syscall.MS_BIND|syscall.MS_REC, ""))
		return place
	}
	bind("borrowed3")
	foreign := bind("foreign")
	if err := task.Delete(testContext(t)); err == nil || !strings.Contains(err.Error(), foreign) {
		t.Errorf("removal of a handle directory with a mount: %v", err)
	}
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("a removal that was refused took a file: %v", err)
		}
	}
	must(t, syscall.Mount("", foreign, "", syscall.MS_PRIVATE|syscall.MS_REC, ""))
	must(t, syscall.Unmount(foreign, syscall.MNT_DETACH))
	bind("borrowed4")
	must(t, task.Delete(testContext(t)))
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the removal took a file: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(w.root, task.ID())); !os.IsNotExist(err) {
		t.Errorf("the handle directory is left: %v", err)
	}
}

// The namespaces of a container that ended are nobody's, whoever has its pid.
func TestNamespaceOfEnded(t *testing.T) {
	w := newWorld(t)
	task := w.start(w.spec("true"))
	wait(t, task)
	if f, err := task.Namespace("mnt"); !errdefs.IsConflict(err) {
		t.Errorf("namespace = %v, %v", f, err)
	}
}
