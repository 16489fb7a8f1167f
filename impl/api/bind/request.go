// Package bind turns requests into typed calls of the engine: it reads
// parameters by Docker's rules and writes answers. The generated route tables
// (gen) are made of it; it knows no operation by name.
package bind

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
)

// bodyLimit bounds a request's JSON or form body, in bytes. The largest that
// clients send is the configuration of a container with its environment, some
// 100 KiB; archives are streamed and have no bound.
const bodyLimit = 4 << 20

// bodyTimeout bounds how long a client may take to send such a body.
const bodyTimeout = time.Minute

// Request reads the parameters of one request. The first fault is kept and
// given by Err; what is read after it has no meaning.
type Request struct {
	w      http.ResponseWriter
	r      *http.Request
	path   string
	values url.Values
	err    error
}

// newRequest parses the query. A query that cannot be decoded is a fault.
func newRequest(w http.ResponseWriter, r *http.Request, path string) *Request {
	req := &Request{w: w, r: r, path: path}
	if r.URL.RawQuery != "" {
		values, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			req.fail(fault.Invalid("Bad parameters: the query cannot be decoded: %w", err))
		}
		req.values = values
	}
	return req
}

func (q *Request) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

// Err is the first fault that was found, nil if there is none.
func (q *Request) Err() error { return q.err }

// Path is the path parameter, decoded. Names of images may hold slashes.
func (q *Request) Path() string { return q.path }

// Header is a header parameter, empty when the client did not send it.
func (q *Request) Header(name string) string { return q.r.Header.Get(name) }

// Form lets parameters come in a body of the type
// application/x-www-form-urlencoded too, where they outrank the query's. It
// is called before any parameter is read.
func (q *Request) Form() {
	if q.r.Body == nil || q.r.ContentLength == 0 {
		return
	}
	media, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return
	}
	body, err := q.read()
	if err != nil {
		q.fail(err)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		q.fail(fault.Invalid("Bad parameters: the form body cannot be decoded: %w", err))
		return
	}
	for name, values := range q.values {
		form[name] = append(form[name], values...)
	}
	q.values = form
}

// read returns the whole body if it is not too large.
func (q *Request) read() ([]byte, error) {
	if q.r.Body == nil {
		return nil, nil
	}
	// A client must not hold a handler for ever with half a body. A writer
	// without deadlines (a test's recorder) has no such client.
	control := http.NewResponseController(q.w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, bodyLimit))
	if err != nil {
		if _, large := err.(*http.MaxBytesError); large {
			return nil, fault.Invalid("Bad parameters: the request body is larger than %d bytes", bodyLimit)
		}
		return nil, fault.Invalid("Bad parameters: the request body cannot be read: %w", err)
	}
	return body, nil
}

// String is a parameter as the client wrote it, def when it is absent or empty.
func (q *Request) String(name, def string) string {
	if s := q.values.Get(name); s != "" {
		return s
	}
	return def
}

// Required is a string that must be there and not be empty.
func (q *Request) Required(name string) string {
	s := q.values.Get(name)
	if s == "" {
		q.fail(fault.Invalid("bad parameter: '%s' cannot be empty", name))
	}
	return s
}

// Strings are all values of a parameter that may come several times.
func (q *Request) Strings(name string) []string { return q.values[name] }

// Bool reads Docker's bools: present means true unless the value is empty, 0,
// no, false or none in any case; absent means def.
func (q *Request) Bool(name string, def bool) bool {
	if !q.values.Has(name) {
		return def
	}
	switch strings.ToLower(strings.TrimSpace(q.values.Get(name))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// Int is a number in decimal, def when it is absent or empty.
func (q *Request) Int(name string, def int64) int64 {
	if n := q.OptionalInt(name); n != nil {
		return *n
	}
	return def
}

// RequiredInt is a number in decimal that must be there.
func (q *Request) RequiredInt(name string) int64 {
	n := q.OptionalInt(name)
	if n == nil {
		q.fail(fault.Invalid("Bad parameter %s: %w", name, numeral("", strconv.ErrSyntax)))
		return 0
	}
	return *n
}

// OptionalInt is a number in decimal, nil when it is absent or empty.
func (q *Request) OptionalInt(name string) *int64 {
	s := q.values.Get(name)
	if s == "" {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		q.fail(fault.Invalid("Bad parameter %s: %w", name, numeral(s, err)))
		return nil
	}
	return &n
}

// numeral words a failed conversion as the engines of API 1.23 did.
func numeral(s string, err error) error {
	reason := strconv.ErrSyntax
	if numError, ok := err.(*strconv.NumError); ok {
		reason = numError.Err
	}
	return fmt.Errorf("strconv.Atoi: parsing %q: %w", s, reason)
}

// Archive is the body as a stream: nothing of it is read yet. The answer may
// begin before the body's end, which HTTP/1.1 servers do not allow unless told.
func (q *Request) Archive() io.ReadCloser {
	if q.r.Body == nil {
		return http.NoBody
	}
	if q.err == nil {
		// An answer writer without the ability (a test's recorder) needs no
		// permission, so the error says nothing.
		_ = http.NewResponseController(q.w).EnableFullDuplex()
	}
	return q.r.Body
}
