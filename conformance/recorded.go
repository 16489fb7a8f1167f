package conformance

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// recordedJSON is what Docker Engine 1.11.2, the engine of API 1.23, answered to
// clients' mistakes: the documents leave the words open, clients match them. The
// words of libraries and of machines are left out. {running} and the like stand
// for ids, {id} and {short} for other ones.
//
//go:embed testdata/recorded-errors.json
var recordedJSON []byte

// recording is one recorded exchange.
type recording struct {
	Name     string   `json:"name"`
	Versions []string `json:"versions"`
	Method   string   `json:"method"`
	// Path is path and query without the version. It names containers running,
	// withtty, exited9 and created, image busybox, volume tardis and network
	// isolated_nw.
	Path        string         `json:"path"`
	Body        map[string]any `json:"body"`
	Status      int            `json:"status"`
	Text        string         `json:"text"`
	ContentType string         `json:"contentType"`
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
		if !slices.Contains(recorded.Versions, doc.Version) || operationOf(doc, recorded) != operation {
			continue
		}
		cases = append(cases, newCase(Case{
			Name: "recorded-" + recorded.Name, Document: doc, Operation: operation, Level: Should,
			Requirement: "The words of the error are those that clients know.",
			Source:      fmt.Sprintf("Docker Engine 1.11.2 answered %s %s with status %d: %s", recorded.Method, recorded.Path, recorded.Status, strings.TrimSpace(recorded.Text)),
			run:         func(r *Run) { runRecorded(r, recorded) },
		}, "recorded"))
	}
	return cases
}

// operationOf finds the operation that a recording is about; what is about none
// goes to ping.
func operationOf(doc *document.Document, recorded recording) *document.Operation {
	path, _, _ := strings.Cut(recorded.Path, "?")
	for _, operation := range doc.Operations {
		if operation.Method != recorded.Method {
			continue
		}
		before, after, templated := strings.Cut(operation.Path, "{"+operation.PathParameter()+"}")
		if path == operation.Path || templated && strings.HasPrefix(path, before) && strings.HasSuffix(path, after) &&
			(strings.Count(path, "/") == strings.Count(operation.Path, "/") || strings.HasPrefix(path, "/images/no/")) {
			return operation
		}
	}
	return doc.Operation("SystemPing")
}

// world builds what a recording names and returns what to replace in its path,
// body and text.
func (r *Run) world(recorded recording) map[string]string {
	names := map[string]string{}
	mentioned := func(name string) bool {
		return strings.Contains(recorded.Path, name) || strings.Contains(recorded.Text, "{"+name+"}")
	}
	paused := recorded.Name == "pause-paused" || recorded.Name == "exec-in-paused"
	builders := map[string]func(*Run){
		"created": (*Run).containerCreated, "exited9": (*Run).containerExited, "withtty": (*Run).containerRunningTTY,
		"running": (*Run).containerRunning,
	}
	if paused {
		builders["running"] = (*Run).containerPaused
	}
	if strings.Contains(recorded.Path, "tardis") {
		r.volumeCreated()
		names["tardis"] = r.values["volume"]
		builders["running"] = func(r *Run) {
			r.startPatient(r.create(map[string]any{"HostConfig": map[string]any{"Binds": []string{r.values["volume"] + ":/data"}}}))
		}
	}
	if strings.Contains(recorded.Name, "network-remove-used") || recorded.Name == "network-duplicate" {
		r.networkCreated()
		names["isolated_nw"] = r.values["name"]
		if recorded.Name == "network-remove-used" {
			r.containerInNetwork()
		}
	}
	for name, build := range builders {
		if mentioned(name) {
			build(r)
			names["{"+name+"}"], names[name] = r.values["container"], r.values["container-name"]
		}
	}
	if strings.Contains(recorded.Path, "busybox") || recorded.Body["Image"] == "busybox" {
		r.imageLoaded()
		names["busybox"] = r.values["image"]
		if recorded.Name == "remove-used" {
			r.create(map[string]any{"Image": r.values["image"]})
		}
	}
	return names
}

// Ids in a text that is compared.
var (
	longID  = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	shortID = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
)

func runRecorded(r *Run, recorded recording) {
	names := r.world(recorded)
	path, rawQuery, _ := strings.Cut(recorded.Path, "?")
	query, _ := url.ParseQuery(rawQuery)
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if own, ok := names[part]; ok {
			parts[i] = own
		}
	}
	for key, values := range query {
		if own, ok := names[values[0]]; ok && key == "name" {
			query.Set(key, own)
		}
	}
	var body any
	if recorded.Body != nil {
		replaced := map[string]any{}
		for key, value := range recorded.Body {
			if own, ok := names[fmt.Sprint(value)]; ok {
				value = own
			}
			replaced[key] = value
		}
		body = replaced
	}
	r.phase = request
	response := r.call(recorded.Method, strings.Join(parts, "/"), query, body)
	r.phase = check
	r.tidy(response)
	if response.Status == http.StatusNotImplemented {
		panic(halt{Unsupported, "status 501: " + excerpt(response.Body)})
	}
	// Where the engine said 500 to a client's mistake, the documents have 4xx.
	if recorded.Status < http.StatusInternalServerError && response.Status != recorded.Status {
		r.finding("status", "", "is %d, was %d: %s", response.Status, recorded.Status, excerpt(response.Body))
	}
	if response.Status < http.StatusMultipleChoices {
		r.finding("status", "", "is %d, the engine refused", response.Status)
		return
	}
	if got, want := wire.MediaType(response.Header), strings.TrimSuffix(recorded.ContentType, "; charset=utf-8"); got != want {
		r.finding("content-type", "", "is %q, was %q", got, want)
	}
	want := recorded.Text
	for name, own := range names {
		if strings.HasPrefix(name, "{") {
			want = strings.ReplaceAll(want, name, own)
		}
	}
	want = wordFor(want, names)
	got := shortID.ReplaceAllString(longID.ReplaceAllString(string(response.Body), "{id}"), "{short}")
	want = shortID.ReplaceAllString(longID.ReplaceAllString(want, "{id}"), "{short}")
	if got != want {
		r.finding("text", "", "is %q, was %q", got, want)
	}
}

// wordFor replaces recorded names where they stand for an object: after a slash,
// in quotes, or as the argument of a message.
func wordFor(recorded string, names map[string]string) string {
	for name, own := range names {
		if strings.HasPrefix(name, "{") {
			continue
		}
		for _, around := range []string{`"/%s"`, `"%s"`, "container %s:", "Container %s is paused", "remove %s:", "name %s already", "network %s has"} {
			recorded = strings.ReplaceAll(recorded, fmt.Sprintf(around, name), fmt.Sprintf(around, own))
		}
	}
	return recorded
}
