package wire

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxKept bounds the bytes that an exchange keeps of each direction.
const maxKept = 8 << 10

// Exchange is what went over one connection.
type Exchange struct {
	Method  string
	Target  string
	Started time.Time
	// Status is 0 if no answer came.
	Status         int
	ResponseHeader http.Header

	header http.Header
	body   []byte

	mu     sync.Mutex
	pieces []Piece
	kept   map[string]int
}

// Piece is what one read or write carried.
type Piece struct {
	// AfterMillis is the time since the connection was asked for.
	AfterMillis float64 `json:"after_ms"`
	// From is "client", "server" or "note".
	From string `json:"from"`
	// Text is the bytes, made printable; see Printable.
	Text string `json:"text"`
	// Bytes is how many there were, also where Text was cut.
	Bytes int `json:"bytes"`
	// Reads is how many reads or writes this stands for, if it is more than one:
	// after the bound nothing of them is kept, and they are counted together.
	Reads int `json:"reads,omitempty"`
}

// NewExchange makes an exchange of a request that was not sent yet.
func NewExchange(method, target string, header http.Header, body []byte) *Exchange {
	return &Exchange{Method: method, Target: target, Started: time.Now(), header: header, body: body}
}

// RequestHeader is what the client sent, without the headers that are made up
// for every request. It must not be changed.
func (e *Exchange) RequestHeader() http.Header { return e.header }

// beginning is a body, or its first bytes if it is an archive: a run would keep
// hundreds of them.
func beginning(body []byte) []byte {
	const most = 64 << 10
	if len(body) <= most {
		return body
	}
	return append([]byte(nil), body[:most]...)
}

// RequestBody is the request's body, or its beginning if it is long. It must not
// be changed.
func (e *Exchange) RequestBody() []byte { return e.body }

// Pieces returns what was sent and received so far.
func (e *Exchange) Pieces() []Piece {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Piece(nil), e.pieces...)
}

func (e *Exchange) add(from string, data []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept == nil {
		e.kept = map[string]int{}
	}
	room := max(maxKept-e.kept[from], 0)
	if last := len(e.pieces) - 1; room == 0 && last >= 0 && e.pieces[last].From == from && e.pieces[last].Reads > 0 {
		piece := &e.pieces[last]
		piece.Bytes += len(data)
		piece.Reads++
		piece.Text = fmt.Sprintf("… %d more bytes", piece.Bytes)
		return
	}
	shown := data[:min(len(data), room)]
	e.kept[from] += len(shown)
	text, reads := Printable(shown), 0
	if room == 0 {
		text, reads = fmt.Sprintf("… %d more bytes", len(data)), 1
	} else if len(shown) < len(data) {
		text += fmt.Sprintf(" … %d more bytes", len(data)-len(shown))
	}
	after := float64(time.Since(e.Started).Microseconds()) / 1000
	e.pieces = append(e.pieces, Piece{AfterMillis: after, From: from, Text: text, Bytes: len(data), Reads: reads})
}

func (e *Exchange) note(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	after := float64(time.Since(e.Started).Microseconds()) / 1000
	e.pieces = append(e.pieces, Piece{AfterMillis: after, From: "note", Text: text})
}

// Printable shows bytes as text: UTF-8 as it is, anything else as \xNN.
// Credentials in X-Registry-Auth and X-Registry-Config are left out.
func Printable(data []byte) string {
	var text strings.Builder
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			fmt.Fprintf(&text, `\x%02x`, data[0])
			size = 1
		case r == '\r':
		default:
			text.WriteRune(r)
		}
		data = data[size:]
	}
	return redact(text.String())
}

func redact(text string) string {
	if !strings.Contains(text, "X-Registry-") {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		name, _, found := strings.Cut(line, ":")
		if found && (name == "X-Registry-Auth" || name == "X-Registry-Config") {
			lines[i] = name + ": (left out)"
		}
	}
	return strings.Join(lines, "\n")
}

// Curl is a command line that sends the same request. A body that is no text is
// named instead of shown.
func (e *Exchange) Curl(endpoint Endpoint) string {
	var line strings.Builder
	line.WriteString("curl -i")
	switch e.Method {
	case http.MethodGet:
	case http.MethodHead:
		line.WriteString(" -I")
	default:
		line.WriteString(" -X " + e.Method)
	}
	for _, name := range []string{"Content-Type", "Connection", "Upgrade"} {
		if value := e.header.Get(name); value != "" {
			line.WriteString(" -H " + quote(name+": "+value))
		}
	}
	switch {
	case len(e.body) == 0:
	case utf8.Valid(e.body) && len(e.body) < 8<<10:
		line.WriteString(" -d " + quote(string(e.body)))
	default:
		line.WriteString(" --data-binary @body")
	}
	base := "http://docker"
	if endpoint.network == "unix" {
		line.WriteString(" --unix-socket " + quote(endpoint.address))
	} else {
		scheme := "http://"
		if endpoint.tls != nil {
			scheme = "https://"
		}
		base = scheme + endpoint.address
	}
	return line.String() + " " + quote(base+e.Target)
}

// quote makes one word of a POSIX shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// recordedConn keeps what passes.
type recordedConn struct {
	net.Conn
	exchange *Exchange
}

func (c *recordedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.exchange.add("server", p[:n])
	}
	if err != nil {
		c.exchange.note("server: " + err.Error())
	}
	return n, err
}

func (c *recordedConn) Write(p []byte) (int, error) {
	c.exchange.add("client", p)
	return c.Conn.Write(p)
}
