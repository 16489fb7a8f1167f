package instance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLockNamesItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := os.Lstat(dir); Held(dir) || !os.IsNotExist(err) {
		t.Errorf("a directory that is not there is held or was made: %v", err)
	}
	l, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !Held(dir) {
		t.Error("the lock is not seen")
	}
	if _, err := Acquire(dir); err == nil || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Fatalf("second lock: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if Held(dir) {
		t.Error("a lock that was given back is seen")
	}
	again, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

// TestLockOfTheDead: a process that was killed while it started another one has left a
// copy of itself, which has the lock until it becomes the other program.
func TestLockOfTheDead(t *testing.T) {
	dir := t.TempDir()
	l, err := Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, lockName), []byte(strconv.Itoa(dead.Process.Pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	copied := exec.Command("cat") // with the lock, until its input ends
	copied.Stdin, copied.ExtraFiles = read, []*os.File{l.f}
	if err := copied.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if err := l.Release(); err != nil || !Held(dir) {
		t.Errorf("the copy does not have the lock: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() {
		write.Close()
		ended <- copied.Wait()
	})
	after, err := Acquire(dir)
	if err != nil {
		t.Errorf("a lock that nobody's process has: %v", err)
	} else if err := after.Release(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPidfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "berth.pid")
	remove, err := WritePidfile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != strconv.Itoa(os.Getpid()) {
		t.Fatalf("%q, %v", data, err)
	}
	// A file of a process that is no berthd (here: init) is overwritten.
	if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal("the pid file of another process was removed")
	}
	if remove, err = WritePidfile(path); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Fatal("the pid file stayed")
	}
}
