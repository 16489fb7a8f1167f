package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A client of the monitor's socket sends one Request of 8 bytes. Numbers are
// in the machine's byte order: both ends are on one machine.
//
//	OpWatch   the monitor answers with an Event at once and at each happening
//	OpAttach  an AttachReply, then frames: 8 bytes of header as in Docker's attach
//	          stream (also with a terminal) and the data; a frame of stream 0 is
//	          the end of all output. What the client sends is standard input.
//	OpResize  an int32: 0 or an errno
const (
	OpWatch  = 1
	OpAttach = 2
	OpResize = 3
)

// Flags of OpAttach.
const (
	AttachStdin  = 1 << iota
	AttachStdout // frames of stream 1
	AttachStderr // frames of stream 2
	// AttachPending asks for the unfinished lines, which are not in the log yet.
	AttachPending
	// AttachTimes asks for a frame of stream StreamTime before each of output.
	AttachTimes
)

// Streams in the header of a frame.
const (
	StreamEnd    = 0
	StreamStdout = 1
	StreamStderr = 2
	StreamTime   = 3 // when the next frame's data were written, see ReadTime
)

// ReadTime reads the data of a frame of StreamTime: seconds since 1970 and
// nanoseconds, 8 bytes each.
func ReadTime(r io.Reader) (time.Time, error) {
	var b [16]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return time.Time{}, err
	}
	return time.Unix(int64(binary.NativeEndian.Uint64(b[0:])), int64(binary.NativeEndian.Uint64(b[8:]))), nil
}

// FrameHeader is the size of a frame's header.
const FrameHeader = 8

// Request builds a request.
func Request(op, flags uint8, height, width uint16) []byte {
	b := make([]byte, 8)
	b[0], b[1] = op, flags
	binary.NativeEndian.PutUint16(b[2:], height)
	binary.NativeEndian.PutUint16(b[4:], width)
	return b
}

// Kinds of Event.
const (
	EventHello = 1 // the process runs
	EventOOM   = 2 // the kernel killed for memory
	EventExit  = 3 // the process is gone; the last event
)

// Event is what a watcher is told.
type Event struct {
	Kind uint32
	Exit ExitRecord // meaningful in EventExit; OOMKills in EventOOM, too
}

// ExitRecord is how a process ended.
type ExitRecord struct {
	// Status is the status of wait(2).
	Status int32
	// OOMKills is how many processes of the cgroup the kernel killed for memory, -1
	// where the cgroup was gone before the monitor could read it.
	OOMKills int32
	At       time.Time
	// Reason is empty for an ordinary end.
	Reason string
}

// ReadEvent reads one event.
func ReadEvent(r io.Reader) (Event, error) {
	var b [32]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return Event{}, err
	}
	e := Event{Kind: binary.NativeEndian.Uint32(b[0:])}
	e.Exit.Status = int32(binary.NativeEndian.Uint32(b[8:]))
	e.Exit.OOMKills = int32(binary.NativeEndian.Uint32(b[12:]))
	e.Exit.At = time.Unix(int64(binary.NativeEndian.Uint64(b[16:])), int64(binary.NativeEndian.Uint64(b[24:])))
	return e, nil
}

// AttachReply precedes the frames.
type AttachReply struct {
	Terminal bool
	// Inode and Offset are where the log ended.
	Inode  uint64
	Offset int64
	// Written are the bytes of standard output and error in whole lines.
	Written [2]int64
}

const attachMagic = 0x48545242

// ReadAttachReply reads the reply to OpAttach.
func ReadAttachReply(r io.Reader) (AttachReply, error) {
	var b [40]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return AttachReply{}, err
	}
	if binary.NativeEndian.Uint32(b[0:]) != attachMagic {
		return AttachReply{}, errors.New("not an answer of berth's monitor")
	}
	return AttachReply{
		Terminal: binary.NativeEndian.Uint32(b[4:]) != 0,
		Inode:    binary.NativeEndian.Uint64(b[8:]),
		Offset:   int64(binary.NativeEndian.Uint64(b[16:])),
		Written:  [2]int64{int64(binary.NativeEndian.Uint64(b[24:])), int64(binary.NativeEndian.Uint64(b[32:]))},
	}, nil
}

// ParseExit reads the text of the exit file: "1 status kills seconds
// nanoseconds", and after another space the reason of an extraordinary end,
// which the monitor never writes.
func ParseExit(text []byte) (ExitRecord, error) {
	line, complete := strings.CutSuffix(string(text), "\n")
	fields := strings.SplitN(line, " ", 6)
	if !complete || len(fields) < 5 || fields[0] != "1" {
		return ExitRecord{}, fmt.Errorf("exit file: cannot read %q", text)
	}
	var n [4]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(fields[i+1], 10, 64); err != nil {
			return ExitRecord{}, fmt.Errorf("exit file: cannot read %q", text)
		}
	}
	rec := ExitRecord{Status: int32(n[0]), OOMKills: int32(n[1]), At: time.Unix(n[2], n[3])}
	if len(fields) == 6 {
		rec.Reason = fields[5]
	}
	return rec, nil
}
