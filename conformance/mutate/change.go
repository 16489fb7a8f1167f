package mutate

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// Mutation is one wrong behaviour and the case that must notice it.
type Mutation struct {
	Name string
	// Case is operationId/name of a case.
	Case   string
	Change Change
}

// on makes a change of the requests that a regular expression finds in
// "METHOD target".
func on(expression string, answer func(*Answer)) Change {
	return Change{Matches: matching(expression), Answer: answer}
}

// streaming is on for answers that come bit by bit.
func streaming(expression string, answer func(*Answer)) Change {
	change := on(expression, answer)
	change.Streams = true
	return change
}

// lateHead sends the head of a stream with its first byte.
func lateHead(expression string) Change {
	return Change{Matches: matching(expression), Streams: true, LateHead: true}
}

// deafToEnd does not tell the daemon that the client ended its half.
func deafToEnd(expression string) Change {
	return Change{Matches: matching(expression), Streams: true, DeafToEnd: true}
}

// reordered has each second frame come before the one that was first.
func reordered() func(*Answer) {
	return func(a *Answer) {
		var held []byte
		a.Wrap = func(from io.Reader) io.Reader {
			reader, writer := io.Pipe()
			go func() {
				for {
					frame, err := wire.ReadFrame(from)
					if err != nil {
						_, _ = writer.Write(held)
						writer.CloseWithError(err)
						return
					}
					if held == nil {
						held = encode(frame)
						continue
					}
					if _, err := writer.Write(append(encode(frame), held...)); err != nil {
						return
					}
					held = nil
				}
			}()
			return reader
		}
	}
}

// atTheEnd holds a stream back until it ends.
func atTheEnd() func(*Answer) {
	return func(a *Answer) {
		a.Wrap = func(from io.Reader) io.Reader {
			reader, writer := io.Pipe()
			go func() {
				whole, err := io.ReadAll(from)
				_, _ = writer.Write(whole)
				if err == nil {
					err = io.EOF
				}
				writer.CloseWithError(err)
			}()
			return reader
		}
	}
}

// swallow answers in place of the daemon, which does nothing then.
func swallow(expression string, status int, body string) Change {
	return Change{Matches: matching(expression), Instead: func() Answer {
		header := http.Header{"Api-Version": {"1.23"}}
		if body != "" {
			header.Set("Content-Type", "application/json")
		}
		return Answer{Status: status, Header: header, Body: []byte(body)}
	}}
}

func matching(expression string) func(method, target string) bool {
	compiled := regexp.MustCompile(expression)
	return func(method, target string) bool { return compiled.MatchString(method + " " + target) }
}

func status(code int) func(*Answer) { return func(a *Answer) { a.Status = code } }

func header(name, value string) func(*Answer) {
	return func(a *Answer) {
		if value == "" {
			a.Header.Del(name)
		} else {
			a.Header.Set(name, value)
		}
	}
}

func bodyText(text string) func(*Answer) { return func(a *Answer) { a.Body = []byte(text) } }

func replace(old, new string) func(*Answer) {
	return func(a *Answer) { a.Body = bytes.ReplaceAll(a.Body, []byte(old), []byte(new)) }
}

// absent as a value takes a property away.
type absent struct{}

// set changes a property of a JSON body; * stands for every item of a list or
// every property, a number for one item.
func set(value any, path ...string) func(*Answer) {
	return func(a *Answer) {
		decoded, err := wire.DecodeJSON(a.Body)
		if err != nil {
			return
		}
		change(decoded, value, path)
		if encoded, err := json.Marshal(decoded); err == nil {
			a.Body = encoded
		}
	}
}

func drop(path ...string) func(*Answer) { return set(absent{}, path...) }

func change(at, value any, path []string) {
	switch at := at.(type) {
	case []any:
		for i := range at {
			if path[0] != "*" && path[0] != strconv.Itoa(i) {
				continue
			}
			if len(path) == 1 {
				at[i] = value
			} else {
				change(at[i], value, path[1:])
			}
		}
	case map[string]any:
		if path[0] == "*" {
			for name := range at {
				change(at[name], value, path[1:])
			}
			return
		}
		_, isAbsent := value.(absent)
		switch {
		case len(path) > 1:
			change(at[path[0]], value, path[1:])
		case isAbsent:
			delete(at, path[0])
		default:
			at[path[0]] = value
		}
	}
}

// bytesOf changes every piece of a stream.
func bytesOf(f func([]byte) []byte) func(*Answer) {
	return func(a *Answer) {
		a.Wrap = func(from io.Reader) io.Reader { return &piecewise{from: from, f: f} }
	}
}

// piecewise gives what f makes of each read.
type piecewise struct {
	from io.Reader
	f    func([]byte) []byte
	rest []byte
}

func (p *piecewise) Read(into []byte) (int, error) {
	for len(p.rest) == 0 {
		piece := make([]byte, 32<<10)
		n, err := p.from.Read(piece)
		p.rest = p.f(piece[:n])
		if err != nil && len(p.rest) == 0 {
			return 0, err
		}
	}
	n := copy(into, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// cutAfter ends a stream after some bytes, as a daemon does that dies.
func cutAfter(n int) func(*Answer) {
	return func(a *Answer) {
		a.Wrap = func(from io.Reader) io.Reader { return &cut{from: from, left: n} }
	}
}

type cut struct {
	from io.Reader
	left int
}

func (c *cut) Read(into []byte) (int, error) {
	if c.left == 0 {
		return 0, errCut
	}
	n, err := c.from.Read(into[:min(len(into), c.left)])
	c.left -= n
	return n, err
}

// frames changes the frames of a multiplexed stream; nil leaves one out.
func frames(f func(wire.Frame) []byte) func(*Answer) {
	return func(a *Answer) {
		a.Wrap = func(from io.Reader) io.Reader {
			reader, writer := io.Pipe()
			go func() {
				for {
					frame, err := wire.ReadFrame(from)
					if err != nil {
						writer.CloseWithError(err)
						return
					}
					if _, err := writer.Write(f(frame)); err != nil {
						return
					}
				}
			}()
			return reader
		}
	}
}

// encode writes a frame as the wire has it.
func encode(frame wire.Frame) []byte {
	length := len(frame.Payload)
	head := []byte{frame.Stream, 0, 0, 0, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	return append(head, frame.Payload...)
}
