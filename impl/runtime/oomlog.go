package runtime

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// killedForMemory asks the kernel's log whether a process of the container was killed
// for memory. It is for a control group that was gone before anybody read its own
// count: systemd removes one that is empty. False also where there is no log to read.
func killedForMemory(h protocol.Handle) bool {
	group := h.CgroupPaths[""]
	if group == "" {
		group = h.CgroupPaths["memory"]
	}
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil || group == "" {
		return false
	}
	defer unix.Close(fd)
	since, until := started(h.PidStart), awake()+time.Second // a log that grows as it is read has an end
	for buf := make([]byte, 8192); ; {                       // one record for each read, PRINTKRB_RECORD_MAX
		n, err := unix.Read(fd, buf)
		switch {
		case err == nil && n > 0:
			at, text, ok := kernelMessage(string(buf[:n]))
			if ok && at >= since && tellsOfKill(text, path.Base(group), h.Pid) {
				return true
			}
			if at > until {
				return false
			}
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // the log ran over the reader: it goes on with the oldest
		default:
			return false
		}
	}
}

// started is when a process started, in the time of the kernel's log, from the time of
// proc(5), which counts suspends, too. A second less, since that log's clock is no other's.
func started(ticks uint64) time.Duration {
	const userHZ = 100
	return time.Duration(ticks)*(time.Second/userHZ) - (clock(unix.CLOCK_BOOTTIME) - awake()) - time.Second
}

// awake is how long the host has been up, without suspends, as the kernel's log counts.
func awake() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(id, &ts) // these clocks are always there (clock_gettime(2))
	return time.Duration(ts.Nano())
}

// kernelMessage takes a record of /dev/kmsg apart (Documentation/ABI/testing/dev-kmsg):
// "6,1234,5678901234,-;text", with microseconds since the boot, and lines of its own for
// what else is known.
func kernelMessage(record string) (at time.Duration, text string, ok bool) {
	prefix, rest, ok := strings.Cut(record, ";")
	fields := strings.Split(prefix, ",")
	if !ok || len(fields) < 3 {
		return 0, "", false
	}
	micros, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return 0, "", false
	}
	text, _, _ = strings.Cut(rest, "\n")
	return time.Duration(micros) * time.Microsecond, text, true
}

// tellsOfKill reads the two lines of mm/oom_kill.c: one with the victim's control group,
// which the kernel leaves out when there are many, and one with its pid.
func tellsOfKill(text, group string, pid int) bool {
	if strings.HasPrefix(text, "oom-kill:") {
		_, task, _ := strings.Cut(text, ",task_memcg=")
		task, _, _ = strings.Cut(task, ",")
		return slices.Contains(strings.Split(task, "/"), group)
	}
	return strings.Contains(text, fmt.Sprintf(": Killed process %d (", pid))
}
