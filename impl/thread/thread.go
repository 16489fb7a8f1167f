// Package thread sees to it that the process has the threads that it needs. A Go
// program that needs another thread and does not get it, because its control
// group has as many as it may (pids.max), is ended by Go's runtime with all that it
// does. The runtime makes threads for system calls that block, and keeps them
// afterwards: so those that a busy hour needs are made in advance.
package thread

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
)

// Reserve makes n threads that Go's runtime keeps idle (some 24 KiB of memory each,
// measured), or fewer, if the control group has no room for twice as many. It says how many.
func Reserve(n int) int {
	if room, _, err := room(); err == nil && room >= 0 {
		n = min(n, room/2)
	}
	var there, gone sync.WaitGroup
	release := make(chan struct{})
	for range n {
		there.Add(1)
		gone.Go(func() {
			// A goroutine that waits with its thread locked keeps others off it.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			there.Done()
			<-release
		})
	}
	there.Wait()
	close(release)
	gone.Wait()
	return n
}

// ErrNone says that there is no room for another thread. It names the limit.
var ErrNone = errors.New("no room for another thread or process")

// Spare says whether there is room for n threads or processes more. It is for
// those who can say no instead.
func Spare(n int) error {
	left, limit, err := room()
	if err != nil || left < 0 || left >= n {
		return nil // what cannot be read may be no limit
	}
	return fmt.Errorf("%w: %d are left of %s", ErrNone, left, limit)
}

// room is how many threads and processes the control groups of the process have
// room for, -1 without a bound, and the file of the narrowest bound.
func room() (n int, limit string, err error) {
	dir, root, err := group()
	if err != nil {
		return -1, "", err
	}
	n = -1
	for ; strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
		most, err := number(filepath.Join(dir, "pids.max"))
		if err != nil || most < 0 { // the root has no limit
			continue
		}
		present, err := number(filepath.Join(dir, "pids.current"))
		if err != nil {
			continue
		}
		if left := max(0, most-present); n < 0 || left < n {
			n, limit = left, filepath.Join(dir, "pids.max")
		}
	}
	return n, limit, nil
}

// number reads a file of the pids controller; -1 for "max".
func number(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	word := strings.TrimSpace(string(text))
	if word == "max" {
		return -1, nil
	}
	return strconv.Atoi(word)
}

// mounts are looked for once: they stay where they are.
var mounts = sync.OnceValues(func() (v1, v2 string) {
	all, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return "", ""
	}
	for _, m := range all {
		switch {
		case m.FSType == "cgroup2" && v2 == "":
			v2 = m.Mountpoint
		case m.FSType == "cgroup" && v1 == "" && strings.Contains(","+m.VFSOptions+",", ",pids,"):
			v1 = m.Mountpoint
		}
	}
	return v1, v2
})

// group is the directory of the process's control group that counts processes,
// and the hierarchy's root. The process may have been moved since the last time.
func group() (dir, root string, err error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	v1, v2 := mounts()
	unified := ""
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch {
		case v1 != "" && strings.Contains(","+fields[1]+",", ",pids,"):
			return filepath.Join(v1, fields[2]), v1, nil
		case fields[0] == "0":
			unified = fields[2]
		}
	}
	if v2 == "" || unified == "" {
		return "", "", errors.New("no control group counts processes")
	}
	return filepath.Join(v2, unified), v2, nil
}
