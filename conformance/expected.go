package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"

	"go.yaml.in/yaml/v3"
)

// ExpectedRed is a case that is known not to pass.
type ExpectedRed struct {
	// Case is a case's id; * stands for any part, as in v1.*/ContainerLogs/*.
	Case string `yaml:"case"`
	// Reason says why, for whoever reads the report.
	Reason string `yaml:"reason"`
}

// ExpectedReds is the content of a file of them.
type ExpectedReds []ExpectedRed

// ParseExpectedReds reads the YAML list. Every item needs both fields.
func ParseExpectedReds(raw []byte) (ExpectedReds, error) {
	var reds ExpectedReds
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&reds); errors.Is(err, io.EOF) {
		return ExpectedReds{}, nil // nothing but comments
	} else if err != nil {
		return nil, fmt.Errorf("decode the expected reds: %w", err)
	}
	for i, red := range reds {
		if red.Case == "" || red.Reason == "" {
			return nil, fmt.Errorf("expected red %d needs a case and a reason", i+1)
		}
		if _, err := path.Match(red.Case, ""); err != nil {
			return nil, fmt.Errorf("expected red %q: %w", red.Case, err)
		}
	}
	return reds, nil
}

// Reason returns why a case is expected to be red, "" if it is not.
func (reds ExpectedReds) Reason(id string) string {
	for _, red := range reds {
		if ok, _ := path.Match(red.Case, id); ok {
			return red.Reason
		}
	}
	return ""
}

// Disagreement is a difference between the list and a run.
type Disagreement struct {
	Case string
	// Text says which: red and not listed, or listed and green.
	Text string
}

// Compare holds the list against results, in both directions. Listed cases that
// did not run are no difference. A nil list is no list: only cases that MUST pass
// count then.
func (reds ExpectedReds) Compare(results []*Result) []Disagreement {
	var differences []Disagreement
	for _, result := range results {
		listed := reds.Reason(result.ID) != ""
		switch {
		case result.Verdict == SuiteError:
			differences = append(differences, Disagreement{result.ID, "the suite is broken, which no list excuses"})
		case reds == nil && result.Level == Should:
		case result.Verdict != Pass && !listed:
			differences = append(differences, Disagreement{result.ID, string(result.Verdict) + " and not listed"})
		case result.Verdict == Pass && listed:
			differences = append(differences, Disagreement{result.ID, "listed as red and passed"})
		}
	}
	return differences
}
