package conformance

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// compareRecorded holds an answer against the recorded one: status, headers,
// words of an error, kinds of value at each path of a body.
func (r *Run) compareRecorded(recorded recording, w *recordedWorld, response *wire.Response) {
	if response.Status == http.StatusNotImplemented {
		panic(halt{Unsupported, "status 501: " + excerpt(response.Body)})
	}
	r.recordedStatus(recorded, response.Status, response.Body)
	r.recordedHeaders(recorded, response.Status, response.Header)
	if (response.Status < http.StatusBadRequest) != (recorded.Status < http.StatusBadRequest) {
		return // of different kinds, which the status tells
	}
	switch {
	case recorded.Shape != nil:
		value, err := wire.DecodeJSON(response.Body)
		if err != nil {
			r.finding("body", "", "%v", err)
			return
		}
		schema := r.answerSchema(response.Status)
		r.recordedShape(recorded.Shape, value, schema)
	case recorded.Lines != nil:
		lines, err := wire.DecodeLines(bytes.NewReader(response.Body))
		if err != nil {
			r.finding("body", "", "%v", err)
			return
		}
		var schema *document.Schema
		if of := r.answerSchema(response.Status); of != nil {
			schema = &document.Schema{Type: "array", Items: of}
		}
		r.recordedShape(recorded.Lines, lines, schema)
	case recorded.Stream == "tar":
		if _, err := tar.NewReader(bytes.NewReader(response.Body)).Next(); err != nil {
			r.finding("body", "", "is no archive: %v", err)
		}
	default:
		r.recordedText(recorded, w, response.Body)
	}
}

// recordedStatus compares the statuses. Where the engine said 500 to a client's
// mistake, the documents have a status below it.
func (r *Run) recordedStatus(recorded recording, status int, body []byte) {
	if status == recorded.Status {
		return
	}
	if recorded.Status == http.StatusInternalServerError && status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		if _, documented := r.Operation.Response(status); documented {
			return
		}
	}
	r.finding("status", "", "is %d, was %d: %s", status, recorded.Status, excerpt(body))
}

// ownHeaders are those that every answer may have beside the recorded ones:
// berth's own, the transport's, and one that later engines send everywhere.
var ownHeaders = []string{"Api-Version", "Ostype", "Date", "Connection", "Content-Length", "Transfer-Encoding", "Docker-Experimental"}

// recordedHeaders compares which headers there are, and the values of those that
// clients look at.
func (r *Run) recordedHeaders(recorded recording, status int, header http.Header) {
	for _, name := range slices.Sorted(maps.Keys(recorded.Headers)) {
		was, is := recorded.Headers[name], header.Get(name)
		switch {
		case is == "":
			r.finding("header", name, "is missing, was %q", was)
		case name == "Server" && !strings.HasPrefix(is, "Docker/"):
			r.finding("header", name, "is %q, clients look for Docker/… (linux)", is)
		case name != "Server" && was != "*" && !strings.EqualFold(was, is):
			r.finding("header", name, "is %q, was %q", is, was)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		_, was := recorded.Headers[name]
		if was || slices.Contains(ownHeaders, name) || r.documentsHeader(status, name) {
			continue
		}
		if recorded.Status == 0 || name == "Server" {
			continue // no answer came, or it is in the recording of most answers
		}
		r.finding("header", name, "is %q, was not there", header.Get(name))
	}
}

func (r *Run) documentsHeader(status int, name string) bool {
	response, _ := r.Operation.Response(status)
	for documented := range response.Headers {
		if strings.EqualFold(documented, name) {
			return true
		}
	}
	return false
}

// answerSchema is the document's for a status; nil if it has none.
func (r *Run) answerSchema(status int) *document.Schema {
	response, _ := r.Operation.Response(status)
	return response.Schema
}

// Ids in a text that is compared.
var (
	longID  = regexp.MustCompile(`\b(?:sha256:)?[0-9a-f]{64}\b`)
	shortID = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
)

func (r *Run) recordedText(recorded recording, w *recordedWorld, body []byte) {
	plain := func(s string) string {
		return shortID.ReplaceAllString(longID.ReplaceAllString(s, "{id}"), "{short}")
	}
	if is, was := plain(string(body)), plain(w.words(recorded.Text)); is != was {
		r.finding("text", "", "is %q, was %q", is, was)
	}
}

// recordedShape compares null with what is not null, and kinds of value, at each
// path that both have. What one of them lacks is the business of the document:
// a property that it has must be there, one that it lacks must not.
func (r *Run) recordedShape(recorded map[string][]string, value any, schema *document.Schema) {
	shape := map[string]map[string]bool{}
	shapeOf(value, "", shape)
	for _, at := range slices.Sorted(maps.Keys(recorded)) {
		was := recorded[at]
		is := slices.Sorted(maps.Keys(shape[at]))
		if len(is) == 0 {
			if r.documentsPath(schema, at) && !r.withinEmpty(shape, at) {
				r.finding("shape", at, "is not there, was %s", strings.Join(was, " or "))
			}
			continue
		}
		wasNull, isNull := slices.Contains(was, "null"), slices.Contains(is, "null")
		switch {
		case isNull && !wasNull, wasNull && !isNull && len(was) == 1:
			r.finding("shape", at, "is %s, was %s", strings.Join(is, " or "), strings.Join(was, " or "))
		case !isNull && !shareKind(is, was):
			r.finding("shape", at, "is %s, was %s", strings.Join(is, " or "), strings.Join(was, " or "))
		}
	}
}

// withinEmpty says whether something on the way to a path is empty or null, so
// that the path cannot be there.
func (r *Run) withinEmpty(shape map[string]map[string]bool, at string) bool {
	for i := len(at) - 1; i > 0; i-- {
		if at[i] != '.' && at[i] != '[' {
			continue
		}
		kinds := shape[at[:i]]
		if len(kinds) > 0 && !kinds["object"] && !kinds["list"] {
			return true
		}
	}
	return shape[""]["empty list"]
}

func shareKind(a, b []string) bool {
	return slices.ContainsFunc(a, func(kind string) bool {
		return slices.ContainsFunc(b, func(other string) bool {
			return strings.TrimPrefix(kind, "empty ") == strings.TrimPrefix(other, "empty ")
		})
	})
}

// dynamic are the objects whose properties are names of other things; in a shape
// all of them are one, "*".
var dynamic = regexp.MustCompile(`(^|\.)(Labels|Ports|ExposedPorts|PortBindings|Networks|Containers|Options|Volumes|VolumesRW|` +
	`LogConfig\.Config|Data|networks|Tmpfs|Sysctls|Annotations|stats|IndexConfigs|DriverOpts|AuxiliaryAddresses|Attributes)$`)

// shapeOf notes the kinds of value at each path.
func shapeOf(value any, at string, shape map[string]map[string]bool) {
	kind := kindOf(value)
	if shape[at] == nil {
		shape[at] = map[string]bool{}
	}
	shape[at][kind] = true
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			shapeOf(item, at+"[]", shape)
		}
	case map[string]any:
		for name, item := range value {
			if dynamic.MatchString(at) {
				name = "*"
			}
			shapeOf(item, strings.TrimPrefix(at+"."+name, "."), shape)
		}
	}
}

func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		if len(value) == 0 {
			return "empty list"
		}
		return "list"
	case map[string]any:
		if len(value) == 0 {
			return "empty object"
		}
		return "object"
	default:
		return "number"
	}
}

// documentsPath says whether a schema has a path of a shape.
func (r *Run) documentsPath(schema *document.Schema, at string) bool {
	for step := range strings.SplitSeq(strings.ReplaceAll(at, "[]", ".[]"), ".") {
		if schema == nil {
			return false
		}
		resolved := r.Document.Resolve(schema)
		switch {
		case step == "":
			schema = resolved
		case step == "[]":
			schema = resolved.Items
		case resolved.Properties[step] != nil:
			schema = resolved.Properties[step]
		case step == "*":
			schema = resolved.AdditionalProperties
		default:
			return false
		}
	}
	return schema != nil
}

// compareRecordedStream holds the head and the form of a stream against the
// recorded ones.
func (r *Run) compareRecordedStream(recorded recording, stream *wire.Stream) {
	r.phase = check
	if stream.Status == http.StatusNotImplemented {
		panic(halt{Unsupported, "status 501"})
	}
	r.recordedStatus(recorded, stream.Status, nil)
	r.recordedHeaders(recorded, stream.Status, stream.Header)
	if stream.Status >= http.StatusBadRequest {
		return
	}
	if recorded.Stream == "bytes" {
		if _, err := io.ReadFull(stream, make([]byte, 1)); err != nil {
			r.finding("stream", "", "ends before the first byte: %v", err)
		}
		return
	}
	frame, err := wire.ReadFrame(stream)
	if err != nil {
		r.finding("stream", "", "has no frame: %v", err)
		return
	}
	if frame.Stream != wire.Stdout && frame.Stream != wire.Stderr || len(frame.Payload) == 0 {
		r.finding("stream", "", "the first frame is of stream %d and has %d bytes", frame.Stream, len(frame.Payload))
	}
	if recorded.Open {
		return
	}
	for err == nil {
		_, err = wire.ReadFrame(stream)
	}
	if !errors.Is(err, io.EOF) {
		r.finding("stream", "", "does not end as it did: %v", err)
	}
}

// compareOneOfMany is for statistics at 1.18, which has no way to ask for one
// sample: the stream goes on where the recorded engine ended it.
func (r *Run) compareOneOfMany(recorded recording, stream *wire.Stream) {
	r.phase = check
	r.recordedStatus(recorded, stream.Status, nil)
	r.recordedHeaders(recorded, stream.Status, stream.Header)
	decoder := json.NewDecoder(stream)
	decoder.UseNumber()
	var first any
	if err := decoder.Decode(&first); err != nil {
		r.finding("body", "", "%v", err)
		return
	}
	r.recordedShape(recorded.Shape, first, r.answerSchema(stream.Status))
	r.noteLine(first)
	if err := decoder.Decode(new(any)); err == nil {
		r.finding("stream", "", "goes on, the engine ended it after one sample")
	}
}
