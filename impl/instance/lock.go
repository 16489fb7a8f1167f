// Package instance keeps two daemons from working on one directory and tells
// others which process serves it.
package instance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/atomicfile"
)

const lockName = "berthd.lock"

// Lock is the right to work on a directory. The kernel takes it back when the
// process ends, however it ends.
type Lock struct{ f *os.File }

// Acquire takes the lock of a directory, which is made if needed. If another
// process has it the error names that process.
func Acquire(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, unix.EROFS) {
		f, err = os.Open(path) // on a read-only disk: one can lock, but not say who
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := take(f, dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// The pid is for messages only: a full or read-only disk must not stop the daemon.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{f}, nil
}

// passing is how long a lock may outlive its owner.
const passing = 10 * time.Second

// take locks the file. A process that was killed while it started another one has
// a copy of itself for a moment, between fork and exec, which still has the lock:
// that is waited for.
func take(f *os.File, dir string) error {
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", dir, err)
		}
		text := make([]byte, 20)
		n, _ := f.ReadAt(text, 0)
		owner := strings.TrimSpace(string(text[:n]))
		// A file without a pid is a lock that has just been taken.
		if (owner != "" && program(owner) != "") || time.Since(begin) > passing {
			return fmt.Errorf("%s is in use by another berthd (pid %s): stop it, or choose another --data-root and --exec-root", dir, owner)
		}
	}
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.f.Close() }

// Held says whether a process has the lock of a directory now. It takes no lock that
// outlives the call, and makes nothing.
func Held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer f.Close() // which gives the lock back
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// WritePidfile writes this process's pid to path; remove takes the file away
// unless another process has written its own pid there meanwhile.
func WritePidfile(path string) (remove func() error, err error) {
	pid := strconv.Itoa(os.Getpid())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("write the pid file: %w", err)
	}
	if data, err := os.ReadFile(path); err == nil {
		other, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err == nil && other != os.Getpid() && runs(other) {
			return nil, fmt.Errorf("pid file %s: berthd runs already with pid %d: stop it, or choose another --pidfile", path, other)
		}
	}
	if err := atomicfile.Write(path, []byte(pid), 0o644); err != nil {
		return nil, fmt.Errorf("write the pid file: %w", err)
	}
	return func() error {
		if data, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(data)) != pid {
			return nil
		}
		return os.Remove(path)
	}, nil
}

// runs says whether pid is a running berthd: pids are used again after a crash.
func runs(pid int) bool { return program(strconv.Itoa(pid)) == "berthd" }

// program is the name of the program that a process runs, empty when there is no
// such process or it has ended.
func program(pid string) string {
	exe, err := os.Readlink(filepath.Join("/proc", pid, "exe"))
	if err != nil {
		return ""
	}
	return filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
}
