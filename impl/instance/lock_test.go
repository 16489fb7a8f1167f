package instance

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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
