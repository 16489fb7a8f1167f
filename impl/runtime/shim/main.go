// Package shim is the part of the runtime that runs in berth-shim: it builds a
// container or an exec with libcontainer from an order that it inherits, says
// how that went, and becomes the monitor.
package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // device rules of cgroups
	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // the C half of Init
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/monitor"
	_ "github.com/seed-50ced230/berth/impl/runtime/namespace" // its C half
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
	"github.com/seed-50ced230/berth/impl/runtime/slack"
)

// Init is to be called from an init function of the program: it does not
// return in a process that libcontainer started as a container's first one.
func Init() {
	slack.Restore()
	if len(os.Args) > 1 && os.Args[1] == "init" {
		debug.SetGCPercent(-1)
		libcontainer.Init()
	}
}

// Main carries out the inherited order. It returns the program's exit status,
// and only on failure.
func Main() int {
	// A start allocates a few megabytes and is over: collecting costs more
	// than it gives.
	debug.SetGCPercent(-1)
	// The mount namespace will be this thread's, and what it starts gets it.
	runtime.LockOSThread()
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.WarnLevel)

	unix.CloseOnExec(protocol.FDOrders)
	warmUp()
	files, err := receiveOrder()
	if err != nil {
		return 1 // the daemon has no use for this shim, or is gone
	}
	report := os.NewFile(uintptr(files[protocol.FileReport]), "report")
	if err := carryOut(files, report); err != nil {
		answer := protocol.Report{Error: err.Error(), Code: 128}
		if failed := (*startError)(nil); errors.As(err, &failed) {
			answer.Code = failed.code
		}
		_ = json.NewEncoder(report).Encode(answer)
	}
	return 1
}

// receiveOrder waits for the order's files.
func receiveOrder() ([]int, error) {
	const max = 253 // SCM_MAX_FD
	version := make([]byte, 1)
	oob := make([]byte, unix.CmsgSpace(4*max))
	n, oobn, _, _, err := unix.Recvmsg(protocol.FDOrders, version, oob, unix.MSG_CMSG_CLOEXEC)
	for errors.Is(err, unix.EINTR) {
		n, oobn, _, _, err = unix.Recvmsg(protocol.FDOrders, version, oob, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return nil, err
	}
	if n != 1 || version[0] != protocol.Version {
		return nil, errors.New("no order")
	}
	_ = unix.Close(protocol.FDOrders)
	files, err := rights(oob[:oobn])
	if err != nil {
		return nil, err
	}
	if len(files) < protocol.FileConns {
		return nil, errors.New("an order without files")
	}
	return files, nil
}

// startError is a failure with the exit code that Docker gives it.
type startError struct {
	code int
	text string
}

func (e *startError) Error() string { return e.text }

// started is a running process and what has to be undone if it cannot be kept.
type started struct {
	container *libcontainer.Container
	process   *libcontainer.Process
	pid       int
	root      int // descriptor of the container's root, -1 for an exec
	undo      func()
}

func carryOut(files []int, report *os.File) (err error) {
	clock := startClock()
	var order protocol.Order
	if err := json.NewDecoder(os.NewFile(uintptr(files[protocol.FileOrder]), "order")).Decode(&order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	if want := protocol.FileConns + order.Conns + len(order.Borrow); len(files) != want {
		return fmt.Errorf("an order of %d files came with %d", want, len(files))
	}
	logFD, err := openLog(order.Log.Path)
	if err != nil {
		return err
	}
	// Processes that lose their parent without a pid namespace of their own come
	// to this one, which reaps them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}

	clock.done("read the order")

	var s *started
	terminal := false
	if order.Process != nil {
		terminal = order.Process.Terminal
	} else {
		terminal = order.OCI.Process.Terminal
	}
	stdio, err := openStdio(terminal, order.Stdio.OpenStdin)
	if err != nil {
		return err
	}
	if order.Process != nil {
		s, err = startExec(&order, stdio, clock)
	} else {
		s, err = startContainer(&order, files, stdio, clock)
	}
	if err != nil {
		return err
	}
	defer s.undo()

	if err := awaitExec(s, stdio); err != nil {
		return err
	}
	clock.done("wait for the execution")
	handle, err := newHandle(&order, s, terminal)
	if err != nil {
		return err
	}
	if err := handle.Write(order.Dir); err != nil {
		return err
	}
	config := monitor.Config{
		ID:     order.ID,
		Listen: files[protocol.FileListen], Dir: files[protocol.FileHandle], MountNS: files[protocol.FileMountNS],
		Stdin: stdio.stdin, Stdout: stdio.stdout, Stderr: stdio.stderr,
		OOMEvent: -1, OOMFile: -1, Root: s.root,
		Terminal: terminal, StdinOnce: order.Stdio.StdinOnce,
		Exec: order.Process != nil, Child: s.pid,
		LogPath: order.Log.Path, LogFile: logFD, LogMaxSize: order.Log.MaxSize, LogMaxFile: order.Log.MaxFile,
		LogAttrs: order.Log.Attrs, SpoolDir: order.Spool.Dir, SpoolMax: order.Spool.Max,
		Conns: files[protocol.FileConns : protocol.FileConns+order.Conns],
	}
	if order.Process == nil {
		config.OOMEvent, config.OOMFile = watchMemory(handle.CgroupPaths)
		if !privatePids(s.container) {
			config.CgroupProcs = procsFile(handle.CgroupPaths)
		}
	}
	// A daemon that is gone by now finds the handle.
	answer := protocol.Report{Handle: handle}
	if order.Timed {
		clock.done("write the handle")
		answer.Steps = clock.steps
	}
	_ = json.NewEncoder(report).Encode(answer)
	_ = report.Close()
	return monitor.Become("/proc/self/exe", config)
}

func openLog(path string) (int, error) {
	if path == "" {
		return -1, nil
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return -1, fmt.Errorf("open the log: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return fd, nil
}

func newHandle(order *protocol.Order, s *started, terminal bool) (*protocol.Handle, error) {
	pidStart, err := startTime(s.pid)
	if err != nil {
		return nil, fmt.Errorf("read the process's start time: %w", err)
	}
	shimStart, err := startTime(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("read the shim's start time: %w", err)
	}
	h := &protocol.Handle{
		Version: protocol.Version, ID: order.ID, Exec: order.Exec, Run: order.Run,
		Shim: os.Getpid(), ShimStart: shimStart, Pid: s.pid, PidStart: pidStart,
		StartedAt: time.Now().UTC(), Terminal: terminal,
	}
	if order.Process == nil {
		state, err := s.container.State()
		if err != nil {
			return nil, fmt.Errorf("read the container's state: %w", err)
		}
		// The device rules are not needed again; the cgroup library refuses them
		// in programs without its devices package.
		cgroup, resources := *state.Config.Cgroups, cgroups.Resources{}
		if cgroup.Resources != nil {
			resources = *cgroup.Resources
		}
		resources.Devices = nil
		cgroup.Resources = &resources
		h.Cgroup = &cgroup
		h.CgroupPaths = state.CgroupPaths
	}
	return h, nil
}

// startTime is field 22 of /proc/<pid>/stat (proc_pid_stat(5)), in clock ticks
// since boot.
func startTime(pid int) (uint64, error) {
	st, err := protocol.ReadStat(strconv.Itoa(pid))
	return st.StartTime, err
}
