package runtime_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// counted is what a container could leave behind on the machine.
type counted struct {
	mounts, cgroups, shims, fds []string
}

func census(tb testing.TB) counted {
	tb.Helper()
	var c counted
	mounts, err := os.ReadFile("/proc/self/mounts")
	must(tb, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, filepath.Join(os.TempDir(), "Test")) { // where t.TempDir is
			c.mounts = append(c.mounts, line)
		}
	}
	must(tb, filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.Contains(path, "berth-test/") {
			c.cgroups = append(c.cgroups, path)
		}
		return nil
	}))
	procs, err := os.ReadDir("/proc")
	must(tb, err)
	for _, p := range procs {
		cmd, err := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		if err == nil && bytes.HasPrefix(cmd, []byte("berth-shim\x00")) &&
			bytes.Contains(cmd, fmt.Appendf(nil, "\x00t%d-", os.Getpid())) {
			c.shims = append(c.shims, p.Name())
		}
	}
	fds, err := os.ReadDir("/proc/self/fd")
	must(tb, err)
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && !strings.HasPrefix(target, "/proc/") &&
			target != "/sys/fs/cgroup" { // the cgroup library opens it once
			c.fds = append(c.fds, target)
		}
	}
	return c
}

// compare retries, because a process's end is seen before it is complete.
func (c counted) compare(tb testing.TB, now counted) {
	tb.Helper()
	for range 100 {
		if c.diff(now) == "" {
			return
		}
		time.Sleep(20 * time.Millisecond)
		now = census(tb)
	}
	tb.Error(c.diff(now))
}

func (c counted) diff(now counted) string {
	var b strings.Builder
	list := func(what string, old, new []string) {
		if len(new) <= len(old) {
			return
		}
		fmt.Fprintf(&b, "%s: %d before, %d now", what, len(old), len(new))
		for _, s := range new {
			if !slices.Contains(old, s) {
				fmt.Fprintf(&b, "\n  + %s", s)
			}
		}
		b.WriteByte('\n')
	}
	list("mounts", c.mounts, now.mounts)
	list("cgroups", c.cgroups, now.cgroups)
	list("shims", c.shims, now.shims)
	list("descriptors", c.fds, now.fds)
	return b.String()
}
