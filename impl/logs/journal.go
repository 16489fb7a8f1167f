package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Journal is a container's log in systemd's journal, as Docker's journald
// driver writes it: records with the field CONTAINER_ID_FULL, of priority 3 for
// the standard error and 6 for the standard output.
type Journal struct {
	// ID is the container's full id.
	ID string
	// Lock is a file on which the writer holds a flock(2) as long as it has
	// something to hand over. It holds the name of the newest run.
	Lock string
	// RunField and EndField are the fields in which the writer says which run
	// wrote a record, and how many bytes it had written to the same stream then.
	RunField, EndField string
	// Over says that the container does not run: all that the writer has is
	// waited for.
	Over bool
}

// writerPatience bounds the waiting for what an ended container's writer still
// has to hand over.
const writerPatience = 10 * time.Second

// ReadJournal yields the records of a log in the journal, as Read does. It runs
// journalctl(1), systemd's own reader. What the journal does not have yet of the
// records before Query.Until is waited for.
func ReadJournal(ctx context.Context, j Journal, q Query, yield func(Record) error) error {
	if _, err := exec.LookPath("journalctl"); err != nil {
		return fault.Unavailable("reading logs of the driver journald needs journalctl (package systemd): %w", err)
	}
	r := journalReader{j: j, q: q, yield: yield, base: []string{"--quiet", "--no-pager", "--all", "--output=json",
		"--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE," + j.RunField + "," + j.EndField, "CONTAINER_ID_FULL=" + j.ID}}
	from := r.from()
	if q.Until != nil {
		return r.until(ctx)
	}
	if q.Follow {
		began := time.Now()
		follow, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			select {
			case <-q.Done:
				settleJournal(follow, j.Lock)
				stop()
			case <-follow.Done():
			}
		}()
		args := append([]string{"--follow"}, from...)
		if q.Tail < 0 {
			args = append(args, "--no-tail")
		}
		if err := r.run(follow, args); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// Whatever journalctl had not shown when it was told to end.
		switch {
		case r.cursor != "":
			from = []string{"--after-cursor=" + r.cursor}
		case q.Tail == 0:
			from = []string{"--since=@" + strconv.FormatInt(began.Unix(), 10)}
			r.q.Since = began
		}
	} else {
		if q.Tail == 0 {
			return nil
		}
		if j.Over {
			settleJournal(ctx, j.Lock)
		} else {
			syncJournal(ctx)
		}
	}
	if err := r.run(ctx, from); err != nil {
		return err
	}
	return ctx.Err()
}

// errUntil ends the reading when all records before Query.Until were yielded.
var errUntil = errors.New("the end of what was asked for")

// until reads up to Query.Until: all of the runs before, and of the newest run what
// it had written by then.
func (r *journalReader) until(ctx context.Context) error {
	run, err := os.ReadFile(r.j.Lock)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	r.border = &border{run: string(run), left: map[string]int64{}}
	for i, stream := range []string{"stdout", "stderr"} {
		wanted := stream == "stdout" && r.q.Stdout || stream == "stderr" && r.q.Stderr
		if end := r.q.Until.Written[i]; end > 0 && wanted {
			r.border.left[stream] = end
		}
	}
	syncJournal(ctx)
	err = r.run(ctx, nil)
	if err == nil && len(r.border.left) > 0 {
		var after []string
		if r.cursor != "" {
			after = []string{"--after-cursor=" + r.cursor}
		}
		wait, cancel := context.WithTimeout(ctx, writerPatience)
		defer cancel()
		err = r.run(wait, append([]string{"--follow", "--no-tail"}, after...))
	}
	if errors.Is(err, errUntil) {
		return nil
	}
	return err
}

// border is a place in the output of a run.
type border struct {
	run string
	// left is, for each stream with records to come, how many bytes the run had
	// written to it. reached is set when the last of them is gone.
	left    map[string]int64
	reached bool
}

// cut leaves of a record of the run, which ended when the stream had end bytes,
// what is before the border.
func (b *border) cut(rec *Record, run string, end int64) (keep bool) {
	if run != b.run {
		return true
	}
	limit, more := b.left[rec.Stream]
	if !more {
		return false
	}
	if end >= limit {
		delete(b.left, rec.Stream)
		b.reached = len(b.left) == 0
		rec.Line = rec.Line[:max(0, int64(len(rec.Line))-(end-limit))]
	}
	return len(rec.Line) > 0
}

// settleJournal waits until the writer has handed over everything and the
// journal shows it.
func settleJournal(ctx context.Context, lock string) {
	if f, err := os.Open(lock); err == nil {
		defer f.Close()
		end := time.Now().Add(writerPatience)
		for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil && time.Now().Before(end) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	syncJournal(ctx)
}

func syncJournal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writerPatience)
	defer cancel()
	_ = exec.CommandContext(ctx, "journalctl", "--sync").Run()
}

// origin reads what the writer says of a record's origin; nothing, if it says it
// in another form.
func (r *journalReader) origin(line []byte) (run string, end int64) {
	var fields map[string]json.RawMessage
	var text string
	if json.Unmarshal(line, &fields) != nil || json.Unmarshal(fields[r.j.RunField], &run) != nil || json.Unmarshal(fields[r.j.EndField], &text) != nil {
		return "", 0
	}
	end, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", 0
	}
	return run, end
}

func (r *journalReader) reached() bool { return r.border != nil && r.border.reached }

type journalReader struct {
	j      Journal
	base   []string
	q      Query
	yield  func(Record) error
	cursor string // of the last record seen
	border *border
}

// from are the arguments that say where to begin.
func (r *journalReader) from() []string {
	var args []string
	if !r.q.Since.IsZero() {
		args = append(args, "--since=@"+strconv.FormatInt(r.q.Since.Unix(), 10))
	}
	if r.q.Tail >= 0 {
		args = append(args, "--lines="+strconv.Itoa(r.q.Tail))
	}
	return args
}

// run runs journalctl to its end. Being told to end by ctx is no error.
func (r *journalReader) run(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "journalctl", append(args, r.base...)...)
	// Its times are UTC and its messages English, whatever the daemon's are.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	err = r.records(bufio.NewReaderSize(out, 64<<10))
	if err != nil {
		_ = cmd.Process.Kill()
	}
	if werr := cmd.Wait(); err == nil && werr != nil && ctx.Err() == nil {
		err = fmt.Errorf("read the journal: %w: %s", werr, strings.TrimSpace(complaint.String()))
	}
	return err
}

// records reads journalctl's output. A record that is cut off is none.
func (r *journalReader) records(in *bufio.Reader) error {
	for {
		if at, _ := in.Peek(in.Buffered()); bytes.IndexByte(at, '\n') < 0 {
			if err := r.q.pause(); err != nil {
				return err
			}
		}
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		var e struct {
			Cursor   string          `json:"__CURSOR"`
			Time     string          `json:"__REALTIME_TIMESTAMP"` // microseconds since 1970
			Priority string          `json:"PRIORITY"`
			Partial  string          `json:"CONTAINER_PARTIAL_MESSAGE"`
			Message  json.RawMessage `json:"MESSAGE"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		r.cursor = e.Cursor
		micro, err := strconv.ParseInt(e.Time, 10, 64)
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		rec := Record{Time: time.UnixMicro(micro).UTC(), Stream: "stdout", Line: journalText(e.Message)}
		if e.Priority == "3" {
			rec.Stream = "stderr"
		}
		if e.Partial != "true" {
			rec.Line = append(rec.Line, '\n')
		}
		keep := true
		if r.border != nil {
			run, end := r.origin(line)
			keep = r.border.cut(&rec, run, end)
		}
		if !keep || rec.Time.Before(r.q.Since) || rec.Stream == "stdout" && !r.q.Stdout || rec.Stream == "stderr" && !r.q.Stderr {
			rec.Line = nil
		}
		if rec.Line != nil {
			if err := r.yield(rec); err != nil {
				return err
			}
		}
		if r.reached() {
			if err := r.q.pause(); err != nil {
				return err
			}
			return errUntil
		}
	}
}

// journalText reads a field: a string, or a list of bytes if it is not UTF-8 or
// holds control characters.
func journalText(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	var numbers []uint8Number
	if json.Unmarshal(raw, &numbers) != nil {
		return nil
	}
	b := make([]byte, len(numbers))
	for i, n := range numbers {
		b[i] = byte(n)
	}
	return b
}

// uint8Number is not a byte for encoding/json, which takes a list of bytes for
// base64.
type uint8Number uint16
