// Package conformance asks a daemon every question that the documents of the
// API answer: each documented example becomes one case per version, with the
// preconditions built through the API of that version, the answer compared with
// the document, and the effect read back.
package conformance

import "fmt"

// Verdict is what a case found out.
type Verdict string

// The verdicts. Only Pass is good; the others tell apart who has to act.
const (
	// Pass means that everything was as the document says.
	Pass Verdict = "pass"
	// Fail means that the daemon did something else.
	Fail Verdict = "fail"
	// Unsupported means that the daemon says it does not do this: status 501, or
	// it refuses the version.
	Unsupported Verdict = "unsupported"
	// Blocked means that a precondition could not be built, so that nothing was
	// found out about the requirement.
	Blocked Verdict = "blocked"
	// SuiteError means that the suite itself is wrong.
	SuiteError Verdict = "suite error"
)

// Verdicts lists all, the best first.
func Verdicts() []Verdict { return []Verdict{Pass, Fail, Unsupported, Blocked, SuiteError} }

// Finding is one difference between the document and the daemon.
type Finding struct {
	// Rule says what was looked at: status, content-type, header, body, value,
	// effect, stream, transport.
	Rule string `json:"rule"`
	// Path is a JSON pointer into the body, or empty.
	Path string `json:"path,omitempty"`
	// Text says what was expected and what came.
	Text string `json:"text"`
}

func (f Finding) String() string {
	if f.Path == "" {
		return fmt.Sprintf("%s: %s", f.Rule, f.Text)
	}
	return fmt.Sprintf("%s: %s: %s", f.Rule, f.Path, f.Text)
}

// halt ends a case early; it travels as a panic from the place that noticed to
// the case's runner.
type halt struct {
	verdict Verdict
	text    string
}
