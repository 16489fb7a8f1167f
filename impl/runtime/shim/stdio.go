package shim

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"
)

// stdio are both ends of a process's standard streams: what the process gets,
// and the monitor's descriptors (-1: none).
type stdio struct {
	process               [3]*os.File // nil with a terminal
	consoleParent         *os.File    // where the terminal's master arrives
	consoleChild          *os.File
	stdin, stdout, stderr int
}

func openStdio(terminal, openStdin bool) (*stdio, error) {
	s := &stdio{stdin: -1, stdout: -1, stderr: -1}
	if terminal {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("make the console's socket: %w", err)
		}
		s.consoleParent = os.NewFile(uintptr(pair[0]), "console")
		s.consoleChild = os.NewFile(uintptr(pair[1]), "console")
		return s, nil
	}
	var err error
	if openStdin {
		if s.process[0], s.stdin, err = pipe(true); err != nil {
			return nil, err
		}
	} else if s.process[0], err = os.Open(os.DevNull); err != nil {
		return nil, fmt.Errorf("open the standard input: %w", err)
	}
	if s.process[1], s.stdout, err = pipe(false); err != nil {
		return nil, err
	}
	if s.process[2], s.stderr, err = pipe(false); err != nil {
		return nil, err
	}
	return s, nil
}

// pipe makes a pipe; input says that the process reads from it. The ends stay
// out of the Go runtime's poller, which would make the process's end
// non-blocking, too.
func pipe(input bool) (process *os.File, ours int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, fmt.Errorf("make a pipe: %w", err)
	}
	if input {
		return os.NewFile(uintptr(p[0]), "stdin"), p[1], nil
	}
	return os.NewFile(uintptr(p[1]), "output"), p[0], nil
}

// give hands the process its ends. In a user namespace they belong to its root,
// or the process could not open them again (/dev/stdout).
func (s *stdio) give(p *libcontainer.Process, config *configs.Config) error {
	if s.consoleChild != nil {
		p.ConsoleSocket = s.consoleChild
		return nil
	}
	p.Stdin, p.Stdout, p.Stderr = s.process[0], s.process[1], s.process[2]
	if !config.Namespaces.Contains(configs.NEWUSER) {
		return nil
	}
	uid, err := config.HostRootUID()
	if err != nil {
		return fmt.Errorf("find the container's root user: %w", err)
	}
	gid, err := config.HostRootGID()
	if err != nil {
		return fmt.Errorf("find the container's root group: %w", err)
	}
	for _, f := range s.process {
		if f.Name() == os.DevNull {
			continue
		}
		if err := f.Chown(uid, gid); err != nil {
			return fmt.Errorf("give the streams to the container's root user: %w", err)
		}
	}
	return nil
}

// handed is called when the process has its ends: ours are closed, the
// terminal's master is fetched.
func (s *stdio) handed() error {
	if s.consoleParent == nil {
		for _, f := range s.process {
			_ = f.Close()
		}
		return nil
	}
	_ = s.consoleChild.Close()
	defer s.consoleParent.Close()
	master, err := receiveFD(int(s.consoleParent.Fd()))
	if err != nil {
		return fmt.Errorf("receive the terminal: %w", err)
	}
	s.stdout = master
	if s.stdin, err = unix.FcntlInt(uintptr(master), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return fmt.Errorf("duplicate the terminal: %w", err)
	}
	return nil
}

// receiveFD receives one descriptor over a Unix socket.
func receiveFD(socket int) (int, error) {
	name := make([]byte, 4096)
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, name, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	fds, err := rights(oob[:n])
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, errors.New("no descriptor in the message")
	}
	return fds[0], nil
}

// rights are the descriptors of a message (unix(7), SCM_RIGHTS).
func rights(oob []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, errors.New("no descriptors in the message")
	}
	return unix.ParseUnixRights(&messages[0])
}

// complaint is what a process that could not execute its program wrote.
func (s *stdio) complaint() string {
	fd := s.stderr
	if fd < 0 {
		fd = s.stdout
	}
	_ = unix.SetNonblock(fd, true)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil || n <= 0 {
		return ""
	}
	return strings.TrimSpace(string(buf[:n]))
}
