package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-50ced230/berth/tools/reference"
)

// exchange is a documented example, taken apart as far as it can be.
type exchange struct {
	method, path string // path without the version prefix, unescaped
	query        url.Values
	reqHeaders   map[string]string // canonical names
	reqBody      string
	status       int // 0 if the document shows none
	resHeaders   map[string]string
	resBody      string
	odd          bool // the request line has no protocol version
}

var (
	prefix     = regexp.MustCompile(`^/v1\.\d+(/|$)`)
	statusLine = regexp.MustCompile(`^HTTP/1\.1 (\d{3})\b`)
)

func parseExchange(e reference.Example) (exchange, error) {
	x := exchange{}
	line, headers, body := message(e.Request)
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return x, errors.New("the request has no request line")
	}
	target, err := url.Parse(prefix.ReplaceAllString(fields[1], "/"))
	if err != nil {
		return x, err
	}
	x.method, x.path, x.reqHeaders, x.reqBody = fields[0], target.Path, headers, body
	if x.query, err = url.ParseQuery(target.RawQuery); err != nil {
		return x, err
	}
	x.odd = len(fields) != 3
	line, x.resHeaders, x.resBody = message(e.Response)
	if m := statusLine.FindStringSubmatch(line); m != nil {
		x.status, _ = strconv.Atoi(m[1])
	} else {
		// Some examples show nothing but the stream.
		x.resHeaders, x.resBody = map[string]string{}, strings.TrimSpace(e.Response)
	}
	return x, nil
}

// message takes a message apart: first line, headers, body. A line that is no
// header ends the headers as an empty line does.
func message(s string) (first string, headers map[string]string, body string) {
	headers = map[string]string{}
	first, rest, _ := strings.Cut(strings.TrimLeft(s, "\n"), "\n")
	for rest != "" {
		line, after, _ := strings.Cut(rest, "\n")
		if strings.TrimSpace(line) == "" {
			rest = after
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(name, " \"{[") {
			break
		}
		switch name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)); name {
		case "Content-Length", "Date":
			// They belong to the moment, not to the example.
		default:
			headers[name] = strings.TrimSpace(value)
		}
		rest = after
	}
	return first, headers, strings.TrimSpace(rest)
}

// parseJSON reads one JSON value that fills the text.
func parseJSON(s string) (any, error) {
	values, err := parseJSONs(s)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, errors.New("not one JSON value")
	}
	return values[0], nil
}

// parseJSONs reads a sequence of JSON values.
func parseJSONs(s string) ([]any, error) {
	var values []any
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
}

// same compares JSON values; numbers by value.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			w, ok := b[k]
			if !ok || !same(a[k], w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		if a == b {
			return true
		}
		x, errX := a.Float64()
		y, errY := b.Float64()
		return errX == nil && errY == nil && x == y
	}
	return a == b
}

// difference says where two JSON values part.
func difference(documented, ours any, place string) string {
	switch d := documented.(type) {
	case map[string]any:
		if o, ok := ours.(map[string]any); ok {
			for k, v := range d {
				if _, has := o[k]; !has {
					return place + "." + k + " is missing"
				}
				if !same(v, o[k]) {
					return difference(v, o[k], place+"."+k)
				}
			}
			for k := range o {
				if _, has := d[k]; !has {
					return place + "." + k + " is not documented"
				}
			}
		}
	case []any:
		if o, ok := ours.([]any); ok && len(o) == len(d) {
			for i := range d {
				if !same(d[i], o[i]) {
					return difference(d[i], o[i], place+"["+strconv.Itoa(i)+"]")
				}
			}
		}
	}
	return place + " is " + compact(ours) + ", documented " + compact(documented)
}

func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return "?"
	}
	s := strings.TrimSpace(b.String())
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return s
}

// token is a scalar of JSON as it stands in a text: names, strings, numbers
// and words.
var token = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b`)

// tokens counts the scalars of a text.
func tokens(s string) map[string]int {
	count := map[string]int{}
	for _, t := range token.FindAllString(s, -1) {
		count[t]++
	}
	return count
}

func itoa(i int) string { return strconv.Itoa(i) }
