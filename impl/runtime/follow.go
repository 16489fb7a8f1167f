package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// followed is a started process as the daemon sees it: the common part of Task
// and ExecTask.
type followed struct {
	what string // for messages, as "container 4711"
	dir  string
	oom  chan struct{}
	done chan struct{}
	gone func() // called once, before done is closed, when the monitor died too early

	mu     sync.Mutex
	handle protocol.Handle
	pidfd  int // -1: none
	exit   Exit
}

// follow takes a child over: its watch connection is read until the monitor
// ends, and the monitor is reaped if it is a child of this process.
func follow(what, dir string, c *child, gone func()) *followed {
	f := &followed{
		what: what, dir: dir, gone: gone, handle: *c.handle,
		oom: make(chan struct{}, 1), done: make(chan struct{}), pidfd: -1,
	}
	if c.watch == nil {
		f.finish()
		return f
	}
	f.pidfd = openPidfd(c.handle.Pid, c.handle.PidStart)
	go f.run(c.watch, c.shim)
	return f
}

// openPidfd opens the process that started at start, -1 if there is none.
func openPidfd(pid int, start uint64) int {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1
	}
	if st, err := protocol.ReadStat(strconv.Itoa(pid)); err != nil || st.StartTime != start {
		_ = unix.Close(fd)
		return -1
	}
	return fd
}

func (f *followed) run(watch *net.UnixConn, shim *exec.Cmd) {
	for watch != nil {
		f.read(watch)
		_ = watch.Close()
		watch = f.again()
	}
	if _, over := f.Exit(); !over {
		f.finish()
	}
	if shim != nil {
		_ = shim.Wait()
	}
}

// read follows the monitor's events to the end of the connection.
func (f *followed) read(watch *net.UnixConn) {
	for {
		e, err := protocol.ReadEvent(watch)
		if err != nil {
			return
		}
		switch e.Kind {
		case protocol.EventOOM:
			f.tellOOM()
		case protocol.EventExit:
			f.ended(f.exitOf(e.Exit))
		}
	}
}

// again makes a new connection if the process has not ended and its monitor
// lives, which is not expected: nothing must be killed because of a connection,
// however long there is none (a daemon may have no descriptor left).
func (f *followed) again() *net.UnixConn {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, over := f.Exit()
		if _, err := os.Stat(filepath.Join(f.dir, protocol.ExitName)); over || err == nil || !f.monitorLives() {
			return nil
		}
		if watch, err := dialWatch(context.Background(), f.dir); err == nil {
			return watch
		}
		time.Sleep(pause)
	}
}

func (f *followed) monitorLives() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return lives(f.handle.Shim, f.handle.ShimStart)
}

// lives says that the process that started at start has not exited.
func lives(pid int, start uint64) bool {
	st, err := protocol.ReadStat(strconv.Itoa(pid))
	return err == nil && st.StartTime == start && !st.Dead()
}

// finish is for a process whose monitor is gone: either it recorded the exit,
// or it died and the process must not go on without it.
func (f *followed) finish() {
	exit, err := f.readExit()
	if err == nil {
		f.ended(exit)
		return
	}
	f.gone()
	// The monitor may have been quicker after all.
	if exit, err := f.readExit(); err == nil {
		f.ended(exit)
		return
	}
	f.mu.Lock()
	shim := f.handle.Shim
	f.mu.Unlock()
	exit = Exit{
		Code: 128 + int(syscall.SIGKILL), Signal: syscall.SIGKILL, At: time.Now().UTC(),
		Reason: fmt.Sprintf("berth-shim (pid %d) died, so the process was killed", shim),
	}
	_ = writeExit(f.dir, exit)
	f.ended(exit)
}

func (f *followed) ended(exit Exit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.done:
		return
	default:
	}
	if f.pidfd >= 0 {
		_ = unix.Close(f.pidfd)
		f.pidfd = -1
	}
	f.exit = exit
	close(f.done)
}

// Pid is the process's pid in the daemon's pid namespace; it stays the same
// after the end, when it means nothing any more.
func (f *followed) Pid() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handle.Pid
}

// MonitorPid is the pid of the process's parent, berth-shim.
func (f *followed) MonitorPid() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handle.Shim
}

// StartedAt is when the process was executed.
func (f *followed) StartedAt() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handle.StartedAt
}

// Done is closed when the process has ended and all it wrote is in the log.
func (f *followed) Done() <-chan struct{} { return f.done }

// Exit says how the process ended; ok is false while it runs.
func (f *followed) Exit() (exit Exit, ok bool) {
	select {
	case <-f.done:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.exit, true
	default:
		return Exit{}, false
	}
}

// Wait waits for the end of the process or of ctx.
func (f *followed) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-f.done:
		exit, _ := f.Exit()
		return exit, nil
	case <-ctx.Done():
		return Exit{}, ctx.Err()
	}
}

// OOM delivers a value when the kernel killed processes of the container for
// its memory limit (several kills may give one value). It is never closed.
func (f *followed) OOM() <-chan struct{} { return f.oom }

func (f *followed) errEnded() error { return fault.Conflict("%s is not running", f.what) }

// Signal sends sig to the process. An ended one gives errdefs.ErrConflict.
func (f *followed) Signal(_ context.Context, sig syscall.Signal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pidfd < 0 {
		return f.errEnded()
	}
	if err := unix.PidfdSendSignal(f.pidfd, sig, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return f.errEnded()
		}
		return fmt.Errorf("signal %s: %w", f.what, err)
	}
	return nil
}

// Resize sets the size of the process's terminal in characters. A process
// without a terminal gives errdefs.ErrConflict.
func (f *followed) Resize(ctx context.Context, height, width uint16) error {
	conn, err := f.request(ctx, protocol.Request(protocol.OpResize, 0, height, width))
	if err != nil {
		return err
	}
	defer conn.Close()
	var answer [4]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return f.failed(fmt.Errorf("resize %s: %w", f.what, err))
	}
	switch errno := syscall.Errno(binary.NativeEndian.Uint32(answer[:])); errno {
	case 0:
		return nil
	case unix.ENOTTY:
		return fault.Conflict("%s has no terminal", f.what)
	default:
		return fmt.Errorf("resize %s: %w", f.what, errno)
	}
}

// request connects to the monitor and says what is wanted.
func (f *followed) request(ctx context.Context, request []byte) (*net.UnixConn, error) {
	if _, over := f.Exit(); over {
		return nil, f.errEnded()
	}
	conn, err := dial(ctx, f.dir)
	if err != nil {
		return nil, f.failed(err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write(request); err != nil {
		_ = conn.Close()
		return nil, f.failed(fmt.Errorf("ask the monitor: %w", err))
	}
	return conn, nil
}

// failed prefers the reason that explains it: the process ended meanwhile.
func (f *followed) failed(err error) error {
	if _, statErr := os.Stat(filepath.Join(f.dir, protocol.ExitName)); statErr == nil {
		return f.errEnded()
	}
	return err
}

func (f *followed) tellOOM() {
	select {
	case f.oom <- struct{}{}:
	default:
	}
}

// exitOf reads a monitor's record. What the monitor could not know of kills for memory
// the kernel's log tells.
func (f *followed) exitOf(rec protocol.ExitRecord) Exit {
	ws := syscall.WaitStatus(rec.Status)
	e := Exit{Code: ws.ExitStatus(), OOMKilled: rec.OOMKills > 0, At: rec.At.UTC(), Reason: rec.Reason}
	if ws.Signaled() {
		e.Signal = ws.Signal()
		e.Code = 128 + int(e.Signal)
	}
	if rec.OOMKills < 0 {
		f.mu.Lock()
		h := f.handle
		f.mu.Unlock()
		if e.OOMKilled = killedForMemory(h); e.OOMKilled {
			f.tellOOM()
		}
	}
	return e
}

func (f *followed) readExit() (Exit, error) {
	text, err := os.ReadFile(filepath.Join(f.dir, protocol.ExitName))
	if err != nil {
		return Exit{}, err
	}
	rec, err := protocol.ParseExit(text)
	if err != nil {
		return Exit{}, err
	}
	return f.exitOf(rec), nil
}

// writeExit records the end of a process whose monitor could not.
func writeExit(dir string, e Exit) error {
	text := fmt.Sprintf("1 %d 0 %d %d %s\n", int(e.Signal), e.At.Unix(), e.At.Nanosecond(),
		strings.ReplaceAll(e.Reason, "\n", " "))
	if err := atomicfile.Write(filepath.Join(dir, protocol.ExitName), []byte(text), 0o600); err != nil {
		return fmt.Errorf("record the exit: %w", err)
	}
	return nil
}
