package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Streams of a multiplexed connection, as byte 0 of a frame names them.
const (
	Stdin  = 0
	Stdout = 1
	Stderr = 2
)

// maxFrame is far above what an engine puts in one frame, so that a header that
// is really text is found out.
const maxFrame = 16 << 20

// Frame is one frame of a multiplexed stream: a header of eight bytes and a
// payload.
type Frame struct {
	Stream  byte
	Payload []byte
}

// ReadFrame reads a frame. io.EOF means that the stream ended on a border;
// io.ErrUnexpectedEOF, wrapped, that it ended inside a frame.
func ReadFrame(r io.Reader) (Frame, error) {
	var header [8]byte
	if n, err := io.ReadFull(r, header[:]); err != nil {
		if err == io.EOF {
			return Frame{}, io.EOF
		}
		return Frame{}, fmt.Errorf("the stream ends after %d of 8 bytes of a frame's header: %w", n, err)
	}
	if header[0] > Stderr || header[1]|header[2]|header[3] != 0 {
		return Frame{}, fmt.Errorf("% x is no header of a frame", header)
	}
	length := binary.BigEndian.Uint32(header[4:])
	if length > maxFrame {
		return Frame{}, fmt.Errorf("a frame announces %d bytes", length)
	}
	payload := make([]byte, length)
	if n, err := io.ReadFull(r, payload); err != nil {
		return Frame{}, fmt.Errorf("the stream ends after %d of %d bytes of a frame: %w", n, length, err)
	}
	return Frame{Stream: header[0], Payload: payload}, nil
}

// ReadFrames reads frames up to the end of the stream and joins the payloads of
// each stream.
func ReadFrames(r io.Reader) (stdout, stderr []byte, err error) {
	for {
		frame, err := ReadFrame(r)
		if err == io.EOF {
			return stdout, stderr, nil
		}
		if err != nil {
			return stdout, stderr, err
		}
		if frame.Stream == Stderr {
			stderr = append(stderr, frame.Payload...)
		} else {
			stdout = append(stdout, frame.Payload...)
		}
	}
}
