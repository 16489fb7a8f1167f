package conformance

import (
	"context"
	_ "embed"
	"sync"
)

// referenceYAML are the reviewed differences between a daemon that is as the
// documents say and Docker Engine 20.10, which serves these versions, too.
//
//go:embed reference-deviations.yaml
var referenceYAML []byte

// Reference is how a second daemon did in a case, and how its answers differ
// from the first one's.
type Reference struct {
	Verdict Verdict `json:"verdict"`
	Reason  string  `json:"reason,omitempty"`
	// Findings are against the document.
	Findings []Finding `json:"findings,omitempty"`
	// Differences are against the first daemon: "here" is that one, "there" the
	// reference. Explained ones have been reviewed.
	Differences []Finding   `json:"differences,omitempty"`
	Explained   []Explained `json:"explained,omitempty"`
}

// referenceDeviations are the embedded ones; they are part of the program, so
// that an error is a bug of the suite.
var referenceDeviations = sync.OnceValue(func() Deviations {
	list, err := ParseDeviations(referenceYAML)
	if err != nil {
		panic(err)
	}
	return list
})

// RunBeside runs a case on a second daemon and sets its answers beside those of
// a result.
func (s *Suite) RunBeside(ctx context.Context, first *Result) {
	second := s.Run(ctx, first.Case)
	r := &Reference{Verdict: second.Verdict, Reason: second.Reason, Findings: second.Findings}
	var differences []Finding
	for i := range min(len(first.Answers), len(second.Answers)) {
		differences = append(differences, first.Answers[i].Differences(second.Answers[i])...)
	}
	if len(first.Answers) != len(second.Answers) {
		differences = append(differences, Finding{Rule: "answers", Text: "one of the daemons did not come to the request"})
	}
	r.Differences, r.Explained = referenceDeviations().Explain(first.ID, differences)
	first.Reference = r
}
