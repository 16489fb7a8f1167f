package runtime

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// A process that has the number of a container's, which ended, is not taken for
// the container: its root is the host's.
func TestReplacedProcess(t *testing.T) {
	self, err := protocol.ReadStat(strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	task := func(start uint64) *Task {
		return &Task{followed: &followed{what: "container x", handle: protocol.Handle{Pid: os.Getpid(), PidStart: start}}}
	}
	for what, open := range map[string]func(*Task) error{
		"root":      func(t *Task) error { _, err := t.Root(); return err },
		"namespace": func(t *Task) error { _, err := t.Namespace("net"); return err },
		"file":      func(t *Task) error { _, err := t.Proc("net/dev"); return err },
	} {
		if err := open(task(self.StartTime)); err != nil {
			t.Errorf("%s of the process itself: %v", what, err)
		}
		if err := open(task(self.StartTime - 1)); !errors.Is(err, errdefs.ErrConflict) {
			t.Errorf("%s of another process: %v", what, err)
		}
	}
}

// A monitor that cannot be reached for seconds is not taken for dead: its container
// would be killed.
func TestMonitorOutOfReach(t *testing.T) {
	self, err := protocol.ReadStat(strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := &followed{dir: dir, done: make(chan struct{}), handle: protocol.Handle{Shim: os.Getpid(), ShimStart: self.StartTime}}
	var listener net.Listener
	listening := make(chan error, 1)
	time.AfterFunc(2500*time.Millisecond, func() {
		var err error
		listener, err = net.Listen("unix", filepath.Join(dir, protocol.SocketName))
		listening <- err
	})
	watch := f.again()
	if watch == nil {
		t.Fatal("given up")
	}
	_ = watch.Close()
	if err := <-listening; err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	// The end on the disk is the end.
	if err := writeExit(dir, Exit{}); err != nil {
		t.Fatal(err)
	}
	if f.again() != nil {
		t.Error("a connection to nobody")
	}
}

// Whoever asks a monitor that is about to end learns that it did, at whatever moment
// it does: before the connection, or with the connection in its queue.
func TestMonitorThatEnds(t *testing.T) {
	dir := t.TempDir()
	seen := map[error]int{}
	for round := 0; round < 20000 && (seen[unix.EPIPE] == 0 || round < 500); round++ {
		listener, err := net.Listen("unix", filepath.Join(dir, protocol.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		ends := make(chan struct{})
		go func() {
			defer close(ends)
			for range round % 200 * 100 { // some microseconds
				runtime.KeepAlive(listener)
			}
			_ = listener.Close()
		}()
		watch, err := dialWatch(t.Context(), dir)
		<-ends
		if err == nil {
			_ = watch.Close()
			continue
		}
		if !isHungUp(err) {
			t.Fatalf("round %d: %v", round, err)
		}
		var errno syscall.Errno
		errors.As(err, &errno)
		seen[errno]++
	}
	t.Log(seen)
	if seen[unix.EPIPE] == 0 {
		t.Error("no connection was in the queue at the end: the test has nothing to test")
	}
}
