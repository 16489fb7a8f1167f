// Package monitor is the small program that a shim turns into once its
// container runs: it holds the standard streams, writes the log, serves the
// handle's socket (package protocol) and records the exit.
//
// It is C, run from a constructor before the Go runtime starts, for one
// measured reason: it lives as long as the container, once per container. An
// idle Go program that does nothing but epoll_wait has 508–590 KiB of private
// memory (Go 1.26, 20 instances), this one about 60 KiB. It is linked into
// berth-shim, so that there is one program to install, as libcontainer's
// nsenter does for its own start.
//
// It allocates per client only, never waits for a client, and never exits
// before the exit of its child is recorded. What a client does not read goes to a
// file without a name (backlog.h); a client that lags too far behind is dropped.
package monitor

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wno-unused-result
*/
import "C"

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Config is what a monitor needs to know. All descriptors are inherited.
type Config struct {
	// ID is shown in the list of processes.
	ID string
	// Listen is the listening socket, Dir the handle directory, MountNS the
	// mount namespace to go back to (-1: stay).
	Listen, Dir, MountNS int
	// Stdin, Stdout and Stderr are the monitor's ends; -1 where there is none.
	// With a terminal, Stdin and Stdout are duplicates of its master.
	Stdin, Stdout, Stderr int
	// OOMEvent becomes readable when something happened; OOMFile is the file
	// with the line "oom_kill N". -1: not watched.
	OOMEvent, OOMFile int
	Terminal          bool
	StdinOnce         bool
	// Exec says that the child is a further process of the container.
	Exec bool
	// Child is the pid of the process to wait for, a child of the caller.
	Child int
	// CgroupProcs is the file with the pids of the processes that must end with
	// the child; empty when the kernel sees to that (pid namespace).
	CgroupProcs string
	// Root is kept open to the monitor's end, -1: nothing. See package shim.
	Root       int
	LogPath    string
	LogFile    int
	LogMaxSize int64
	LogMaxFile int
	// LogAttrs is a JSON object that goes into each line of the log, or empty.
	LogAttrs string
	// SpoolDir is where files for slow clients go, SpoolMax how many bytes one
	// may lag behind before it is dropped.
	SpoolDir string
	SpoolMax int64
	// Conns are connections of clients that attached before the start.
	Conns []int
}

// Become replaces the program by the monitor; it returns only on failure. exe
// is the path of the running berth-shim.
func Become(exe string, c Config) error {
	argv := []string{"berth-shim", "monitor", c.ID,
		num(c.Listen), num(c.Dir), num(c.MountNS), num(c.Stdin), num(c.Stdout), num(c.Stderr),
		num(c.OOMEvent), num(c.OOMFile), flag(c.Terminal), flag(c.StdinOnce), flag(c.Exec), num(c.Child),
		c.CgroupProcs, c.LogPath, num(c.LogFile), strconv.FormatInt(c.LogMaxSize, 10), num(c.LogMaxFile),
		c.LogAttrs, c.SpoolDir, strconv.FormatInt(c.SpoolMax, 10)}
	keep := []int{c.Listen, c.Dir, c.MountNS, c.Stdin, c.Stdout, c.Stderr, c.OOMEvent, c.OOMFile, c.LogFile, c.Root}
	for _, fd := range c.Conns {
		argv = append(argv, num(fd))
		keep = append(keep, fd)
	}
	for _, fd := range keep {
		if fd < 0 {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep descriptor %d for the monitor: %w", fd, err)
		}
	}
	if err := unix.Exec(exe, argv, nil); err != nil {
		return fmt.Errorf("execute the monitor: %w", err)
	}
	return nil
}

func num(n int) string { return strconv.Itoa(n) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
