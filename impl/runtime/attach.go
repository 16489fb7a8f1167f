package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// AttachOptions says which streams a client wants.
type AttachOptions struct {
	Stdin, Stdout, Stderr bool
	// Pending asks for what was written of the unfinished lines before, which
	// is not in the log yet. A client that read the log up to the Position
	// wants it; one that is interested in new output only does not.
	Pending bool

	// times asks for the times of the output, which only the logger reads.
	times bool
}

// Position is a place in a container's log.
type Position struct {
	// Inode is the inode number of the log file that was the current one. It
	// may be a rotated one by now. 0: there is no log.
	Inode uint64
	// Offset is the size in bytes that it had.
	Offset int64
	// Written are the bytes that the run had written to its standard output and
	// error, without unfinished lines.
	Written [2]int64
}

// ErrDropped says that an attached client lost its connection before the end
// of the output: it did not read and lagged too far behind, or the process's
// monitor died.
var ErrDropped = errors.New("the attached client has been dropped")

// Attachment is a client's connection to the standard streams of a container
// or an exec. Reading gives the output: with a terminal the raw bytes,
// otherwise frames with Docker's header of 8 bytes (stream 1 or 2, three
// zeros, the length as a big-endian uint32). io.EOF means that all output was
// delivered and no more will come.
//
// The output is taken off the monitor as it comes and kept, in a little memory
// and then in a file without a name, until it is read: a slow client never
// holds up the process, its log or another client. A client that lags too far
// behind (Options.SpoolMax) gets ErrDropped after what was kept.
type Attachment struct {
	conn *net.UnixConn
	out  *spool

	peerMu sync.Mutex // a client may close while a start takes the peer
	peer   *os.File   // the other end, before the start

	ready chan struct{} // closed when reply or err is known
	reply protocol.AttachReply
	err   error

	closeOnce sync.Once
}

// NewAttachment makes a connection for a process that is not started yet, see
// Spec.Attachments. Reading blocks until the start.
func (r *Runtime) NewAttachment(opts AttachOptions) (*Attachment, error) {
	conn, peer, err := socketPair()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(opts.request()); err != nil {
		_ = conn.Close()
		_ = peer.Close()
		return nil, err
	}
	a := r.attachment(conn)
	a.peer = peer
	return a, nil
}

// Attach connects a client to the process's standard streams. An ended process
// gives errdefs.ErrConflict.
func (t *Task) Attach(ctx context.Context, opts AttachOptions) (*Attachment, error) {
	return t.runtime.attach(ctx, t.followed, opts)
}

// Attach connects a client to the process's standard streams. An ended process
// gives errdefs.ErrConflict.
func (e *ExecTask) Attach(ctx context.Context, opts AttachOptions) (*Attachment, error) {
	return e.runtime.attach(ctx, e.followed, opts)
}

func (r *Runtime) attach(ctx context.Context, f *followed, opts AttachOptions) (*Attachment, error) {
	conn, err := f.request(ctx, opts.request())
	if err != nil {
		return nil, err
	}
	a := r.attachment(conn)
	if _, err := a.Position(ctx); err != nil {
		_ = a.Close()
		return nil, f.failed(err)
	}
	_ = conn.SetDeadline(time.Time{}) // ctx was for the connecting only
	return a, nil
}

func (o AttachOptions) request() []byte {
	var flags uint8
	for _, f := range []struct {
		on   bool
		flag uint8
	}{
		{o.Stdin, protocol.AttachStdin},
		{o.Stdout, protocol.AttachStdout},
		{o.Stderr, protocol.AttachStderr},
		{o.Pending, protocol.AttachPending},
		{o.times, protocol.AttachTimes},
	} {
		if f.on {
			flags |= f.flag
		}
	}
	return protocol.Request(protocol.OpAttach, flags, 0, 0)
}

func (r *Runtime) attachment(conn *net.UnixConn) *Attachment {
	a := &Attachment{conn: conn, out: newSpool(r.opts.Spool, r.opts.SpoolMax), ready: make(chan struct{})}
	go a.pump()
	return a
}

// handOver gives the other end away, once.
func (a *Attachment) handOver() (*os.File, error) {
	peer := a.takePeer()
	if peer == nil {
		return nil, fault.Invalid("the attachment is in use already, or closed")
	}
	return peer, nil
}

func (a *Attachment) takePeer() *os.File {
	a.peerMu.Lock()
	defer a.peerMu.Unlock()
	peer := a.peer
	a.peer = nil
	return peer
}

// pump moves output from the monitor to the spool until the end frame.
func (a *Attachment) pump() {
	a.reply, a.err = protocol.ReadAttachReply(a.conn)
	if a.err != nil {
		a.err = ErrDropped
	}
	close(a.ready)
	if a.err != nil {
		a.out.end(ErrDropped)
		return
	}
	frames := frameReader{terminal: a.reply.Terminal, to: a.out}
	buf := make([]byte, 64<<10)
	for {
		n, err := a.conn.Read(buf)
		over, werr := frames.take(buf[:n])
		switch {
		case over:
			a.out.end(io.EOF)
			return
		case err != nil || werr != nil:
			a.out.end(ErrDropped)
			_ = a.conn.CloseRead()
			return
		}
	}
}

// Read reads output.
func (a *Attachment) Read(p []byte) (int, error) { return a.out.Read(p) }

// Write writes to the standard input. It blocks while the process does not
// read.
func (a *Attachment) Write(p []byte) (int, error) {
	<-a.ready
	if a.err != nil {
		return 0, a.err
	}
	return a.conn.Write(p)
}

// CloseWrite says that no more input comes.
func (a *Attachment) CloseWrite() error { return a.conn.CloseWrite() }

// Close ends the connection. The process notices nothing, except the end of
// its standard input if StdinOnce says so.
func (a *Attachment) Close() error {
	var err error
	a.closeOnce.Do(func() {
		if peer := a.takePeer(); peer != nil {
			_ = peer.Close()
		}
		err = a.conn.Close()
		a.out.close()
	})
	return err
}

// Position waits for the start and says how far the log was when the
// connection was made: everything before is in the log and not in this
// connection, everything after comes through this connection (and is in the
// log, too).
func (a *Attachment) Position(ctx context.Context) (Position, error) {
	select {
	case <-a.ready:
		if a.err != nil {
			return Position{}, a.err
		}
		return Position{Inode: a.reply.Inode, Offset: a.reply.Offset, Written: a.reply.Written}, nil
	case <-ctx.Done():
		return Position{}, ctx.Err()
	}
}

// Terminal says whether the process has a terminal; it waits as Position does.
func (a *Attachment) Terminal(ctx context.Context) (bool, error) {
	if _, err := a.Position(ctx); err != nil {
		return false, err
	}
	return a.reply.Terminal, nil
}

// frameReader finds the end frame, and takes the headers off for a terminal.
type frameReader struct {
	terminal bool
	to       io.Writer
	head     [protocol.FrameHeader]byte
	headN    int
	left     uint32 // of the present frame's data
}

func (f *frameReader) take(p []byte) (over bool, err error) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(uint32(len(p)), f.left)
			if _, err := f.to.Write(p[:n]); err != nil {
				return false, err
			}
			f.left -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.headN:], p)
		f.headN += n
		p = p[n:]
		if f.headN < len(f.head) {
			return false, nil
		}
		f.headN = 0
		if f.head[0] == protocol.StreamEnd {
			return true, nil
		}
		f.left = binary.BigEndian.Uint32(f.head[4:])
		if !f.terminal {
			if _, err := f.to.Write(f.head[:]); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}
