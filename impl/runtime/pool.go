package runtime

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// idleShims is how many shims wait for an order. Starting a Go program with
// libcontainer in it and letting it see its first JSON takes a third of a
// container's start; a shim that waits has that behind it. Two, because a start
// is often followed by an exec, or by another start, before the replacement is
// ready. Each costs about 4 MiB while it waits.
const idleShims = 2

// pool keeps shims that wait for an order.
type pool struct {
	program *program

	mu      sync.Mutex
	idle    []*idleShim
	opening int // being started
	closed  bool
	work    sync.WaitGroup
}

// idleShim is a shim that waits for its order on a socket. When the socket is
// closed, it ends.
type idleShim struct {
	cmd    *exec.Cmd
	socket int
	from   *os.File // the executable it was started from
}

func (s *idleShim) discard() {
	_ = unix.Close(s.socket)
	_ = s.cmd.Wait()
}

// order hands the order over with all files that the shim needs. What is sent
// to a shim that is dead is lost: then it is an error.
func (s *idleShim) order(files []*os.File) error {
	fds := make([]int, 0, len(files))
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	err := unix.Sendmsg(s.socket, []byte{protocol.Version}, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
	if err != nil {
		return fmt.Errorf("give the shim its order: %w", os.NewSyscallError("sendmsg", err))
	}
	return nil
}

// give finds or starts a shim and gives it an order.
func (p *pool) give(files []*os.File) (*exec.Cmd, error) {
	for {
		s, fresh, err := p.take()
		if err != nil {
			return nil, err
		}
		err = s.order(files)
		if err == nil {
			_ = unix.Close(s.socket)
			return s.cmd, nil
		}
		s.discard()
		if fresh || !(errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)) {
			return nil, err
		}
	}
}

func (p *pool) take() (s *idleShim, fresh bool, err error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		s = p.idle[n-1]
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	if s != nil {
		return s, false, nil
	}
	s, err = p.open()
	return s, true, err
}

// open starts a shim.
func (p *pool) open() (*idleShim, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start the shim: %w", os.NewSyscallError("socketpair", err))
	}
	theirs := os.NewFile(uintptr(pair[1]), "order")
	defer theirs.Close()
	s := &idleShim{socket: pair[0], cmd: &exec.Cmd{
		Args:       []string{"berth-shim", "run"},
		Env:        []string{"GOGC=off", "GOMAXPROCS=1", "PATH=" + os.Getenv("PATH")},
		Dir:        "/",
		ExtraFiles: []*os.File{theirs},
		// A session of its own: signals for the daemon's group and terminal
		// do not concern it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}}
	err = p.program.use(func(path string, file *os.File) error {
		s.cmd.Path, s.from = path, file
		return s.cmd.Start()
	})
	if err != nil {
		_ = unix.Close(s.socket)
		return nil, fmt.Errorf("start the shim: %w", err)
	}
	return s, nil
}

// refill starts shims aside until enough wait, and ends those of a program
// that has been replaced.
func (p *pool) refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	keep := p.idle[:0]
	for _, s := range p.idle {
		if p.program.current(s.from) {
			keep = append(keep, s)
		} else {
			p.work.Go(s.discard)
		}
	}
	p.idle = keep
	for len(p.idle)+p.opening < idleShims {
		p.opening++
		p.work.Go(func() {
			s, err := p.open()
			p.mu.Lock()
			p.opening--
			keep := err == nil && !p.closed && p.program.current(s.from)
			if keep {
				p.idle = append(p.idle, s)
			}
			p.mu.Unlock()
			if err == nil && !keep {
				s.discard()
			}
		})
	}
}

func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, s := range idle {
		s.discard()
	}
	p.work.Wait()
}
