package layer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// pipeSize is what the pipes to and from a program hold, the most that the kernel
// gives without privilege (pipe(7)): each switch between the two costs.
const pipeSize = 1 << 20

// nobody is the user that programs run as: what they parse comes from strangers.
const nobody = 65534

// program is a running decompressor. Its Read gives io.EOF only when the program
// has ended and was content, and nothing reads its source any more.
type program struct {
	cmd    *exec.Cmd
	out    *os.File
	stderr bytes.Buffer
	ctx    context.Context // its caller's
	cancel context.CancelFunc
	src    *source
	fed    chan struct{} // closed when the source is read no more
	done   bool
	result error
}

// newProgram starts a program that reads r, which stands on src, and writes what is inside.
func newProgram(caller context.Context, src *source, r io.Reader, path string, args ...string) (p *program, err error) {
	ctx, cancel := context.WithCancel(caller)
	p = &program{ctx: caller, cancel: cancel, src: src, fed: make(chan struct{})}
	var ends [4]*os.File // its input, our side of that, our side of its output, its output
	defer func() {
		if err != nil {
			cancel()
			for _, f := range ends {
				f.Close()
			}
		}
	}()
	if ends[0], ends[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	if ends[2], ends[3], err = os.Pipe(); err != nil {
		return nil, err
	}
	widen(ends[1])
	widen(ends[2])
	p.out = ends[2]
	start := func(who *syscall.Credential) error {
		p.cmd = exec.CommandContext(ctx, path, args...)
		p.cmd.Env = []string{} // the daemon's may hold secrets, and options of xz
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = ends[0], ends[3], &p.stderr
		return p.cmd.Start()
	}
	err = start(&syscall.Credential{Uid: nobody, Gid: nobody})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		err = start(nil) // not root, or where there is no nobody: nothing to give up, or nobody to become
	}
	if err != nil {
		return nil, err
	}
	ends[0].Close()
	ends[3].Close()
	go func() {
		defer close(p.fed)
		// It may end before its input does; the source remembers an error of its own.
		_, _ = io.CopyBuffer(struct{ io.Writer }{ends[1]}, struct{ io.Reader }{r}, make([]byte, chunkSize))
		ends[1].Close()
	}()
	return p, nil
}

// widen makes a pipe hold more; one that stays as it is works, too. Fd would make it block.
func widen(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}

func (p *program) Read(b []byte) (int, error) {
	if p.done {
		return 0, cmp.Or(p.result, io.EOF)
	}
	n, err := p.out.Read(b)
	if err == nil || n > 0 {
		return n, nil
	}
	return 0, cmp.Or(p.wait(), err)
}

func (p *program) wait() error {
	if p.done {
		return p.result
	}
	p.done = true
	err := p.cmd.Wait()
	<-p.fed
	switch {
	case p.src.err != nil:
		p.result = p.src.err
	case err != nil && p.ctx.Err() != nil: // the end of the caller killed it
		p.result = p.ctx.Err()
	case err != nil && !p.cmd.ProcessState.Exited(): // somebody else did, or the kernel: that says nothing of the data
		p.result = fmt.Errorf("%s: %w", p.cmd.Path, err)
	case err != nil:
		p.result = fault.Invalid("corrupt compressed data: %s: %w", bytes.TrimSpace(p.stderr.Bytes()), err)
	}
	return p.result
}

// Close ends the program if it still runs.
func (p *program) Close() error {
	p.cancel()
	_ = p.wait() // an error of the data was told to who read it
	return p.out.Close()
}
