package census

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// goroutines are the engine's, each by the function that started it.
func goroutines(p Place) ([]string, error) {
	if p.Stacks == "" {
		return nil, nil
	}
	if err := syscall.Kill(p.Pid, syscall.SIGUSR1); err != nil {
		return nil, fmt.Errorf("ask process %d for its stacks: %w", p.Pid, err)
	}
	pattern := filepath.Join(p.Stacks, "goroutines-*.txt")
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			continue
		}
		text, err := os.ReadFile(found[0])
		if err != nil {
			return nil, err
		}
		return Goroutines(string(text)), os.Remove(found[0])
	}
	return nil, errors.New("the engine wrote no stacks after SIGUSR1")
}

// Goroutines takes a dump of stacks apart: one line for each goroutine, with the
// function that started it.
func Goroutines(dump string) []string {
	var out []string
	for stack := range strings.SplitSeq(dump, "\n\n") {
		if !strings.HasPrefix(stack, "goroutine ") {
			continue
		}
		origin := "main"
		if i := strings.LastIndex(stack, "created by "); i >= 0 {
			origin, _, _ = strings.Cut(stack[i+len("created by "):], "\n")
			origin, _, _ = strings.Cut(origin, " in goroutine ")
		}
		out = append(out, "goroutine of "+origin)
	}
	return out
}

// Memory is the resident memory of a process in bytes.
func Memory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)) // proc(5): size resident …, in pages
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return 0, fmt.Errorf("statm of process %d: %q", pid, text)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
