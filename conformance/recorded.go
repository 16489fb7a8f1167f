package conformance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// recordedJSON is how Docker Engine 1.11.2, the engine of API 1.23, answered 108
// requests at each of the six versions and six requests with odd prefixes: 654
// exchanges, equal ones of several versions in one entry. Of bodies it holds the
// shape, of errors the words; {running} and the like stand for ids of
// containers, {id} and {short} for other ones, vNN for a word of the version.
//
//go:embed testdata/recorded.json
var recordedJSON []byte

// recording is one recorded exchange.
type recording struct {
	Name string `json:"name"`
	// Versions are those that were answered so; none for a path with a prefix of
	// its own.
	Versions []string `json:"versions"`
	Method   string   `json:"method"`
	// Path is path and query without the version. It names the objects of
	// recordedWorld.
	Path          string            `json:"path"`
	RequestHeader map[string]string `json:"requestHeaders"`
	Body          map[string]any    `json:"body"`
	// Raw describes a body that is no JSON object.
	Raw string `json:"raw"`
	// Status is 0 where no answer came.
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	// Open says that the answer had no end.
	Open bool `json:"open"`
	// One of the following tells what the body was: words, the kinds of value
	// at each path of a JSON value or of the lines of a stream, or the form of
	// a stream (frames, tar, bytes).
	Text   string              `json:"text"`
	Shape  map[string][]string `json:"shape"`
	Lines  map[string][]string `json:"lines"`
	Stream string              `json:"stream"`
}

// recordings decodes the embedded exchanges; they are part of the program, so
// that an error is a bug of the suite.
var recordings = sync.OnceValue(func() []recording {
	var list []recording
	if err := json.Unmarshal(recordedJSON, &list); err != nil {
		panic(fmt.Sprintf("decode the embedded recordings: %v", err))
	}
	return list
})

// recordedCases are the recordings of an operation.
func recordedCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	for _, recorded := range recordings() {
		if !recorded.of(doc) || operationOf(doc, recorded) != operation {
			continue
		}
		labels := []string{"recorded"}
		if recorded.Stream != "" || recorded.Lines != nil {
			labels = append(labels, "stream")
		}
		cases = append(cases, newCase(Case{
			Name: "recorded-" + recorded.Name, Document: doc, Operation: operation, Level: Should, Labels: labels[1:],
			Requirement: "The answer has the status, the headers, the shape and the words that clients know.",
			Source:      recorded.source(),
			run:         func(r *Run) { runRecorded(r, recorded) },
		}, labels[0]))
	}
	return cases
}

// of says whether the recording is about a version. What has a prefix of its
// own is asked once.
func (recorded recording) of(doc *document.Document) bool {
	if len(recorded.Versions) == 0 {
		return doc.Version == "1.23"
	}
	return slices.Contains(recorded.Versions, doc.Version)
}

func (recorded recording) source() string {
	answer := fmt.Sprintf("status %d", recorded.Status)
	if recorded.Status == 0 {
		answer = "nothing"
	}
	text := fmt.Sprintf("Docker Engine 1.11.2 answered %s %s with %s", recorded.Method, recorded.Path, answer)
	if words := strings.TrimSpace(recorded.Text); words != "" {
		text += ": " + words
	}
	return text
}

// operationOf finds the operation that a recording is about; what is about none
// goes to ping.
func operationOf(doc *document.Document, recorded recording) *document.Operation {
	path, _, _ := strings.Cut(recorded.Path, "?")
	if len(recorded.Versions) == 0 {
		return doc.Operation("SystemInfo")
	}
	for _, operation := range doc.Operations {
		if operation.Method != recorded.Method {
			continue
		}
		before, after, templated := strings.Cut(operation.Path, "{"+operation.PathParameter()+"}")
		if path == operation.Path || templated && strings.HasPrefix(path, before) && strings.HasSuffix(path, after) &&
			(strings.Count(path, "/") == strings.Count(operation.Path, "/") || isImageWithSlashes(path)) {
			return operation
		}
	}
	return doc.Operation("SystemPing")
}

func isImageWithSlashes(path string) bool {
	return strings.HasPrefix(path, "/images/no/") || strings.HasPrefix(path, "/images/my/")
}

func runRecorded(r *Run, recorded recording) {
	w := r.recordedWorld(recorded)
	req := w.request(r, recorded)
	r.phase = request
	if recorded.Name == "stats-once" && !r.atLeast("1.19") {
		r.compareOneOfMany(recorded, r.open(req))
		return
	}
	if recorded.Stream != "" && recorded.Stream != "tar" {
		r.compareRecordedStream(recorded, r.open(req))
		return
	}
	response := r.send(req)
	r.phase = check
	w.tidy(r, recorded, response)
	r.compareRecorded(recorded, w, response)
}

// request fills the world's own names into what was recorded.
func (w *recordedWorld) request(r *Run, recorded recording) wire.Request {
	path, rawQuery, _ := strings.Cut(recorded.Path, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		r.broken("query of the recording: %v", err)
	}
	for _, values := range query {
		for i := range values {
			values[i] = w.own(values[i])
		}
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = w.own(part)
	}
	target := r.target(strings.Join(parts, "/"), query)
	if len(recorded.Versions) == 0 {
		target = recorded.Path
	}
	req := wire.Request{Method: recorded.Method, Target: target, Header: http.Header{}}
	for name, value := range recorded.RequestHeader {
		req.Header.Set(name, value)
	}
	switch {
	case recorded.Body != nil:
		req.Body, err = json.Marshal(w.ownAll(recorded.Body))
		if err != nil {
			r.broken("encode the recorded body: %v", err)
		}
		req.Header.Set("Content-Type", "application/json")
	case strings.HasPrefix(recorded.Raw, "<1024 "):
		req.Body = make([]byte, 1024) // an archive without entries
		req.Header.Set("Content-Type", "application/x-tar")
	case strings.HasPrefix(recorded.Raw, "<1 "):
		req.Body = []byte("{")
	case strings.HasPrefix(recorded.Raw, "<2 "):
		req.Body = []byte("{}")
	}
	return req
}
