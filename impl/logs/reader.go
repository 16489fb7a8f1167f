package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Query selects records.
type Query struct {
	// Stdout and Stderr select the streams.
	Stdout, Stderr bool
	// Since drops older records; zero keeps all.
	Since time.Time
	// Tail is the number of newest records to begin with (of both streams, as
	// Docker Engine counts); negative means all.
	Tail int
	// Follow waits for further records until Done is closed and everything
	// written before has been yielded.
	Follow bool
	// Done is closed when nothing more will be written. Used with Follow only.
	Done <-chan struct{}
	// Pause, if there is one, is called when all that is there has been yielded:
	// before waiting for more, and at the end. A receiver that gathers records sends
	// them on then. Its error ends the reading.
	Pause func() error
	// Until stops at a place in the log: what was written up to there is
	// yielded, nothing behind it. Nil means the end.
	Until *Position
}

// Position is a place between two records of a log.
type Position struct {
	// Inode is the segment's inode number, 0 for an empty log.
	Inode uint64
	// Offset in bytes from the segment's beginning.
	Offset int64
	// Written are the bytes of whole lines that the present run had written to
	// its standard output and error; a log that has no file goes by them.
	Written [2]int64
}

func (q *Query) pause() error {
	if q.Pause == nil {
		return nil
	}
	return q.Pause()
}

// Reader reads logs. One Reader serves all logs of a daemon.
type Reader struct {
	watcher *watcher
}

// NewReader makes a Reader; Close it to stop all that follow.
func NewReader() (*Reader, error) {
	w, err := newWatcher()
	if err != nil {
		return nil, err
	}
	return &Reader{watcher: w}, nil
}

// Close releases the kernel's watches.
func (r *Reader) Close() error { return r.watcher.close() }

// Read yields the records of the log at path in the order of writing. A log
// that does not exist has no records. Lines that are no records (a writer died
// in the middle of one) are passed over. It ends with the error of yield or of
// ctx, or with nil when there is nothing more to come.
func (r *Reader) Read(ctx context.Context, path string, q Query, yield func(Record) error) error {
	var wake <-chan struct{}
	if q.Follow {
		// The watch begins before the first look, so that nothing written
		// between the two is waited for in vain.
		sub, err := r.watcher.subscribe(filepath.Dir(path))
		if err != nil {
			return err
		}
		defer sub.close()
		wake = sub.wake
	}
	f, err := first(path, q.Tail)
	if err != nil {
		return err
	}
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	// Notification is a hint: the kernel may drop it when its queue is full.
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	last := !q.Follow
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err = catchUp(f, path, q, yield)
		reached := errors.Is(err, errReached)
		if err != nil && !reached {
			return err
		}
		if err := q.pause(); err != nil || last || reached {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.Done:
			last = true
		case <-wake:
		case <-ticker.C:
		}
	}
}

var errReached = errors.New("reached the end of the query")

// first opens the segment in which the last tail records begin and puts the
// file at the first of them. It returns nil when there is no log yet.
func first(path string, tail int) (*file, error) {
	return settled(path, func(segments []segment) (*file, error) {
		if len(segments) == 0 {
			return nil, nil
		}
		if tail < 0 {
			return openSegment(segments[0].path)
		}
		left := tail
		for i := len(segments) - 1; ; i-- {
			f, err := openSegment(segments[i].path)
			if err != nil {
				return nil, err
			}
			offset, lines, err := lastLines(f, left)
			if err != nil {
				f.Close()
				return nil, err
			}
			if left -= lines; left <= 0 || i == 0 {
				f.offset = offset
				return f, nil
			}
			f.Close()
		}
	})
}

func openSegment(path string) (*file, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	return f, nil
}

// catchUp yields all there is from f on, going from segment to segment, and
// returns the newest one. The given file is closed when another is returned.
func catchUp(f *file, path string, q Query, yield func(Record) error) (*file, error) {
	if f == nil {
		var err error
		if f, err = openFile(path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return nil, fmt.Errorf("read log: %w", err)
		}
	}
	for {
		if err := drain(f, q, yield); err != nil {
			return f, err
		}
		next, err := successor(f, path)
		if err != nil || next == nil {
			return f, err
		}
		// What was written to f between the last look and its rotation.
		if err := drain(f, q, yield); err != nil {
			next.Close()
			return f, err
		}
		f.Close()
		f = next
	}
}

// drain yields the complete records that f has now.
func drain(f *file, q Query, yield func(Record) error) error {
	until := int64(-1)
	if q.Until != nil && inode(f.info) == q.Until.Inode {
		until = q.Until.Offset
	}
	for {
		if until >= 0 && f.position() >= until {
			return errReached
		}
		line, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		rec, ok := decode(line)
		if !ok || rec.Time.Before(q.Since) {
			continue
		}
		if rec.Stream == "stderr" && !q.Stderr || rec.Stream == "stdout" && !q.Stdout {
			continue
		}
		if err := yield(rec); err != nil {
			return err
		}
	}
}

// successor opens the segment that follows f, or returns nil when f is the
// newest. A segment that was rotated away altogether is followed by the oldest
// that is left.
func successor(f *file, path string) (*file, error) {
	if info, err := os.Stat(path); err == nil && os.SameFile(info, f.info) {
		return nil, nil // the common case, without a look at the directory
	}
	return settled(path, func(segments []segment) (*file, error) {
		next := 0
		for i, s := range segments {
			if os.SameFile(s.info, f.info) {
				next = i + 1
			}
		}
		if next == len(segments) {
			return nil, nil // the newest was just renamed, or the log was removed
		}
		return openSegment(segments[next].path)
	})
}
