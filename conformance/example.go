package conformance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/schema"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// runExample replays a documented example: preconditions, request, comparison,
// effect.
func runExample(r *Run) {
	r.prepare()
	r.expectUnused()
	req := r.exampleRequest()
	if replay := streamed(r.Operation.ID); replay != nil && r.Example.Response.Stream != "" {
		r.phase = request
		replay(r, req)
		return
	}
	verify := effect(r.Operation.ID)
	if verify.before != nil {
		verify.before(r)
	}
	r.phase = request
	response := r.send(req)
	r.phase = check
	r.tidy(response)
	r.compareAPIVersion(response.Header)
	value := r.compare(response)
	if verify.after != nil {
		verify.after(r, value)
	}
}

// expectUnused blocks a case that would take over a name of the user's.
func (r *Run) expectUnused() {
	taken := func(path string) {
		if r.call(http.MethodGet, path, nil, nil).Status == http.StatusOK {
			r.block("the daemon has %s already, which the documented example makes", path)
		}
	}
	switch r.Operation.ID {
	case "ContainerRename":
		taken("/containers/new_name/json")
	case "ImageTag":
		taken("/images/myrepo:v42/json")
	case "ImageCommit":
		taken("/images/myrepo/json")
	}
}

// tidy has removed what the request made, whatever the comparison will say.
func (r *Run) tidy(response *wire.Response) {
	var made struct{ ID string }
	_ = json.Unmarshal(response.Body, &made) // what is no JSON made nothing that has a name
	switch r.Operation.ID {
	case "ContainerCreate":
		if made.ID != "" {
			r.removeContainer(made.ID)
		}
	case "NetworkCreate":
		if made.ID != "" {
			r.removeNetwork(made.ID)
		}
	case "VolumeCreate":
		r.removeVolume(r.values["volume"])
	case "ImageTag":
		r.removeImage("myrepo:v42")
	case "ImageCommit":
		r.removeImage("myrepo")
	}
}

// exampleRequest is the documented request with the suite's own values in it.
func (r *Run) exampleRequest() wire.Request {
	documented := r.Example.Request
	path := r.Operation.Path
	for name, value := range documented.Path {
		path = strings.ReplaceAll(path, "{"+name+"}", document.ExpandString(value, r.values))
	}
	query := url.Values{}
	for name, value := range documented.Query {
		switch value := document.Expand(value, r.values).(type) {
		case string:
			query.Set(name, value)
		case []any:
			for _, item := range value {
				query.Add(name, item.(string))
			}
		}
	}
	header := http.Header{}
	for name, value := range documented.Headers {
		header.Set(name, document.ExpandString(value, r.values))
	}
	req := wire.Request{Method: r.Operation.Method, Header: header}
	switch {
	case documented.Stream != "":
		req.Body = r.madeUpBody()
	case documented.Body != nil:
		body := r.fit(document.Expand(documented.Body, r.values))
		encoded, err := json.Marshal(body)
		if err != nil {
			r.broken("encode the documented body: %v", err)
		}
		req.Body = encoded
	}
	r.fitQuery(query)
	if r.Example.Response.Status == http.StatusSwitchingProtocols && r.Operation.HasParameter("header", "Upgrade") {
		r.adapt("headers Connection: Upgrade and Upgrade: tcp are sent: the documented answer has status 101, which only a client gets that asks for it")
		header.Set("Connection", "Upgrade")
		header.Set("Upgrade", "tcp")
	}
	req.Target = r.target(path, query)
	return req
}

// madeUpBody is the archive of a request whose document says only that there is
// one.
func (r *Run) madeUpBody() []byte {
	if r.body != nil {
		return r.body
	}
	archive, err := image.Tar(image.File{Name: "conformance.txt", Content: []byte("put by the suite\n")})
	if err != nil {
		r.broken("%v", err)
	}
	return archive
}

// compare holds an answer against the example and the operation's schema and
// returns the decoded body, nil if there is none. It ends the case if the status
// is another one: nothing of the rest can be right then.
func (r *Run) compare(response *wire.Response) any {
	expected := r.Example.Response
	r.compareStatus(response.Status, response.Body, expected.Status)
	declared, ok := r.Operation.Response(expected.Status)
	if !ok {
		r.broken("the operation does not declare status %d of its own example", expected.Status)
	}
	if expected.Text != "" && strings.TrimSuffix(string(response.Body), "\n") != expected.Text {
		r.finding("body", "", "is %q, expected %q", excerpt(response.Body), expected.Text)
	}
	if declared.Schema == nil && expected.Body == nil {
		if len(response.Body) > 0 && expected.Text == "" {
			r.finding("body", "", "there is one, where the document has none: %s", excerpt(response.Body))
		}
		return nil
	}
	r.compareContentType(response.Header)
	if expected.Text != "" {
		return nil
	}
	value, err := wire.DecodeJSON(response.Body)
	if err != nil {
		r.fatal("body", "%v: %s", err, excerpt(response.Body))
	}
	if declared.Schema != nil {
		r.compareSchema(declared.Schema, value)
	}
	if reason := contradiction(r.Operation.ID, r.Example.Name); reason != "" {
		r.adapt("the documented body is not compared: %s", reason)
	} else {
		r.match("", expected.Body, value)
	}
	return value
}

// contradiction says why the body of an example cannot be what the request asks
// for, "" if it can.
func contradiction(operation, example string) string {
	if operation == "NetworkList" && example == "list-custom" {
		return "the request asks for networks of users, the answer shows only those of the engine"
	}
	return ""
}

// undetermined says that a value follows from how the image of the documented
// example came about, and not from the request: the image that a command was run
// in is named as whoever ran it named it.
func undetermined(operation, path string) bool {
	return operation == "ImageInspect" && (path == "/Config/Image" || path == "/ContainerConfig/Image")
}

func (r *Run) compareStatus(got int, body []byte, want int) {
	if got == http.StatusNotImplemented {
		panic(halt{Unsupported, "status 501: " + excerpt(body)})
	}
	if got != want {
		r.finding("status", "", "is %d, expected %d: %s", got, want, excerpt(body))
		panic(halt{Fail, ""})
	}
}

// compareAPIVersion wants the header that tells clients which version to speak.
func (r *Run) compareAPIVersion(header http.Header) {
	newest := header.Get("Api-Version")
	if CompareVersions(newest, r.Document.Version) < 0 || strings.Trim(newest, "0123456789.") != "" {
		r.finding("header", "", "Api-Version is %q, expected %s or newer", newest, r.Document.Version)
	}
}

// compareContentType wants the media type of the example, or else one that the
// operation produces.
func (r *Run) compareContentType(header http.Header) {
	allowed := r.Operation.Produces
	for name, value := range r.Example.Response.Headers {
		if strings.EqualFold(name, "Content-Type") {
			media, _, _ := strings.Cut(value, ";")
			allowed = []string{media}
		}
	}
	if len(allowed) == 0 {
		return
	}
	if got := wire.MediaType(header); !slices.ContainsFunc(allowed, func(media string) bool { return strings.EqualFold(media, got) }) {
		r.finding("content-type", "", "is %q, expected %s", header.Get("Content-Type"), strings.Join(allowed, " or "))
	}
}

func (r *Run) compareSchema(s *document.Schema, value any) {
	const most = 40
	for i, problem := range schema.Check(r.Document, s, value) {
		if i == most {
			r.finding("body", "", "and more differences")
			return
		}
		r.finding("body", problem.Path, "%s", problem.Text)
	}
}

// match compares the values that placeholders determine. A placeholder that has
// no value yet gets it from the answer.
func (r *Run) match(path string, want, got any) {
	if !r.mentionsPlaceholder(want) || undetermined(r.Operation.ID, path) {
		return
	}
	switch want := want.(type) {
	case string:
		r.matchString(path, want, got)
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			r.finding("value", path, "is %s, expected an object", text(got))
			return
		}
		for documented, item := range want {
			key := document.ExpandString(documented, r.values)
			if _, there := object[key]; !there && (r.mentionsPlaceholder(item) || r.mentionsPlaceholder(documented)) {
				r.finding("value", path+"/"+key, "is missing")
				continue
			}
			r.match(path+"/"+key, item, object[key])
		}
	case []any:
		list, ok := got.([]any)
		if !ok {
			r.finding("value", path, "is %s, expected a list", text(got))
			return
		}
		for _, item := range want {
			r.matchAny(path, item, list)
		}
	}
}

// matchAny wants an item of the list that is like the documented one.
func (r *Run) matchAny(path string, want any, list []any) {
	if !r.mentionsPlaceholder(want) {
		return
	}
	for _, item := range list {
		trial := &Run{Case: r.Case, suite: r.suite, values: r.values}
		trial.match(path, want, item)
		if len(trial.findings) == 0 {
			return
		}
	}
	r.finding("value", path, "has no item like %s", text(document.Expand(want, r.values)))
}

func (r *Run) matchString(path, want string, got any) {
	answer, ok := got.(string)
	if !ok {
		r.finding("value", path, "is %s, expected a string", text(got))
		return
	}
	for name, placeholder := range r.Example.Placeholders {
		if want == "{"+name+"}" && r.values[name] == "" {
			r.values[name] = answer
			if !looksLike(placeholder.Kind, answer) {
				r.finding("value", path, "is %q, which is no %s", answer, placeholder.Kind)
			}
			return
		}
		if want == "{"+name+"}" {
			r.equal("value", path, got, r.values[name])
			return
		}
		if strings.Contains(want, "{"+name+"}") && !strings.Contains(answer, r.values[name]) {
			r.finding("value", path, "is %q, expected %q in it", answer, r.values[name])
		}
	}
}

func (r *Run) mentionsPlaceholder(value any) bool {
	for name := range r.Example.Placeholders {
		if document.Mentions(value, name) {
			return true
		}
	}
	return false
}

// looksLike checks the form of a value that the daemon chose.
func looksLike(kind, value string) bool {
	switch kind {
	case "container-id", "exec-id", "network-id":
		return isHex(value, 64)
	case "image-id":
		return isHex(strings.TrimPrefix(value, "sha256:"), 64)
	default:
		return value != ""
	}
}

func isHex(value string, length int) bool {
	return len(value) == length && strings.Trim(value, "0123456789abcdef") == ""
}
