// Package report writes what a run found: JSON for programs, JUnit for CI
// services, and a page for people.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
	"github.com/seed-50ced230/berth/spec"
)

// Report is the result of a run.
type Report struct {
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	// Result is "pass" if all cases passed or were expected not to, "partial" if
	// they did and some that MUST pass were left out, and else "fail".
	Result string `json:"result"`
	// Known is how many cases the documents have, Chosen how many of them ran.
	Known  int `json:"known"`
	Chosen int `json:"chosen"`
	// Totals counts verdicts by version.
	Totals map[string]map[conformance.Verdict]int `json:"totals"`
	Cases  []Case                                 `json:"cases"`
	// Disagreements are the differences from the list of expected reds.
	Disagreements []string `json:"disagreements"`
	Coverage      Coverage `json:"coverage"`
	// Axis sets requirements beside themselves over the versions: where their
	// answers differ, with the documented changes that say so.
	Axis []conformance.Step `json:"axis"`
	// Uncovered are the parts of the documents that no case covers; only a run
	// that left nothing out knows them.
	Uncovered []string `json:"uncovered,omitempty"`
	// Gaps are the reasons why.
	Gaps conformance.Gaps `json:"gaps,omitempty"`
	// Reference is the second daemon's address, empty without one.
	Reference string `json:"reference,omitempty"`
}

// Case is one case of a report.
type Case struct {
	ID          string                `json:"id"`
	Version     string                `json:"version"`
	Operation   string                `json:"operation"`
	Method      string                `json:"method"`
	Path        string                `json:"path"`
	Tag         string                `json:"tag"`
	Name        string                `json:"name"`
	Labels      []string              `json:"labels"`
	Level       conformance.Level     `json:"level"`
	Requirement string                `json:"requirement"`
	Source      string                `json:"source"`
	Mended      string                `json:"mended,omitempty"`
	Verdict     conformance.Verdict   `json:"verdict"`
	Expected    string                `json:"expected,omitempty"`
	Reason      string                `json:"reason,omitempty"`
	Findings    []conformance.Finding `json:"findings,omitempty"`
	// Explained are findings that a reviewed deviation explains.
	Explained []conformance.Explained `json:"explained,omitempty"`
	Reference *conformance.Reference  `json:"reference,omitempty"`
	Adapted   []string                `json:"adapted,omitempty"`
	Millis    int64                   `json:"millis"`
	Curl      string                  `json:"curl,omitempty"`
	Exchanges []Exchange              `json:"exchanges"`
}

// Exchange is one exchange of a case. Pieces are left out for exchanges that
// only built or removed something, unless the case did not pass.
type Exchange struct {
	Phase  string       `json:"phase"`
	Method string       `json:"method"`
	Target string       `json:"target"`
	Status int          `json:"status"`
	Pieces []wire.Piece `json:"pieces,omitempty"`
}

// Facts are what a report is made of.
type Facts struct {
	Host wire.Endpoint
	// Reference is the address of the second daemon, empty without one.
	Reference string
	Started   time.Time
	// All are the cases that the documents have, Results those that ran.
	All     []*conformance.Case
	Results []*conformance.Result
	// Documents and Gaps are for the coverage of a whole run.
	Documents []*document.Document
	Gaps      conformance.Gaps
	// Reds are nil without a list.
	Reds    conformance.ExpectedReds
	Changes []spec.Change
}

// New makes a report.
func New(f Facts) *Report {
	r := &Report{
		Host: f.Host.Host, Reference: f.Reference, Started: f.Started.UTC(), Seconds: time.Since(f.Started).Seconds(),
		Known: len(f.All), Chosen: len(f.Results), Totals: map[string]map[conformance.Verdict]int{},
		Coverage: Coverage{Operations: cover(f.Documents, f.Results), Changes: coverChanges(f.Results, sentences(f.Changes))},
		Axis:     conformance.Axis(f.Results, changesOf(f.Changes)),
	}
	ran := map[string]bool{}
	for _, result := range f.Results {
		ran[result.ID] = true
		version := result.Document.Version
		if r.Totals[version] == nil {
			r.Totals[version] = map[conformance.Verdict]int{}
		}
		r.Totals[version][result.Verdict]++
		r.Cases = append(r.Cases, newCase(f.Host, result, f.Reds.Reason(result.ID)))
	}
	differences := f.Reds.Compare(f.Results)
	if f.Reds != nil {
		differences = append(differences, conformance.ReviewedDeviations().Stale(f.Results)...)
		for _, step := range r.Axis {
			for _, finding := range step.Unexplained {
				differences = append(differences, conformance.Disagreement{
					Case: step.Requirement, Text: fmt.Sprintf("its answers differ between %s and %s (%s), which no documented change explains", step.From, step.To, finding),
				})
			}
		}
	}
	if f.Reds != nil && len(f.Results) == len(f.All) {
		r.Uncovered, r.Gaps = conformance.Uncovered(f.Documents, f.Results), f.Gaps
		differences = append(differences, f.Gaps.Compare(r.Uncovered)...)
	}
	for _, difference := range differences {
		r.Disagreements = append(r.Disagreements, difference.Case+": "+difference.Text)
	}
	leftOut := slices.ContainsFunc(f.All, func(c *conformance.Case) bool { return c.Level == conformance.Must && !ran[c.ID] })
	switch {
	case len(r.Disagreements) > 0:
		r.Result = "fail"
	case leftOut:
		r.Result = "partial"
	default:
		r.Result = "pass"
	}
	return r
}

// sentences gives the words of every documented change by its id.
func sentences(changes []spec.Change) map[string]string {
	words := map[string]string{}
	for _, change := range changes {
		for _, id := range change.IDs {
			if !strings.Contains(words[id], change.Description) {
				words[id] = strings.TrimSpace(words[id] + " " + change.Description)
			}
		}
	}
	return words
}

// changesOf finds the changes of an operation in a version.
func changesOf(changes []spec.Change) func(operation, version string) []string {
	return func(operation, version string) []string {
		var words []string
		for _, change := range changes {
			if change.Version == version && slices.Contains(change.Operations, operation) {
				words = append(words, change.Description)
			}
		}
		return words
	}
}

func newCase(endpoint wire.Endpoint, result *conformance.Result, expected string) Case {
	c := Case{
		ID: result.ID, Version: result.Document.Version, Operation: result.Operation.ID,
		Method: result.Operation.Method, Path: result.Operation.Path,
		Tag: result.Operation.Tag(), Name: result.Name, Labels: result.Labels, Level: result.Level,
		Requirement: result.Requirement, Source: result.Source,
		Verdict: result.Verdict, Reason: result.Reason, Findings: result.Findings, Explained: result.Explained, Reference: result.Reference, Adapted: result.Adapted,
		Millis: result.Duration.Milliseconds(),
	}
	if result.Example != nil {
		c.Mended = result.Example.Mended
	}
	if result.Verdict != conformance.Pass {
		c.Expected = expected
	}
	for _, recorded := range result.Exchanges {
		exchange := Exchange{
			Phase: recorded.Phase, Method: recorded.Exchange.Method,
			Target: recorded.Exchange.Target, Status: recorded.Exchange.Status,
		}
		if recorded.Phase == "request" && c.Curl == "" {
			c.Curl = recorded.Exchange.Curl(endpoint)
		}
		if recorded.Phase == "request" || result.Verdict != conformance.Pass && recorded.Phase != "cleanup" {
			exchange.Pieces = recorded.Exchange.Pieces()
		}
		c.Exchanges = append(c.Exchanges, exchange)
	}
	return c
}

// Explain is the reason and the findings of a case, one per line.
func (c Case) Explain() string {
	text := c.Reason
	for _, finding := range c.Findings {
		if text != "" {
			text += "\n"
		}
		text += finding.String()
	}
	return text
}

// Write writes report.json, junit.xml and index.html into a directory, which is
// made if need be.
func (r *Report) Write(directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("make the report's directory: %w", err)
	}
	encoded, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	junit, err := r.junit()
	if err != nil {
		return err
	}
	page, err := r.page()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"report.json": encoded, "junit.xml": junit, "index.html": page} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o644); err != nil { // reports are for everybody
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}
