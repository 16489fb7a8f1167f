package bind

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Body reads the JSON body of a request. An absent body is a fault if it is
// required, else nil.
func Body[M any](q *Request, required bool) *M {
	return BodyAs(q, required, func(m *M) *M { return m })
}

// BodyAs reads the JSON body in the shape of a version, V, and gives it in the
// shape of the hub, M. Unknown properties are ignored, null is an empty object.
func BodyAs[V, M any](q *Request, required bool, toHub func(*V) *M) *M {
	if q.err != nil {
		return nil
	}
	body, err := q.read()
	if err != nil {
		q.fail(err)
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		if required {
			q.fail(fault.Invalid("Bad parameters: a JSON body is required: %w", io.EOF))
		}
		return nil
	}
	if err := checkJSON(q.r.Header.Get("Content-Type")); err != nil {
		q.fail(err)
		return nil
	}
	v := new(V)
	if err := unmarshal(body, v); err != nil {
		q.fail(err)
		return nil
	}
	return toHub(v)
}

// checkJSON accepts a missing content type, as clients of these versions
// leave it out, and refuses any other than JSON.
func checkJSON(contentType string) error {
	if contentType == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(contentType); err == nil && media == "application/json" {
		return nil
	}
	return fault.Invalid("Content-Type specified (%s) must be 'application/json'", contentType)
}

// unmarshal reads exactly one JSON value. The errors of encoding/json name the
// field and the type that was expected; its own bound ends deep nesting.
func unmarshal(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(v); err != nil {
		return fault.Invalid("Bad parameters: the body is no valid JSON for this operation: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.Invalid("Bad parameters: unexpected content after the JSON body")
	}
	return nil
}
