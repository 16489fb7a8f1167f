package logs

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"
)

type entry struct {
	Log    string `json:"log"`
	Stream string `json:"stream"`
	Time   string `json:"time"`
}

// decode reads an encoded record. It may write into line, and the record's Line may
// be a part of it.
func decode(line []byte) (Record, bool) {
	if r, ok := decodeWritten(line); ok {
		return r, true
	}
	var e entry
	if json.Unmarshal(line, &e) != nil {
		return Record{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, e.Time)
	if err != nil {
		return Record{}, false
	}
	return Record{Time: t, Stream: e.Stream, Line: []byte(e.Log)}, true
}

// decodeWritten reads a record in the very form in which the shim and Docker Engine
// write them, at a tenth of the cost. All else, though it may be a record, is not
// ok; then line is as it was.
func decodeWritten(line []byte) (r Record, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"log":"`))
	if !ok {
		return r, false
	}
	end, escapes, ok := textEnd(rest)
	if !ok {
		return r, false
	}
	text := rest[:end]
	if rest, ok = bytes.CutPrefix(rest[end:], []byte(`","stream":"std`)); !ok || len(rest) < 3 {
		return r, false
	}
	switch string(rest[:3]) {
	case "out":
		r.Stream = "stdout"
	case "err":
		r.Stream = "stderr"
	default:
		return r, false
	}
	if rest, ok = bytes.CutPrefix(rest[3:], []byte(`","time":"`)); !ok {
		return r, false
	}
	if rest, ok = bytes.CutSuffix(rest, []byte(`"}`)); !ok || r.Time.UnmarshalText(rest) != nil {
		return r, false
	}
	if escapes {
		text = unescape(text)
	}
	r.Line = text
	return r, true
}

// textEnd finds the quotation mark that ends a JSON text. ok is false for what
// decodeWritten leaves to encoding/json: control characters, bytes that are not
// UTF-8, and escapes of surrogates.
func textEnd(b []byte) (end int, escapes, ok bool) {
	ascii := true
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i, escapes, ascii || utf8.Valid(b[:i])
		case c < ' ':
			return 0, false, false
		case c == '\\':
			escapes = true
			i++
			if i == len(b) {
				return 0, false, false
			}
			if b[i] != 'u' {
				if short[b[i]] == 0 {
					return 0, false, false
				}
				continue
			}
			if _, ok := codePoint(b[i+1:]); !ok {
				return 0, false, false
			}
			i += 4
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return 0, false, false
}

// short are the escapes of one letter (RFC 8259, section 7).
var short = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// codePoint reads four hexadecimal digits that are no half of a surrogate pair.
func codePoint(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, r < 0xd800 || r > 0xdfff
}

// unescape resolves the escapes of a text that textEnd found good, in place: what an
// escape stands for is never longer than it.
func unescape(b []byte) []byte {
	at := bytes.IndexByte(b, '\\')
	out := b[:at]
	for i := at; i < len(b); i++ {
		switch {
		case b[i] != '\\':
			out = append(out, b[i])
		case b[i+1] != 'u':
			i++
			out = append(out, short[b[i]])
		default:
			r, _ := codePoint(b[i+2:])
			out = utf8.AppendRune(out, r)
			i += 5
		}
	}
	return out
}
