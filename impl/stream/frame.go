package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Channel is the first byte of a frame: which stream of the process its
// payload belongs to (v1.18 reference, "Attach to a container, stream
// details").
type Channel byte

// The channels of a multiplexed stream.
const (
	Stdin  Channel = 0
	Stdout Channel = 1
	Stderr Channel = 2
)

// frameHead is the size in bytes of a frame's head: channel, three zeros and
// the payload's size, big endian.
const frameHead = 8

// FrameWriter wraps every Write into one frame of a channel. Two writers for
// the channels of one stream may share w if the caller serializes them.
type FrameWriter struct {
	w       io.Writer
	channel Channel
	buf     []byte
}

// NewFrameWriter makes a writer of frames for one channel.
func NewFrameWriter(w io.Writer, channel Channel) *FrameWriter {
	return &FrameWriter{w: w, channel: channel}
}

// Write sends p as one frame in one write to the underlying writer, so that
// frames never tear. It reports the bytes of p that went out.
func (f *FrameWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	f.buf = AppendFrame(f.buf[:0], f.channel, p)
	n, err := f.w.Write(f.buf)
	n = max(n-frameHead, 0)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// AppendFrame appends one frame with the payload p to dst.
func AppendFrame(dst []byte, channel Channel, p []byte) []byte {
	dst = append(dst, byte(channel), 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(p)))
	return append(dst, p...)
}

// Split reads frames from r until its end and writes the payloads to stdout
// and stderr (payloads of channel Stdin, which only an echoing daemon sends, go
// to stdout). A stream that ends within a frame is io.ErrUnexpectedEOF.
func Split(stdout, stderr io.Writer, r io.Reader) error {
	var head [frameHead]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return fmt.Errorf("read a frame's head: %w", err)
		}
		w := stdout
		switch Channel(head[0]) {
		case Stdin, Stdout:
		case Stderr:
			w = stderr
		default:
			return fmt.Errorf("frame of unknown channel %d", head[0])
		}
		size := int64(binary.BigEndian.Uint32(head[4:]))
		if _, err := io.CopyN(w, r, size); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("copy a frame of %d bytes: %w", size, err)
		}
	}
}
