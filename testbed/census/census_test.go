package census

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Things of each kind are made, found, and gone again.
func TestSince(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := Place{Dir: dir, Bridge: "census0", Cgroup: "/census0", Pid: os.Getpid(), Depth: 3}
	before, err := Take(p)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	group := cgroup(t)
	undo := func() {
		_ = syscall.Unmount(filepath.Join(dir, "m"), syscall.MNT_DETACH)
		_ = os.Remove(filepath.Join(dir, "m"))
		_ = os.Remove(filepath.Join(group, "child"))
		_ = os.Remove(group)
		_ = exec.Command("nft", "delete", "table", "ip", "census0").Run()
		_ = exec.Command("ip", "link", "del", "census1").Run()
		_ = exec.Command("ip", "link", "del", "census0").Run()
	}
	defer undo()
	if err := os.Mkdir(filepath.Join(dir, "m"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", filepath.Join(dir, "m"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(group, "child"), 0o755); err != nil {
		t.Fatal(err)
	}
	run("ip", "link", "add", "census0", "type", "bridge")
	run("ip", "link", "add", "census1", "type", "veth", "peer", "name", "census2")
	run("ip", "link", "set", "census1", "master", "census0")
	run("nft", "add", "table", "ip", "census0")
	sleeper := exec.Command("sleep", "1000")
	log, err := os.Create(filepath.Join(dir, "m", "log"))
	if err != nil {
		t.Fatal(err)
	}
	sleeper.Stdout = log
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	after, err := Take(p)
	log.Close()
	_ = sleeper.Process.Kill()
	_ = sleeper.Wait()
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Join(after.Since(before), "\n")
	for _, want := range []string{"+ mount " + dir + "/m", "+ file " + dir + "/m/log", "+ cgroup " + group + "/child", "+ device census1",
		"+ nft ip: table ip census0 {", ": sleep 1000", "+ descriptor " + dir + "/m/log"} {
		if !strings.Contains(found, want) {
			t.Errorf("not found: %s\nin\n%s", want, found)
		}
	}
	undo()
	end, err := Take(p)
	if err != nil {
		t.Fatal(err)
	}
	if left := end.Since(before); len(left) > 0 {
		t.Errorf("left:\n%s", strings.Join(left, "\n"))
	}
}

// cgroup is the path of the test's cgroup in some hierarchy.
func cgroup(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup"} {
		path := filepath.Join(root, "census0")
		if err := os.Mkdir(path, 0o755); err == nil {
			return path
		}
	}
	t.Fatal("no writable cgroup hierarchy")
	return ""
}
