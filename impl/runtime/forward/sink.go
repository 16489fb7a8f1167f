package forward

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/RackSec/srslog"
	"github.com/coreos/go-systemd/v22/journal"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// record is one line of output, or a piece of a line that is too long.
type record struct {
	stream byte // protocol.StreamStdout or StreamStderr
	text   string
	// partial says that the line goes on.
	partial bool
	// end is how much the run had written to the stream with the end of this
	// record, bytes.
	end int64
	// at is when its end was written; zero: not known.
	at time.Time
}

// sink takes records. An error may pass: the record can be given again.
type sink func(record) error

// open connects to the log.
func open(o *Order) (sink, error) {
	if o.Driver == Journald {
		return openJournal(o)
	}
	return openSyslog(o)
}

// Fields of a record in the journal beside those of Docker's driver: which run
// of the container wrote it, and how many bytes that run had written to the same
// stream with its end. They tell where a log ends that goes on in a live stream.
const (
	FieldRun = "BERTH_RUN"
	FieldEnd = "BERTH_END"
)

func openJournal(o *Order) (sink, error) {
	if !journal.Enabled() {
		return nil, errors.New("journald is not enabled on this host")
	}
	fields := map[string]string{
		"CONTAINER_ID":      o.ID[:min(12, len(o.ID))],
		"CONTAINER_ID_FULL": o.ID,
		"CONTAINER_NAME":    o.Name,
		"CONTAINER_TAG":     o.Tag,
	}
	for name, value := range o.Fields {
		if name := fieldName(name); name != "" {
			fields[name] = value
		}
	}
	fields[FieldRun] = o.Run
	return func(r record) error {
		priority := journal.PriInfo
		if r.stream == protocol.StreamStderr {
			priority = journal.PriErr
		}
		fields[FieldEnd] = strconv.FormatInt(r.end, 10)
		delete(fields, "CONTAINER_PARTIAL_MESSAGE")
		if r.partial {
			fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
		}
		return journal.Send(r.text, priority, fields)
	}, nil
}

// fieldName makes a name that the journal accepts: capital letters, digits and
// underscores, not beginning with an underscore (systemd.journal-fields(7)).
func fieldName(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return c
		}
		return '_'
	}, s)
	return strings.TrimLeft(s, "_")
}

// dialPatience bounds the connecting to a syslog server, writePatience each
// write to it.
const (
	dialPatience  = 10 * time.Second
	writePatience = time.Minute
)

func openSyslog(o *Order) (sink, error) {
	network, addr, err := address(o.Options["syslog-address"])
	if err != nil {
		return nil, err
	}
	facility, err := facility(o.Options["syslog-facility"])
	if err != nil {
		return nil, err
	}
	at := time.Now()
	formatter, framer, err := format(o.Options["syslog-format"], network, &at)
	if err != nil {
		return nil, err
	}
	var w *srslog.Writer
	if network == "" {
		w, err = srslog.New(facility, o.Tag)
	} else {
		var dial srslog.DialFunc
		if dial, err = dialer(network, o.Options); err != nil {
			return nil, err
		}
		w, err = srslog.DialWithCustomDialer("custom", addr, facility, o.Tag, dial)
	}
	if err != nil {
		return nil, err
	}
	w.SetFormatter(formatter)
	w.SetFramer(framer)
	if host, err := os.Hostname(); err == nil {
		w.SetHostname(host)
	}
	return func(r record) error {
		// A message that waited has the time of its line, not of its sending.
		if at = r.at; at.IsZero() {
			at = time.Now()
		}
		if r.stream == protocol.StreamStderr {
			return w.Err(r.text)
		}
		return w.Info(r.text)
	}, nil
}

func dialer(network string, o map[string]string) (srslog.DialFunc, error) {
	d := &net.Dialer{Timeout: dialPatience}
	dial := d.Dial
	if network == "tcp+tls" {
		config, err := tlsConfig(o)
		if err != nil {
			return nil, fmt.Errorf("syslog over TLS: %w", err)
		}
		network = "tcp"
		dial = func(network, addr string) (net.Conn, error) { return tls.DialWithDialer(d, network, addr, config) }
	}
	return func(_, addr string) (net.Conn, error) {
		conn, err := dial(network, addr)
		if err != nil {
			return nil, err
		}
		return impatient{conn}, nil
	}, nil
}

// impatient gives up a write that takes too long: the connection is made anew.
type impatient struct{ net.Conn }

func (c impatient) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
