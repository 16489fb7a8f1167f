package conformance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// small is a document with one of everything that the gate looks at.
const small = `{"swagger":"2.0","basePath":"/v1.23","info":{"version":"1.23"},"paths":{"/things/{name}":{"post":{"operationId":"ThingMake","tags":["Misc"],
	"parameters":[{"name":"name","in":"path","type":"string"},{"name":"deep","in":"query","type":"boolean"},{"name":"X-Key","in":"header","type":"string"},
		{"name":"body","in":"body","schema":{"$ref":"#/definitions/Thing"}}],
	"responses":{"200":{"description":"","schema":{"$ref":"#/definitions/Thing"}},"404":{"description":""}}}}},
	"definitions":{"Thing":{"type":"object","properties":{"Size":{"type":"integer"},"Parts":{"type":"array","items":{"$ref":"#/definitions/Thing"}}}}}}`

func smallDocument(t *testing.T, text string) *document.Document {
	t.Helper()
	doc, err := document.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// The gate notices one of each kind that no case is about: nothing asked, then
// all but one, then all.
func TestUncovered(t *testing.T) {
	doc := smallDocument(t, small)
	operation := doc.Operation("ThingMake")
	run := func(status int, target, body, answer string, header http.Header) *Result {
		exchange := wire.NewExchange(http.MethodPost, target, header, []byte(body))
		exchange.Status = status
		return &Result{
			Case:      &Case{ID: "x", Document: doc, Operation: operation},
			Exchanges: []Recorded{{Phase: string(request), Exchange: exchange}},
			Answers:   []Answer{answerOf(status, http.Header{"Content-Type": {"application/json"}}, []byte(answer))},
		}
	}
	all := []string{
		"v1.23/ThingMake/status/200", "v1.23/ThingMake/status/404", "v1.23/ThingMake/query/deep", "v1.23/ThingMake/header/X-Key",
		"v1.23/ThingMake/body/Parts", "v1.23/ThingMake/body/Size", "v1.23/ThingMake/answer/Parts", "v1.23/ThingMake/answer/Size",
	}
	key := http.Header{"X-Key": {"k"}}
	full := run(200, "/v1.23/things/a?deep=1", `{"Size":1,"Parts":[]}`, `{"Size":1,"Parts":[]}`, key)
	missing := run(404, "/v1.23/things/a", "", "", nil)
	for name, test := range map[string]struct {
		results []*Result
		want    []string
	}{
		"nothing asked":      {nil, all},
		"everything":         {[]*Result{full, missing}, nil},
		"a status":           {[]*Result{full}, all[1:2]},
		"a parameter":        {[]*Result{missing, run(200, "/v1.23/things/a", `{"Size":1,"Parts":[]}`, `{"Size":1,"Parts":[]}`, key)}, all[2:3]},
		"a header":           {[]*Result{missing, run(200, "/v1.23/things/a?deep=1", `{"Size":1,"Parts":[]}`, `{"Size":1,"Parts":[]}`, nil)}, all[3:4]},
		"a field sent":       {[]*Result{missing, run(200, "/v1.23/things/a?deep=1", `{"Parts":[]}`, `{"Size":1,"Parts":[]}`, key)}, all[5:6]},
		"a field answered":   {[]*Result{missing, run(200, "/v1.23/things/a?deep=1", `{"Size":1,"Parts":[]}`, `{"Parts":[]}`, key)}, all[7:8]},
		"another's requests": {[]*Result{run(200, "/v1.23/others/a?deep=1", `{"Size":1}`, "", key)}, all},
	} {
		if got := Uncovered([]*document.Document{doc}, test.results); strings.Join(got, " ") != strings.Join(test.want, " ") {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	// A new operation has no case at all.
	more := smallDocument(t, strings.Replace(small, `"/things/{name}"`, `"/new":{"get":{"operationId":"NewOne","tags":["Misc"],"responses":{"200":{"description":""}}}},"/things/{name}"`, 1))
	if got := Uncovered([]*document.Document{more}, []*Result{full, missing}); len(got) != 1 || got[0] != "v1.23/NewOne/status/200" {
		t.Errorf("a new operation: %v", got)
	}
}

func TestGaps(t *testing.T) {
	gaps, err := ParseGaps([]byte(`
- {part: "v1.2[23]/ThingMake/body/Parts[].*", reason: because}
- {part: "v1.*/*/status/500", reason: because}
- {part: "v1.*/ThingMake/answer/progress", reason: time, sometimes: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := gaps.Compare([]string{"v1.22/ThingMake/body/Parts[].Size", "v1.18/Any/status/500"}); len(got) != 0 {
		t.Errorf("listed: %v", got)
	}
	got := gaps.Compare([]string{"v1.21/ThingMake/body/Parts[].Size", "v1.18/Any/status/500"})
	if len(got) != 2 || got[0].Case != "v1.21/ThingMake/body/Parts[].Size" || got[1].Case != "v1.2[23]/ThingMake/body/Parts[].*" {
		t.Errorf("not listed, and stale: %v", got)
	}
	for _, bad := range []string{"- {part: x}", "- {reason: x}", "x", `- {part: "v1.[/x", reason: x}`} {
		if _, err := ParseGaps([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if _, err := KnownGaps(); err != nil {
		t.Error(err)
	}
}
