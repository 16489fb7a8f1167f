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
	return New(endpoint, time.Now(), 7, results, reds)
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
	for _, want := range []string{`id="v1-23-ImageTag-pass"`, "1/5", "because &lt;of&gt;", "curl -i -X POST --unix-socket &#39;/run/x.sock&#39;"} {
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
