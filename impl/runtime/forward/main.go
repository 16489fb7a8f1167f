package forward

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// Main is the program berth-logger. It returns the program's exit status.
func Main() int {
	// The container's log must not end because somebody stops the daemon's
	// whole service; SIGPIPE comes when the daemon's standard error is gone.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE)
	debug.SetGCPercent(20) // one of these per container: rather time than memory
	for fd := fdOrder; fd <= fdLock; fd++ {
		unix.CloseOnExec(fd)
	}
	report := os.NewFile(fdReport, "report")
	var order Order
	err := json.NewDecoder(os.NewFile(fdOrder, "order")).Decode(&order)
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth-logger is started by berthd")
		return 2
	}
	to, err := open(&order)
	if err != nil {
		fmt.Fprint(report, err)
		return 1
	}
	fmt.Fprintln(report, "ok")
	_ = report.Close()
	f := forwarder{to: to, order: &order}
	err = split(os.NewFile(fdStream, "stream"), f.take)
	f.complain()
	if err != nil {
		fmt.Fprintf(os.Stderr, "berth-logger: container %s: %v\n", order.ID, err)
		return 1
	}
	return 0
}

// Times of a log that does not take records.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
	giveUp     = 30 * time.Second
)

// forwarder gives records to a sink. When the sink fails, it is tried again for
// a while, with the output waiting in the monitor's files; then records are lost
// until it takes one again, so that a log that is away for days fills no disk.
type forwarder struct {
	to    sink
	order *Order

	lost    int
	cause   error
	nextTry time.Time
}

func (f *forwarder) take(r record) {
	if f.lost > 0 && time.Now().Before(f.nextTry) {
		f.lost++
		return
	}
	end := time.Now().Add(giveUp)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f.to(r)
		if err == nil {
			f.complain()
			return
		}
		if f.lost > 0 || time.Now().After(end) {
			f.lost++
			f.cause, f.nextTry = err, time.Now().Add(lastPause)
			return
		}
		time.Sleep(pause)
	}
}

func (f *forwarder) complain() {
	if f.lost > 0 {
		fmt.Fprintf(os.Stderr, "berth-logger: container %s: %d lines are not in the log (%s): %v\n", f.order.ID, f.lost, f.order.Driver, f.cause)
		f.lost = 0
	}
}

// lineMax is where a long line is cut, as the file driver does.
const lineMax = 16384

// split reads a monitor's frames and gives their lines to take, without line
// feeds, until the end of all output.
func split(stream io.Reader, take func(record)) error {
	if _, err := protocol.ReadAttachReply(stream); err != nil {
		return fmt.Errorf("the container was not started: %w", err)
	}
	in := bufio.NewReaderSize(stream, 32<<10)
	var rest [3][]byte // unfinished lines
	var end [3]int64   // bytes taken
	var at time.Time
	give := func(r record, n int) {
		r.at = at
		end[r.stream] += int64(n)
		r.end = end[r.stream]
		take(r)
	}
	buf := make([]byte, lineMax)
	for {
		var head [protocol.FrameHeader]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return fmt.Errorf("lost the container's output: %w", err)
		}
		kind := head[0]
		if kind == protocol.StreamEnd {
			for _, kind := range []byte{protocol.StreamStdout, protocol.StreamStderr} {
				if len(rest[kind]) > 0 {
					give(record{stream: kind, text: string(rest[kind])}, len(rest[kind]))
				}
			}
			return nil
		}
		if kind == protocol.StreamTime {
			var err error
			if at, err = protocol.ReadTime(in); err != nil {
				return fmt.Errorf("lost the container's output: %w", err)
			}
			continue
		}
		if kind > protocol.StreamStderr {
			return errors.New("lost the container's output: not a frame")
		}
		for left := int(binary.BigEndian.Uint32(head[4:])); left > 0; {
			n, err := io.ReadFull(in, buf[:min(left, len(buf))])
			left -= n
			rest[kind] = lines(append(rest[kind], buf[:n]...), kind, give)
			if err != nil {
				return fmt.Errorf("lost the container's output: %w", err)
			}
		}
	}
}

// lines takes the lines out of b, each with the bytes that it took, and returns
// what is left, less than lineMax.
func lines(b []byte, kind byte, give func(r record, bytes int)) []byte {
	for {
		i := bytes.IndexByte(b[:min(len(b), lineMax+1)], '\n')
		switch {
		case i >= 0:
			give(record{stream: kind, text: string(b[:i])}, i+1)
			b = b[i+1:]
		case len(b) > lineMax:
			n := lineMax
			for n > lineMax-utf8.UTFMax && !utf8.RuneStart(b[n]) {
				n--
			}
			give(record{stream: kind, text: string(b[:n]), partial: true}, n)
			b = b[n:]
		default:
			return b
		}
	}
}
