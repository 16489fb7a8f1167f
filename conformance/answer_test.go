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
	operation := &document.Operation{ID: "SystemInfo"}
	result := func(version, body string) *Result {
		c := newCase(Case{Name: "info", Document: &document.Document{Version: version}, Operation: operation}, "own")
		return &Result{Case: c, Verdict: Pass, Answers: []Answer{jsonAnswer(200, body)}}
	}
	refused := result("1.19", `{}`)
	refused.Verdict = Unsupported
	steps := Axis([]*Result{result("1.23", `{"A":1,"B":1,"C":1}`), result("1.21", `{"A":1}`), result("1.22", `{"A":1,"B":1}`), result("1.20", `{"A":2}`), refused},
		func(operation, version string) []string {
			if operation == "SystemInfo" && version == "1.22" {
				return []string{"B came."}
			}
			return nil
		})
	if len(steps) != 2 || steps[0].To != "1.22" || len(steps[0].Changes) != 1 || steps[1].From != "1.22" || len(steps[1].Changes) != 0 || steps[1].Differences[0].Path != "C" {
		t.Errorf("steps %+v", steps)
	}
}
