package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// processor is the processor time in seconds of the daemon and of its children that
// have ended (proc(5), stat: fields 14 to 17, in hundredths).
func (e *engine) processor() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.daemon.Pid()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+2:]))
	sum := 0
	for _, f := range fields[11:15] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return float64(sum) / 100, nil
}

// resetPeak makes peak begin anew (proc(5), clear_refs: 5).
func (e *engine) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", e.daemon.Pid()), []byte("5"), 0)
}

// peak is the most resident memory of the daemon in MB since it was reset.
func (e *engine) peak() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.daemon.Pid()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("read VmHWM: %w", err)
	}
	return kb / 1024, nil
}
