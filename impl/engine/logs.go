package engine

import (
	"context"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/logs"
	"github.com/seed-50ced230/berth/impl/runtime/forward"
	"github.com/seed-50ced230/berth/impl/stream"
)

// ContainerLogs serves GET /containers/(id or name)/logs.
func (e *Engine) ContainerLogs(ctx context.Context, p *hub.ContainerLogsParams, out stream.Output) error {
	if !p.Stdout && !p.Stderr {
		return fault.Invalid("Bad parameters: you must choose at least one stream")
	}
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	since, err := parseTime(p.Since)
	if err != nil {
		return fault.Invalid("since: %w", err)
	}
	r := c.Record()
	read, err := e.logReader(r)
	if err != nil {
		return err
	}
	out.SetContentType(stream.RawStream)
	if err := out.Begin(); err != nil {
		return err
	}
	q := logs.Query{Stdout: p.Stdout, Stderr: p.Stderr, Since: since, Tail: parseTail(p.Tail)}
	if p.Follow && r.State.Active() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = c.Await(ctx, func(r *container.Record) bool { return !r.State.Active() && !r.Renewed })
		}()
		q.Follow, q.Done = true, done
	}
	w := newRecordWriter(out, r.Config.Tty, p.Timestamps)
	q.Pause = w.flush
	return read(ctx, q, w.write)
}

// logReader reads a container's log, if its driver can be read.
func (e *Engine) logReader(r *container.Record) (func(context.Context, logs.Query, func(logs.Record) error) error, error) {
	switch r.HostConfig.LogConfig.Type {
	case "json-file":
		return func(ctx context.Context, q logs.Query, yield func(logs.Record) error) error {
			return e.Logs.Read(ctx, e.logPath(r), q, yield)
		}, nil
	case forward.Journald:
		return func(ctx context.Context, q logs.Query, yield func(logs.Record) error) error {
			return logs.ReadJournal(ctx, logs.Journal{
				ID: r.ID, Lock: e.logLock(r.ID), RunField: forward.FieldRun, EndField: forward.FieldEnd, Over: !r.State.Active(),
			}, q, yield)
		}, nil
	}
	return nil, fault.Invalid("configured logging reader does not support reading: the log driver is %s", r.HostConfig.LogConfig.Type)
}

// parseTail reads the parameter tail: a number, or all for everything else.
func parseTail(s string) int {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return n
	}
	return -1
}

// parseTime reads a UNIX time in seconds with an optional fraction of up to
// nanoseconds ("1456789.000000001"). Empty and 0 are the zero time.
func parseTime(s string) (time.Time, error) {
	if s == "" || s == "0" {
		return time.Time{}, nil
	}
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, fault.Invalid("%q is no UNIX time", s)
	}
	var nano int64
	if fraction != "" {
		digits := (fraction + "000000000")[:9]
		if nano, err = strconv.ParseInt(digits, 10, 64); err != nil || nano < 0 {
			return time.Time{}, fault.Invalid("%q is no UNIX time", s)
		}
	}
	if sec < math.MinInt32 || sec > 1<<40 {
		return time.Time{}, fault.Invalid("%q is no UNIX time", s)
	}
	return time.Unix(sec, nano), nil
}

// recordWriter writes log records as the API sends them: raw for a terminal,
// framed otherwise, with the time in front if asked for. It gathers them until
// there is enough for a packet, or flush is called.
type recordWriter struct {
	w          io.Writer
	raw, times bool
	buf        []byte // to be sent
	text       []byte
}

// packet is how much is gathered, bytes.
const packet = 32 << 10

func newRecordWriter(w io.Writer, raw, times bool) *recordWriter {
	return &recordWriter{w: w, raw: raw, times: times}
}

// timestampLayout is RFC 3339 with all nine digits, so that lines align.
const timestampLayout = "2006-01-02T15:04:05.000000000Z07:00"

func (w *recordWriter) write(r logs.Record) error {
	text := r.Line
	if w.times {
		w.text = append(r.Time.AppendFormat(w.text[:0], timestampLayout), ' ')
		w.text = append(w.text, text...)
		text = w.text
	}
	if w.raw {
		w.buf = append(w.buf, text...)
	} else {
		channel := stream.Stdout
		if r.Stream == "stderr" {
			channel = stream.Stderr
		}
		w.buf = stream.AppendFrame(w.buf, channel, text)
	}
	if len(w.buf) < packet {
		return nil
	}
	return w.flush()
}

// flush sends what was gathered.
func (w *recordWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.w.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}
