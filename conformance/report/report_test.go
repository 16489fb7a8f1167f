package report

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
	"github.com/seed-50ced230/berth/spec"
)

// sample has one case of every verdict, the failed one listed as expected.
func sample(t *testing.T) *Report {
	t.Helper()
	endpoint, err := wire.ParseEndpoint("unix:///run/x.sock", nil)
	if err != nil {
		t.Fatal(err)
	}
	doc := &document.Document{Version: "1.23"}
	operation := &document.Operation{ID: "ImageTag", Tags: []string{"Images"}, Method: "POST", Path: "/images/{name}/tag"}
	var results []*conformance.Result
	for _, verdict := range conformance.Verdicts() {
		results = append(results, &conformance.Result{
			Case: &conformance.Case{
				ID: "v1.23/ImageTag/" + string(verdict), Name: string(verdict), Document: doc, Operation: operation,
				Requirement: "It holds.", Source: "somewhere",
			},
			Verdict: verdict, Reason: "because <of> \x01 this", Duration: time.Second,
			Exchanges: []conformance.Recorded{{Phase: "request", Exchange: &wire.Exchange{Method: "POST", Target: "/v1.23/images/a/tag", Status: 201}}},
		})
	}
	reds := conformance.ExpectedReds{{Case: "v1.23/ImageTag/fail", Reason: "later"}}
	all := []*conformance.Case{{ID: "v1.23/ImageTag/left-out", Level: conformance.Must}, {ID: "v1.23/ImageTag/other", Level: conformance.Should}}
	for _, result := range results {
		all = append(all, result.Case)
	}
	return New(Facts{
		Host: endpoint, Started: time.Now(), All: all, Results: results, Reds: reds,
		Changes: []spec.Change{{Version: "1.23", IDs: []string{"v1.23-01"}, Description: "A state is shown.", Operations: []string{"ImageTag"}}},
	})
}

func TestResult(t *testing.T) {
	r := sample(t)
	if r.Result != "fail" || r.Chosen != 5 || r.Known != 7 {
		t.Errorf("result %s of %d of %d", r.Result, r.Chosen, r.Known)
	}
	// The listed failure and the pass are in agreement with the list.
	if len(r.Disagreements) != 3 {
		t.Errorf("disagreements: %q", r.Disagreements)
	}
}

// A case that MUST pass and was left out makes a result partial; one that only
// SHOULD does not.
func TestPartial(t *testing.T) {
	must, should := &conformance.Case{ID: "a", Level: conformance.Must}, &conformance.Case{ID: "b", Level: conformance.Should}
	passed := func(c *conformance.Case) *conformance.Result {
		c.Document, c.Operation = &document.Document{Version: "1.23"}, &document.Operation{ID: "SystemPing"}
		return &conformance.Result{Case: c, Verdict: conformance.Pass}
	}
	for _, test := range []struct {
		results []*conformance.Result
		want    string
	}{
		{[]*conformance.Result{passed(must)}, "pass"},
		{[]*conformance.Result{passed(should)}, "partial"},
		{[]*conformance.Result{passed(must), passed(should)}, "pass"},
	} {
		if got := New(Facts{All: []*conformance.Case{must, should}, Results: test.results}).Result; got != test.want {
			t.Errorf("%d results: %s, want %s", len(test.results), got, test.want)
		}
	}
}

func TestCoverageCountsWhatWasAsked(t *testing.T) {
	operation := &document.Operation{
		ID: "ImageTag", Method: "POST", Path: "/images/{name}/tag",
		Parameters: []document.Parameter{{Name: "name", In: "path"}, {Name: "repo", In: "query"}, {Name: "force", In: "query"}},
		Responses:  map[string]document.Response{"201": {}, "404": {}},
	}
	exchange := func(phase, method, target string, status int) conformance.Recorded {
		return conformance.Recorded{Phase: phase, Exchange: &wire.Exchange{Method: method, Target: target, Status: status}}
	}
	schema := &document.Schema{Type: "object", Properties: map[string]*document.Schema{"Sent": {Type: "string"}, "Unsent": {Type: "string"}}}
	operation.Parameters = append(operation.Parameters, document.Parameter{In: "body", Name: "body", Schema: schema})
	doc := &document.Document{Version: "1.23", Operations: []*document.Operation{operation}}
	sent := exchange("request", "POST", "/v1.23/images/a/tag", 201)
	sent.Exchange = wire.NewExchange("POST", "/v1.23/images/a/tag", nil, []byte(`{"Sent":"x"}`))
	sent.Exchange.Status = 201
	covered := cover([]*document.Document{doc, {Version: "1.22"}}, []*conformance.Result{{
		Case: &conformance.Case{Operation: operation, Document: doc},
		Exchanges: []conformance.Recorded{
			exchange("setup", "POST", "/v1.23/images/a/tag?force=1", 404),
			exchange("request", "POST", "/v1.23/images/a/b/tag?repo=x", 201),
			exchange("request", "GET", "/v1.23/images/a/json?force=1", 404),
			sent,
		},
	}})
	if got := covered[0]; got.Statuses != 2 || len(got.Unseen) != 1 || got.Unseen[0] != "404" || len(got.Unsent) != 1 || got.Unsent[0] != "force" {
		t.Errorf("covered %+v", got)
	}
	if got := covered[0]; got.Fields != 2 || len(got.Unused) != 1 || got.Unused[0] != "body/Unsent" {
		t.Errorf("fields %+v", got)
	}
}

func TestJUnitHasARealFailure(t *testing.T) {
	raw, err := sample(t).junit()
	if err != nil {
		t.Fatal(err)
	}
	var suites junitSuites
	if err := xml.Unmarshal(raw, &suites); err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	if suites.Tests != 5 || suites.Failures != 1 || suites.Errors != 2 || suites.Skipped != 1 {
		t.Errorf("%d tests, %d failures, %d errors, %d skipped", suites.Tests, suites.Failures, suites.Errors, suites.Skipped)
	}
	for _, c := range suites.Suites[0].Cases {
		switch c.Name {
		case "v1.23/ImageTag/unsupported":
			if c.Failure == nil || c.Failure.Type != "unsupported" || !strings.Contains(c.Failure.Text, "because <of>") {
				t.Errorf("unsupported is %+v", c.Failure)
			}
		case "v1.23/ImageTag/fail":
			if c.Skipped == nil || c.Skipped.Message != "expected: later" {
				t.Errorf("an expected red is %+v", c.Skipped)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new", "report")
	if err := sample(t).Write(directory); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(directory, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`id="v1-23-ImageTag-pass"`, "1/5", "A state is shown.", "because &lt;of&gt;", "curl -i -X POST --unix-socket &#39;/run/x.sock&#39;"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, outside := range []string{"http://fonts", "https://", "<link", "src="} {
		if strings.Contains(string(page), outside) {
			t.Errorf("the page needs something from elsewhere: %q", outside)
		}
	}
}
