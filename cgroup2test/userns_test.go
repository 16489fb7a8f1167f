package cgroup2test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// Containers in user namespaces have their control group like others, on a kernel
// that is older than the one of the other tests: limits hold, and what kills is
// told. Where the kernel cannot map the ids of a file system, the daemon says so
// and does not start.
func TestUserNamespaces(t *testing.T) {
	const second = "berthcg1"
	name, _ := parent()
	start := func(dir string) (*daemon.Daemon, error) {
		command, err := daemon.Berth(filepath.Join(*binaries, "berthd"), dir, "--bridge", second, "--bip", "10.213.201.1/24",
			"--exec-opt", "native.cgroupdriver="+*driver, "--cgroup-parent", name, "--userns-remap", "default")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		return daemon.Start(ctx, command)
	}
	clean := func(dir string) {
		if err := (daemon.Remains{Dir: dir, Bridge: second}).Remove(); err != nil {
			t.Error(err)
		}
	}
	open := func(parent string) string {
		dir, err := os.MkdirTemp(parent, "berth-userns-")
		if err == nil {
			err = os.Chmod(dir, 0o711) // for the containers' users to pass
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	memory := open("/tmp")
	defer clean(memory)
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC && !since(t, 6, 3) { // where tmpfs learnt it
		d, err := start(memory)
		if err == nil {
			t.Error("the daemon runs on a file system that cannot map ids")
			_ = d.Stop(30 * time.Second)
		} else if !strings.Contains(err.Error(), "cannot map the ids of layers") {
			t.Errorf("the daemon says: %v", err)
		}
	}

	disk := open("/var/tmp")
	defer clean(disk)
	d, err := start(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(d.Stop(30*time.Second), daemon.Healthy(d.Log())); err != nil {
			t.Error(err)
		}
	}()
	other := engine
	engine = &client{http: daemon.Client(d.Socket()), log: d.Log()}
	t.Cleanup(func() { engine = other }) // runs after the boxes' own
	if err := loadBusybox(); err != nil {
		t.Fatal(err)
	}
	t.Run("control groups", func(t *testing.T) {
		b := runs(t, object{"Memory": 64 << 20, "PidsLimit": 50, "CpuQuota": 50000})
		for file, want := range map[string]string{"memory.max": "67108864", "pids.max": "50", "cpu.max": "50000 100000"} {
			if got := b.inside(file); got != want {
				t.Errorf("%s is %q inside, want %q", file, got, want)
			}
		}
		if got, code := b.exec("sh", "-c", "tr -s ' ' </proc/self/uid_map; stat -c %u:%g / /etc/hosts; echo x >/made && stat -c %u:%g /made"); code != 0 || got != "0 100000 65536\n0:0\n0:0\n0:0" {
			t.Errorf("inside: %q, %d", got, code)
		}
		if got, code := b.exec("sh", "-c", "cat /proc/self/cgroup; (echo 1 >/sys/fs/cgroup/pids.max) 2>/dev/null && echo written"); code == 0 || got != "0::/" {
			t.Errorf("its own group: %q, %d", got, code)
		}
		killed := runs(t, object{"Memory": 16 << 20, "MemorySwap": 16 << 20}, "sh", "-c", "tail /dev/zero")
		if code := killed.wait(); code != 137 {
			t.Errorf("exit code without memory: %d", code)
		}
		if i := killed.inspect(); !i.State.OOMKilled {
			t.Error("State.OOMKilled is false")
		}
	})
}

// since says whether the kernel is of this version or a later one.
func since(t *testing.T, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var is [2]int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &is[0], &is[1]); err != nil {
		t.Fatal(err)
	}
	return is[0] > major || is[0] == major && is[1] >= minor
}
