package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/registry"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// phase is what a case is doing; the same refusal of the daemon blocks a case
// while it builds its preconditions and fails it afterwards.
type phase string

const (
	setup   phase = "setup"
	request phase = "request"
	check   phase = "check"
	cleanup phase = "cleanup"
)

// Run is one case being run.
type Run struct {
	*Case
	suite *Suite
	ctx   context.Context // a Run lives as long as its context

	phase phase
	// values are the words that stand for placeholders, and what fixtures know
	// of what they built.
	values   map[string]string
	registry *registry.Registry
	// body is what a fixture made for a request with a made-up body.
	body []byte
	// warnings are those of the last request that set a field.
	warnings []any
	// undo are the removals of what the case made, run backwards.
	undo      []func()
	adapted   []string
	findings  []Finding
	answers   []Answer
	exchanges []Recorded
}

// Recorded is one exchange of a case and why it was made.
type Recorded struct {
	Phase    string
	Exchange *wire.Exchange
}

// finding notes a difference; the case goes on and shows all of them.
func (r *Run) finding(rule, path, format string, arguments ...any) {
	r.findings = append(r.findings, Finding{Rule: rule, Path: path, Text: fmt.Sprintf(format, arguments...)})
}

// block ends the case because a precondition cannot be built.
func (r *Run) block(format string, arguments ...any) {
	panic(halt{Blocked, fmt.Sprintf(format, arguments...)})
}

// broken ends the case because the suite is wrong.
func (r *Run) broken(format string, arguments ...any) {
	panic(halt{SuiteError, fmt.Sprintf(format, arguments...)})
}

// fatal ends the case because of what the daemon did: it blocks during setup and
// fails later.
func (r *Run) fatal(rule, format string, arguments ...any) {
	if r.phase == setup {
		r.block(format, arguments...)
	}
	r.finding(rule, "", format, arguments...)
	panic(halt{Fail, ""})
}

// adapt notes that the documented request was changed to fit this machine.
func (r *Run) adapt(format string, arguments ...any) {
	r.adapted = append(r.adapted, fmt.Sprintf(format, arguments...))
}

// later has f called when the case is over, in whichever way.
func (r *Run) later(f func()) { r.undo = append(r.undo, f) }

// target is the request target of a path below this version.
func (r *Run) target(path string, query url.Values) string {
	target := "/v" + r.Document.Version + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target
}

// call sends a request and reads the answer. body is sent as JSON unless it is
// nil or []byte, which is sent as an archive.
func (r *Run) call(method, path string, query url.Values, body any) *wire.Response {
	header := http.Header{}
	var raw []byte
	switch body := body.(type) {
	case nil:
	case []byte:
		raw = body
		header.Set("Content-Type", "application/x-tar")
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			r.broken("encode the body of %s %s: %v", method, path, err)
		}
		raw = encoded
		header.Set("Content-Type", "application/json")
	}
	return r.send(wire.Request{Method: method, Target: r.target(path, query), Header: header, Body: raw})
}

// send is call for a request that is complete.
func (r *Run) send(req wire.Request) *wire.Response {
	response, exchange, err := wire.Do(r.ctx, r.suite.Endpoint, req, r.suite.Timeout)
	r.exchanges = append(r.exchanges, Recorded{string(r.phase), exchange})
	if err != nil {
		r.fatal("transport", "%s %s: %v", req.Method, req.Target, err)
	}
	if r.asks(req) {
		r.answers = append(r.answers, answerOf(response.Status, response.Header, response.Body))
	}
	return response
}

// asks says whether a request is the one that the case is about, and not one
// that builds or looks at something. Cases of the ping are about any path.
func (r *Run) asks(req wire.Request) bool {
	return r.phase == request && (r.Operation.ID == "SystemPing" || r.Operation.Asks(req.Method, req.Target))
}

// open sends a request whose answer is read bit by bit. The connection is closed
// when the case is over.
func (r *Run) open(req wire.Request) *wire.Stream {
	stream, exchange, err := wire.Open(r.ctx, r.suite.Endpoint, req, r.suite.Timeout)
	r.exchanges = append(r.exchanges, Recorded{string(r.phase), exchange})
	if err != nil {
		r.fatal("transport", "%v", err)
	}
	if r.asks(req) {
		r.answers = append(r.answers, answerOf(stream.Status, stream.Header, nil))
	}
	r.later(func() { _ = stream.Close() })
	return stream
}

// must ends the case unless the answer has one of the statuses.
func (r *Run) must(response *wire.Response, what string, statuses ...int) *wire.Response {
	if !slices.Contains(statuses, response.Status) {
		r.fatal("effect", "%s was answered with status %d: %s", what, response.Status, excerpt(response.Body))
	}
	return response
}

// object decodes an answer that must be a JSON object.
func (r *Run) object(response *wire.Response, what string) map[string]any {
	value, err := wire.DecodeJSON(response.Body)
	if err != nil {
		r.fatal("body", "%s: %v", what, err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		r.fatal("body", "%s is no JSON object: %s", what, excerpt(response.Body))
	}
	return object
}

// list decodes an answer that must be a JSON list.
func (r *Run) list(response *wire.Response, what string) []any {
	value, err := wire.DecodeJSON(response.Body)
	if err != nil {
		r.fatal("body", "%s: %v", what, err)
	}
	list, ok := value.([]any)
	if !ok {
		r.fatal("body", "%s is no JSON list: %s", what, excerpt(response.Body))
	}
	return list
}

// fresh is a name that nothing else has.
func (r *Run) fresh() string { return r.suite.fresh() }

// atLeast compares the version of the case with another one, "1.21".
func (r *Run) atLeast(version string) bool { return CompareVersions(r.Document.Version, version) >= 0 }

// cleanUp undoes what the case made, the newest first.
func (r *Run) cleanUp() {
	r.phase = cleanup
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), time.Minute)
	defer cancel()
	r.ctx = ctx
	for _, undo := range slices.Backward(r.undo) {
		r.guard(undo)
	}
}

// guard runs a removal; one that fails does not keep the others from running.
func (r *Run) guard(undo func()) {
	defer func() {
		switch problem := recover().(type) {
		case nil, halt:
		default:
			panic(problem)
		}
	}()
	undo()
}

// knownValues lists what fixtures built, for messages.
func (r *Run) knownValues() string {
	return strings.Join(slices.Sorted(maps.Keys(r.values)), ", ")
}

// at walks into a JSON value by names; nil if a step is missing.
func at(value any, names ...string) any {
	for _, name := range names {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// text is the JSON of a value, for comparing and for messages.
func text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(raw)
}

// excerpt shows the beginning of a body in one line.
func excerpt(body []byte) string {
	const most = 300
	shown := strings.TrimSpace(wire.Printable(body[:min(len(body), most)]))
	if len(body) > most {
		shown += " …"
	}
	if shown == "" {
		return "(no body)"
	}
	return shown
}

// equal notes a finding unless a value of an answer is the expected one; both
// are compared as JSON.
func (r *Run) equal(rule, path string, got, want any) bool {
	if text(got) == text(want) {
		return true
	}
	r.finding(rule, path, "is %s, expected %s", text(got), text(want))
	return false
}
