// Package logs reads container logs in Docker's json-file format: one JSON
// object per line with the members "log" (the text, with its line feed unless
// the line goes on in the next record), "stream" (stdout or stderr) and "time"
// (RFC 3339 with nanoseconds), in a file that is rotated to <path>.1, <path>.2,
// … (the highest number is the oldest).
//
// The writer is another process (the container's shim). Readers need nothing
// from it but the files, so logs can be read while the daemon that started the
// container is long gone.
package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Record is one entry of a log.
type Record struct {
	// Time is when the writer took the text over.
	Time time.Time
	// Stream is "stdout" or "stderr".
	Stream string
	// Line is the text; it ends with a line feed unless the line was longer than
	// the writer's buffer (16 KiB) or the stream ended without one. It is valid
	// until the function that got the record returns.
	Line []byte
}

// maxLine bounds the memory for one encoded record. The writer splits lines at
// 16 KiB; JSON's escapes make at most six bytes of one.
const maxLine = 1 << 20

// file is one open segment of a log and a place in it.
type file struct {
	*os.File
	info   os.FileInfo
	offset int64  // of the next byte to read into buf
	buf    []byte // read but not yet returned
	skip   bool   // the line under way is longer than maxLine
}

func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{File: f, info: info}, nil
}

// position is the offset of the next record.
func (f *file) position() int64 { return f.offset - int64(len(f.buf)) }

// next returns the next complete line without its line feed, or io.EOF when
// there is none yet. The slice is valid until the next call.
func (f *file) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(f.buf, '\n'); i >= 0 {
			line := f.buf[:i]
			f.buf = f.buf[i+1:]
			if f.skip {
				f.skip = false
				continue
			}
			return line, nil
		}
		if len(f.buf) > maxLine {
			f.buf, f.skip = nil, true
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

func (f *file) fill() error {
	chunk := make([]byte, len(f.buf)+64<<10)
	n := copy(chunk, f.buf)
	m, err := f.ReadAt(chunk[n:], f.offset)
	f.offset += int64(m)
	f.buf = chunk[:n+m]
	if m > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read log: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.Size() < f.offset {
		// The writer cut the file to begin anew (max-file 1).
		f.offset, f.buf = 0, nil
		return f.fill()
	}
	return io.EOF
}

// lastLines finds the offset at which the last n lines of f begin and how many
// lines that is (fewer than n when the file is shorter). A last line without
// line feed does not count: it is still being written.
func lastLines(f *file, n int) (offset int64, lines int, err error) {
	size := f.info.Size()
	end := int64(-1) // offset behind the last line feed
	block := make([]byte, 64<<10)
	for pos := size; pos > 0; {
		from := max(0, pos-int64(len(block)))
		b := block[:pos-from]
		if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, fmt.Errorf("read log: %w", err)
		}
		for i := len(b) - 1; i >= 0; i-- {
			if b[i] != '\n' {
				continue
			}
			at := from + int64(i) + 1
			if end < 0 {
				end = at
				if n == 0 {
					return end, 0, nil
				}
				continue
			}
			if lines++; lines == n {
				return at, lines, nil
			}
		}
		pos = from
	}
	if end < 0 {
		return 0, 0, nil
	}
	return 0, lines + 1, nil
}
