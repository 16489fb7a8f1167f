package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestKernelIsTheRunningOne(t *testing.T) {
	k, err := ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("uname", "-rm").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := k.Release + " " + k.Machine; got != strings.TrimSpace(string(out)) {
		t.Fatalf("%q, uname says %q", got, out)
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		release      string
		major, minor int
		want         bool
	}{
		{"6.18.44-fc", 5, 16, true},
		{"5.16", 5, 16, true},
		{"5.15.0-91-generic", 5, 16, false},
		{"5.4", 5, 16, false},
		{"6", 6, 0, true},
		{"6-rc", 6, 1, false},
		{"10.2", 5, 16, true},
		{"", 0, 1, false},
	} {
		if got := (Kernel{Release: c.release}).AtLeast(c.major, c.minor); got != c.want {
			t.Errorf("%q at least %d.%d: %v", c.release, c.major, c.minor, got)
		}
	}
}

func TestOperatingSystem(t *testing.T) {
	root := t.TempDir()
	if got := OperatingSystem(root); got != "Linux" {
		t.Errorf("without the file: %q", got)
	}
	write(t, filepath.Join(root, "usr/lib/os-release"), "NAME=x\nPRETTY_NAME='Plain OS'\n")
	if got := OperatingSystem(root); got != "Plain OS" {
		t.Errorf("of the vendor: %q", got)
	}
	write(t, filepath.Join(root, "etc/os-release"), `# comment
ID=debian
PRETTY_NAME="Debian GNU/Linux 12 \"x\" (bookworm)"
`)
	if got := OperatingSystem(root); got != `Debian GNU/Linux 12 "x" (bookworm)` {
		t.Errorf("of the administrator: %q", got)
	}
}

func TestControlsOfUnifiedHierarchy(t *testing.T) {
	root := t.TempDir()
	h := Hierarchies{V2: root, Own: "/"}
	if c := h.Controls(Kernel{Release: "6.1"}); c != (Controls{}) {
		t.Fatalf("nothing there: %+v", c)
	}
	write(t, filepath.Join(root, "cgroup.controllers"), "cpuset cpu io memory pids\n")
	want := Controls{Memory: true, CPUShares: true, CFSPeriod: true, CFSQuota: true, CPUSet: true, Pids: true}
	if c := h.Controls(Kernel{Release: "6.1"}); c != want {
		t.Fatalf("without swap: %+v", c)
	}
	write(t, filepath.Join(root, "system.slice/memory.swap.max"), "max\n")
	want.Swap = true
	if c := h.Controls(Kernel{Release: "6.1"}); c != want {
		t.Fatalf("with swap: %+v", c)
	}
}

func TestControlsOfOldHierarchies(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{
		"memory/memory.limit_in_bytes", "memory/memory.kmem.limit_in_bytes", "memory/memory.oom_control",
		"cpu/cpu.shares", "unified/cgroup.controllers",
	} {
		write(t, filepath.Join(root, f), "")
	}
	h := Hierarchies{V1: map[string]string{"memory": root + "/memory", "cpu": root + "/cpu"}, V2: root + "/unified"}
	want := Controls{Memory: true, OOMKillDisable: true, KernelMemory: true, CPUShares: true}
	if c := h.Controls(Kernel{Release: "4.19"}); c != want {
		t.Fatalf("an old kernel: %+v", c)
	}
	want.KernelMemory = false
	if c := h.Controls(Kernel{Release: "6.18"}); c != want {
		t.Fatalf("a new kernel: %+v", c)
	}
}

// What the machine under test has is found: a group with a limit can be made.
func TestControlsOfThisHost(t *testing.T) {
	h, err := FindHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	c := h.Controls(k)
	dir, file, value := h.V1["memory"], "memory.limit_in_bytes", "67108864"
	if dir == "" {
		t.Logf("unified hierarchy at %s: %+v", h.V2, c)
		return
	}
	group := filepath.Join(dir, "berth-host-test")
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	able := func(file, value string) bool {
		path := filepath.Join(group, file)
		if os.WriteFile(path, []byte(value), 0o644) != nil {
			return false
		}
		// Some kernels take a value and drop it.
		now, err := os.ReadFile(path)
		return err == nil && slices.Contains(strings.Fields(string(now)), value)
	}
	if got := able(file, value); got != c.Memory {
		t.Errorf("memory limit: %v, figures say %v", got, c.Memory)
	}
	if got := able("memory.memsw.limit_in_bytes", "134217728"); got != c.Swap {
		t.Errorf("swap limit: %v, figures say %v", got, c.Swap)
	}
	if got := able("memory.kmem.limit_in_bytes", "67108864"); got != c.KernelMemory {
		t.Errorf("kernel memory limit: %v, figures say %v", got, c.KernelMemory)
	}
	if got := able("memory.oom_control", "1"); got != c.OOMKillDisable {
		t.Errorf("OOM killer: %v, figures say %v", got, c.OOMKillDisable)
	}
}

func TestFilesystem(t *testing.T) {
	name, err := Filesystem("/dev/shm")
	if err != nil {
		t.Fatal(err)
	}
	if name != "tmpfs" {
		t.Fatalf("/dev/shm is on %s", name)
	}
	if _, err := Filesystem("/no/such/path"); err == nil {
		t.Fatal("no error for a path that is not there")
	}
}
