package thread

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// SlackenMonitor gives the monitor thread of Go's runtime (sysmon) a timer slack
// (prctl(2), PR_SET_TIMERSLACK; proc_pid_timerslack_ns(5)). While the program works
// it sleeps for 20 µs at a time, so that with the kernel's usual 50 µs it wakes
// 14,000 times a second for nothing most of the time. With more slack it wakes less
// often, and what it is for, giving the place of a goroutine that is in a system call
// to another one, takes so much longer at most.
//
// The runtime makes this thread before all others. Programs that are started get
// the slack of the thread that starts them, which this one never does.
func SlackenMonitor(slack time.Duration) error {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return fmt.Errorf("find the runtime's threads: %w", err)
	}
	defer dir.Close()
	tids, err := dir.Readdirnames(2) // in the order in which they were made
	if err != nil || len(tids) < 2 || tids[0] != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("find the runtime's threads in %q: %w", tids, err)
	}
	return os.WriteFile("/proc/"+tids[1]+"/timerslack_ns", []byte(strconv.FormatInt(slack.Nanoseconds(), 10)), 0)
}
