package events

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// keep is how many events a Log remembers at least, in memory and on disk.
const keep = 10000

// Log is the sequence of events of one daemon. Its methods may be called from
// any goroutine. Close it when the daemon ends.
type Log struct {
	dir     string
	onError func(error)

	mu      sync.Mutex
	events  []Event       // the newest events, at most 2*keep, oldest first
	first   uint64        // sequence number of events[0]
	changed chan struct{} // closed and replaced at every Publish
	last    time.Time
	file    *os.File
	lines   int // lines in file
	closed  bool
	readers int
}

// Open reads the history kept in dir (made if missing) and continues it.
// onError hears of a history that could not be read and of events that could not
// be written to disk; they are still delivered to readers.
func Open(dir string, onError func(error)) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open event history: %w", err)
	}
	l := &Log{dir: dir, onError: onError, changed: make(chan struct{})}
	for _, name := range []string{"events.1.jsonl", "events.jsonl"} {
		events, err := load(filepath.Join(dir, name))
		if err != nil {
			onError(fmt.Errorf("read event history: a part is missing: %w", err))
		}
		l.events = append(l.events, events...)
		l.lines = len(events)
	}
	if n := len(l.events); n > 0 {
		l.last = l.events[n-1].Time
	}
	if err := l.openFile(); err != nil {
		onError(fmt.Errorf("events are kept in memory only: %w", err))
	}
	return l, nil
}

// lastYear is the last one that events can be written of (RFC 3339).
const lastYear = 9999

// load reads one segment. A torn last line (the daemon died while writing it)
// and lines that do not parse are left out, and times after which none could be
// written.
func load(path string) ([]Event, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var events []Event
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 64<<10), 16<<20)
	for s.Scan() {
		var e Event
		if json.Unmarshal(s.Bytes(), &e) == nil && !e.Time.IsZero() && e.Time.UTC().Year() < lastYear {
			events = append(events, e)
		}
	}
	return events, s.Err()
}

func (l *Log) openFile() error {
	path := filepath.Join(l.dir, "events.jsonl")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open event history: %w", err)
	}
	// A torn last line must not swallow the next event.
	if end, err := f.Seek(0, 2); err == nil && end > 0 {
		var b [1]byte
		if _, err := f.ReadAt(b[:], end-1); err == nil && b[0] != '\n' {
			_, _ = f.Write([]byte{'\n'})
		}
	}
	l.file = f
	return nil
}

// Publish adds an event with the present time and returns it as recorded. The
// line is handed to the kernel before Publish returns, so that it survives the
// end of this process.
func (l *Log) Publish(e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UTC()
	if !now.After(l.last) {
		now = l.last.Add(1)
	}
	l.last, e.Time = now, now
	l.events = append(l.events, e)
	if len(l.events) >= 2*keep {
		drop := len(l.events) - keep
		l.first += uint64(drop)
		l.events = append([]Event(nil), l.events[drop:]...)
	}
	l.write(e)
	close(l.changed)
	l.changed = make(chan struct{})
	return e
}

// write appends e to the segment and begins a new one when it is full. Called
// with mu held: the order on disk is the order of the sequence, and one append
// to the page cache is shorter than a hand-over to another goroutine.
func (l *Log) write(e Event) {
	if l.file == nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		l.onError(fmt.Errorf("write event history: %w", err))
		return
	}
	if l.lines++; l.lines < keep {
		return
	}
	path := filepath.Join(l.dir, "events.jsonl")
	if err := os.Rename(path, filepath.Join(l.dir, "events.1.jsonl")); err != nil {
		l.onError(fmt.Errorf("rotate event history: %w", err))
		return
	}
	l.file.Close()
	l.lines = 0
	if err := l.openFile(); err != nil {
		l.file = nil
		l.onError(err)
	}
}

// Close flushes the history and ends all readers.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.changed)
	if l.file == nil {
		return nil
	}
	return errors.Join(l.file.Sync(), l.file.Close())
}

// Readers is the number of Read calls under way.
func (l *Log) Readers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.readers
}

// ErrOverrun says that a reader was so slow that events it had not seen were
// dropped from memory; it should come back with `since`.
var ErrOverrun = errors.New("event reader fell behind the history")

// Span is the part of the sequence that a reader wants. A zero Since means from
// now on; a zero Until means without end. Both bounds are inclusive.
type Span struct {
	Since, Until time.Time
}

// Read calls yield for each event of the span in order, those of the past
// first, and then waits for new ones until Until has passed, ctx is done, the
// log is closed or yield fails. It returns nil when the span or the log ended.
func (l *Log) Read(ctx context.Context, span Span, yield func(Event) error) error {
	l.mu.Lock()
	next := l.first + uint64(len(l.events))
	if !span.Since.IsZero() {
		next = l.first
	}
	l.readers++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.readers--
		l.mu.Unlock()
	}()

	var timer *time.Timer
	var end <-chan time.Time
	if !span.Until.IsZero() {
		timer = time.NewTimer(max(0, time.Until(span.Until)))
		defer timer.Stop()
		end = timer.C
	}
	for {
		batch, changed, err := l.take(next)
		if err != nil {
			return err
		}
		for _, e := range batch {
			next++
			if e.Time.Before(span.Since) {
				continue
			}
			if !span.Until.IsZero() && e.Time.After(span.Until) {
				return nil
			}
			if err := yield(e); err != nil {
				return err
			}
		}
		if len(batch) > 0 {
			continue
		}
		if changed == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			if !time.Now().Before(span.Until) {
				return l.drain(next, span, yield)
			}
			timer.Reset(time.Until(span.Until)) // the clock was set back
		case <-changed:
		}
	}
}

// drain yields what came in before the span ended but after the last look.
func (l *Log) drain(next uint64, span Span, yield func(Event) error) error {
	batch, _, err := l.take(next)
	if err != nil {
		return err
	}
	for _, e := range batch {
		if e.Time.After(span.Until) {
			return nil
		}
		if e.Time.Before(span.Since) {
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// take returns the events from sequence number next on (a bounded number, as a
// copy) and the channel that is closed at the next change; the channel is nil
// when the log is closed.
func (l *Log) take(next uint64) ([]Event, <-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next < l.first {
		return nil, nil, ErrOverrun
	}
	from := int(next - l.first)
	to := min(len(l.events), from+256)
	batch := append([]Event(nil), l.events[from:to]...)
	if l.closed {
		return batch, nil, nil
	}
	return batch, l.changed, nil
}
