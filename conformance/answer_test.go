package conformance

import (
	"net/http"
	"testing"

	"github.com/seed-50ced230/berth/conformance/document"
)

func jsonAnswer(status int, body string, headers ...string) Answer {
	header := http.Header{"Content-Type": {"application/json"}, "Date": {"today"}}
	for _, name := range headers {
		header.Set(name, "x")
	}
	return answerOf(status, header, []byte(body))
}

func TestDifferencesOfAnswers(t *testing.T) {
	single := jsonAnswer(200, `{"Ports":[],"Names":null}`)
	if found := single.Differences(jsonAnswer(200, `{"Ports":null,"Names":null}`)); len(found) != 1 || found[0].Path != "Ports" {
		t.Errorf("null for an empty list: %v", found)
	}
	base := jsonAnswer(200, `[{"Id":"a","Ports":[],"Labels":{"x":"y"},"Size":1}]`)
	for name, test := range map[string]struct {
		other Answer
		want  []string // rule and path
	}{
		"values and labels are not looked at": {jsonAnswer(200, `[{"Id":"b","Ports":[{"A":1}],"Labels":{"z":"y","w":""},"Size":9}]`), nil},
		"a field that is missing":             {jsonAnswer(200, `[{"Id":"a","Ports":[],"Labels":{"x":"y"}}]`), []string{"shape [].Size"}},
		"a field more":                        {jsonAnswer(200, `[{"Id":"a","Ports":[],"Labels":{"x":"y"},"Size":1,"More":1}]`), []string{"shape [].More"}},
		"null":                                {jsonAnswer(200, `[{"Id":"a","Ports":null,"Labels":{"x":"y"},"Size":1}]`), []string{"shape [].Ports"}},
		"another type":                        {jsonAnswer(200, `[{"Id":"a","Ports":[],"Labels":{"x":"y"},"Size":"1"}]`), []string{"shape [].Size"}},
		"an empty list says nothing":          {jsonAnswer(200, `[]`), nil},
		"a status":                            {jsonAnswer(500, `{}`), []string{"status "}},
		"a header":                            {jsonAnswer(200, `[{"Id":"a","Ports":[],"Labels":{"x":"y"},"Size":1}]`, "X-More"), []string{"header X-More"}},
		"a media type":                        {answerOf(200, http.Header{"Content-Type": {"text/plain"}}, nil), []string{"content-type "}},
	} {
		found := base.Differences(test.other)
		if len(found) != len(test.want) {
			t.Errorf("%s: %v", name, found)
			continue
		}
		for i, f := range found {
			if f.Rule+" "+f.Path != test.want[i] {
				t.Errorf("%s: %v, want %s", name, f, test.want[i])
			}
		}
	}
}

func TestAxis(t *testing.T) {
	result := func(version, body string, fields ...string) *Result {
		schema := &document.Schema{Type: "object", Properties: map[string]*document.Schema{}}
		for _, name := range fields {
			schema.Properties[name] = &document.Schema{Type: "integer"}
		}
		operation := &document.Operation{ID: "SystemInfo", Responses: map[string]document.Response{"200": {Schema: schema}}}
		c := newCase(Case{Name: "info", Document: &document.Document{Version: version}, Operation: operation}, "own")
		return &Result{Case: c, Verdict: Pass, Answers: []Answer{jsonAnswer(200, body)}}
	}
	refused := result("1.19", `{}`)
	refused.Verdict = Unsupported
	status := result("1.24", `{"A":1,"B":1,"C":1}`, "A", "B")
	status.Answers[0].Status = http.StatusAccepted
	steps := Axis([]*Result{
		status, result("1.23", `{"A":1,"B":1,"C":1}`, "A", "B"), result("1.21", `{"A":1}`, "A"), result("1.22", `{"A":1,"B":1}`, "A", "B"),
		result("1.20", `{"A":2}`, "A"), refused,
	}, func(operation, version string) []string {
		if operation == "SystemInfo" && version != "1.24" {
			return []string{"B came."}
		}
		return nil
	})
	if len(steps) != 3 {
		t.Fatalf("steps %+v", steps)
	}
	if b := steps[0]; b.To != "1.22" || len(b.Changes) != 1 || len(b.Unexplained) != 0 {
		t.Errorf("a field that the document brings: %+v", b)
	}
	if c := steps[1]; c.From != "1.22" || len(c.Unexplained) != 1 || c.Unexplained[0].Path != "C" {
		t.Errorf("a field that no document has, although something changed: %+v", c)
	}
	if s := steps[2]; len(s.Unexplained) != 1 || s.Unexplained[0].Rule != "status" {
		t.Errorf("a status without a change: %+v", s)
	}
}

// What messages of a stream may leave out comes or not as time has it; what they
// must have, and anything of a list, is compared.
func TestAxisOfMessages(t *testing.T) {
	message := &document.Schema{Type: "object", Properties: map[string]*document.Schema{"progress": {Type: "string", OmitEmpty: true}, "status": {Type: "string"}}}
	steps := func(schema *document.Schema, before, after map[string][]string) []Step {
		result := func(version string, shape map[string][]string) *Result {
			operation := &document.Operation{ID: "ImageCreate", Responses: map[string]document.Response{"200": {Schema: schema}}}
			c := newCase(Case{Name: "pull", Document: &document.Document{Version: version}, Operation: operation}, "example")
			return &Result{Case: c, Verdict: Pass, Answers: []Answer{{Status: 200, Shape: shape}}}
		}
		return Axis([]*Result{result("1.22", before), result("1.23", after)}, func(string, string) []string { return nil })
	}
	both := map[string][]string{"": {"list"}, "[]": {"object"}, "[].progress": {"string"}, "[].status": {"string"}}
	if found := steps(message, map[string][]string{"": {"list"}, "[]": {"object"}, "[].status": {"string"}}, both); len(found) != 0 {
		t.Errorf("an incidental property: %+v", found)
	}
	if found := steps(message, map[string][]string{"": {"list"}, "[]": {"object"}, "[].progress": {"string"}}, both); len(found) != 1 {
		t.Errorf("a property of every message: %+v", found)
	}
	list := &document.Schema{Type: "array", Items: message}
	if found := steps(list, map[string][]string{"": {"list"}, "[]": {"object"}, "[].status": {"string"}}, both); len(found) != 1 {
		t.Errorf("a property of a list: %+v", found)
	}
}
