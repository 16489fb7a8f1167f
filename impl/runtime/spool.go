package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// spoolMemory is what a spool keeps in memory before it begins a file.
const spoolMemory = 256 << 10

// spoolFree is how much has to be read before its space is given back.
const spoolFree = 16 << 20

// spool is a queue of bytes that does not block its writer: what does not fit
// in a little memory goes to a file without a name.
type spool struct {
	dir string
	max int64

	mu       sync.Mutex
	changed  sync.Cond
	mem      []byte // the oldest bytes, from memStart
	memStart int
	file     *os.File // the younger bytes, from readAt to writeAt
	readAt   int64
	writeAt  int64
	freed    int64 // below it the file's space was given back
	err      error // what reading gives at the end
	closed   bool
}

var errSpoolFull = errors.New("too much unread output")

func newSpool(dir string, max int64) *spool {
	s := &spool{dir: dir, max: max}
	s.changed.L = &s.mu
	return s
}

func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, os.ErrClosed
	}
	defer s.changed.Broadcast()
	if s.writeAt == s.readAt && len(s.mem)-s.memStart+len(p) <= spoolMemory {
		if s.memStart > 0 && len(s.mem)+len(p) > cap(s.mem) {
			s.mem = append(s.mem[:0], s.mem[s.memStart:]...)
			s.memStart = 0
		}
		s.mem = append(s.mem, p...)
		return len(p), nil
	}
	if s.writeAt-s.readAt+int64(len(p)) > s.max {
		return 0, errSpoolFull
	}
	if s.file == nil {
		f, err := unnamedFile(s.dir)
		if err != nil {
			return 0, err
		}
		s.file = f
	}
	n, err := s.file.WriteAt(p, s.writeAt)
	s.writeAt += int64(n)
	return n, err
}

func (s *spool) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, os.ErrClosed
		case s.memStart < len(s.mem):
			n := copy(p, s.mem[s.memStart:])
			s.memStart += n
			if s.memStart == len(s.mem) {
				s.mem, s.memStart = s.mem[:0], 0
			}
			return n, nil
		case s.readAt < s.writeAt:
			return s.readFile(p)
		case s.err != nil:
			return 0, s.err
		}
		s.changed.Wait()
	}
}

// readFile gives the file's space back: all when it has been read to its end,
// and in pieces for a client that never quite catches up.
func (s *spool) readFile(p []byte) (int, error) {
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.writeAt-s.readAt)], s.readAt)
	s.readAt += int64(n)
	if n == 0 && err != nil {
		return 0, fmt.Errorf("read the spool: %w", err)
	}
	if s.readAt == s.writeAt {
		s.readAt, s.writeAt, s.freed = 0, 0, 0
		_ = s.file.Truncate(0)
	} else if s.readAt-s.freed >= spoolFree {
		_ = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, s.freed, s.readAt-s.freed)
		s.freed = s.readAt
	}
	return n, nil
}

// end says what comes after the last byte.
func (s *spool) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.changed.Broadcast()
}

func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.mem = nil
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
	s.changed.Broadcast()
}

// unnamedFile makes a file that is gone when it is closed.
func unnamedFile(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o600)
	if err == nil {
		return f, nil
	}
	f, err = os.CreateTemp(dir, ".spool-")
	if err != nil {
		return nil, fmt.Errorf("make a spool: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make a spool: %w", err)
	}
	return f, nil
}

var _ io.Writer = (*spool)(nil)
