package runtime

import (
	"context"
	"errors"
)

// AttachOptions says which streams a client wants.
type AttachOptions struct {
	Stdin, Stdout, Stderr bool
}

// Position is a place in a container's log: a number of bytes from the first
// line that the container ever wrote.
type Position struct {
	// Generation counts the rotations of the log file, 0 for the first file.
	Generation uint64
	// Offset is the size in bytes that the current log file had.
	Offset int64
}

// Attachment is a client's connection to the standard streams of a container
// or an exec. Reading gives the output: with a terminal the raw bytes,
// otherwise frames with Docker's header of 8 bytes (stream 1 or 2, three
// zeros, the length as a big-endian uint32). io.EOF means that all output
// was delivered and the process will write no more. A client that lags too far
// behind is dropped: reading then gives ErrLagged after what it had.
type Attachment struct{ _ struct{} }

// ErrLagged says that a client was dropped because it did not read.
var ErrLagged = errors.New("attached client was too slow and has been dropped")

// NewAttachment makes a connection for a process that is not started yet, see
// Spec.Attachments. Reading blocks until the start.
func NewAttachment(opts AttachOptions) (*Attachment, error) { return nil, errSkeleton }

// Read reads output.
func (a *Attachment) Read(p []byte) (int, error) { return 0, errSkeleton }

// Write writes to the standard input.
func (a *Attachment) Write(p []byte) (int, error) { return 0, errSkeleton }

// CloseWrite says that no more input comes.
func (a *Attachment) CloseWrite() error { return errSkeleton }

// Close ends the connection. The process notices nothing, except the end of
// its standard input if StdinOnce says so.
func (a *Attachment) Close() error { return errSkeleton }

// Position waits for the start and says how far the log was when the
// connection was made: everything before is in the log and not in this
// connection, everything after comes through this connection (and is in the
// log, too).
func (a *Attachment) Position(ctx context.Context) (Position, error) { return Position{}, errSkeleton }
