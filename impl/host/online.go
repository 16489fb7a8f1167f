package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Where the kernel lists the processors and memory nodes that are in use
// (Documentation/ABI/stable/sysfs-devices-node,
// Documentation/ABI/testing/sysfs-devices-system-cpu).
const (
	onlineCPUs  = "/sys/devices/system/cpu/online"
	onlineNodes = "/sys/devices/system/node/online"
)

// CPUs lists the host's processors in the kernel's form, "0-3".
func CPUs() (string, error) { return readList(onlineCPUs) }

// MemoryNodes lists the host's memory nodes, "0"; a kernel without NUMA has one.
func MemoryNodes() (string, error) {
	list, err := readList(onlineNodes)
	if errors.Is(err, fs.ErrNotExist) {
		return "0", nil
	}
	return list, err
}

func readList(path string) (string, error) {
	data, err := os.ReadFile(path)
	return strings.TrimSpace(string(data)), err
}

// largestSetMember bounds the numbers of ParseSet, so that a short text cannot
// ask for much memory. Linux has at most 8192 processors.
const largestSetMember = 8191

// ParseSet reads a list of numbers and ranges, "0-2,7" (cpuset(7), List format).
func ParseSet(list string) (map[int]bool, error) {
	set := map[int]bool{}
	for part := range strings.SplitSeq(list, ",") {
		if part == "" {
			continue
		}
		first, last, ranged := strings.Cut(part, "-")
		from, err := strconv.Atoi(first)
		to := from
		if err == nil && ranged {
			to, err = strconv.Atoi(last)
		}
		if err != nil || from < 0 || to < from || to > largestSetMember {
			return nil, fmt.Errorf("%q is no number and no range from 0 to %d", part, largestSetMember)
		}
		for n := from; n <= to; n++ {
			set[n] = true
		}
	}
	return set, nil
}
