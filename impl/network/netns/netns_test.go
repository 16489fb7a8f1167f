package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// own is the namespace of the calling thread.
func own(t *testing.T) string {
	t.Helper()
	s, err := os.Readlink(selfNS)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestThreads makes, enters and removes namespaces from many goroutines; no
// thread of the process may be in one afterwards.
func TestThreads(t *testing.T) {
	home, dir := own(t), t.TempDir()
	failure := errors.New("setup failed")
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			path := filepath.Join(dir, fmt.Sprint(i))
			var inside string
			err := Create(path, func() error {
				inside = own(t)
				if i%2 == 1 {
					return failure
				}
				return nil
			})
			if inside == home {
				t.Error("setup ran in the old namespace")
			}
			if i%2 == 1 {
				if !errors.Is(err, failure) {
					t.Errorf("failed setup: %v", err)
				}
				if _, err := os.Lstat(path); !os.IsNotExist(err) {
					t.Errorf("failed setup left %s: %v", path, err)
				}
				return
			}
			if err != nil || !Pinned(path) {
				t.Errorf("create: %v", err)
				return
			}
			if err := Do(path, func() error {
				if got := own(t); got != inside {
					t.Errorf("entered %s, want %s", got, inside)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
			for range 2 {
				if err := Remove(path); err != nil {
					t.Error(err)
				}
			}
			if Pinned(path) {
				t.Error("removed namespace is pinned")
			}
		})
	}
	wg.Wait()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if ns, err := os.Readlink(task); err == nil && ns != home {
			t.Errorf("%s is in %s", task, ns)
		}
	}
	if left, err := List(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(taken, func() error { t.Error("setup of a taken path"); return nil }); !errors.Is(err, os.ErrExist) {
		t.Errorf("taken path: %v", err)
	}
	if _, err := os.Lstat(taken); err != nil {
		t.Errorf("taken path was removed: %v", err)
	}
	if Pinned(taken) {
		t.Error("a plain file is no namespace")
	}
	if err := Do(taken, func() error { t.Error("entered a plain file"); return nil }); err == nil {
		t.Error("entered a plain file")
	}
	if list, err := List(filepath.Join(dir, "none")); err != nil || list != nil {
		t.Errorf("missing directory: %v %v", list, err)
	}
}
