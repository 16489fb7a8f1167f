package conformance

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// deviationsYAML are the reviewed differences between the documents and the
// engine whose answers were recorded.
//
//go:embed deviations.yaml
var deviationsYAML []byte

// Deviation is a difference from a recorded answer that was looked at and is
// meant.
type Deviation struct {
	// Case is a case's id; * stands for any part.
	Case string `yaml:"case"`
	// Rule and Path are those of the finding; * stands for any part of a path,
	// and an empty one for all of them.
	Rule string `yaml:"rule"`
	Path string `yaml:"path"`
	// Text is how the finding's text begins; empty for any.
	Text string `yaml:"text"`
	// Reason says why the daemon is right, Source where that is written: a place
	// in the document, or a rule of this suite.
	Reason string `yaml:"reason"`
	Source string `yaml:"source"`
}

// Explained is a finding with the deviation that explains it.
type Explained struct {
	Finding
	Reason string `json:"reason"`
	Source string `json:"source"`
}

// Deviations is a list of them.
type Deviations []Deviation

// ReviewedDeviations are the embedded ones; they are part of the program, so
// that an error is a bug of the suite.
var ReviewedDeviations = sync.OnceValue(func() Deviations {
	list, err := ParseDeviations(deviationsYAML)
	if err != nil {
		panic(err)
	}
	return list
})

// ParseDeviations reads the YAML list. Every item needs a case, a rule, a
// reason and a source.
func ParseDeviations(raw []byte) (Deviations, error) {
	var list Deviations
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); errors.Is(err, io.EOF) {
		return nil, nil // nothing but comments
	} else if err != nil {
		return nil, fmt.Errorf("decode the deviations: %w", err)
	}
	for i, d := range list {
		if d.Case == "" || d.Rule == "" || d.Reason == "" || d.Source == "" {
			return nil, fmt.Errorf("deviation %d (%s) needs a case, a rule, a reason and a source", i+1, d.Case)
		}
		for _, pattern := range []string{d.Case, escapePath(d.Path)} {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, fmt.Errorf("deviation %q: %w", pattern, err)
			}
		}
	}
	return list, nil
}

// escapePath takes the brackets of a path for themselves.
func escapePath(p string) string { return strings.ReplaceAll(p, "[", `\[`) }

func (d Deviation) concerns(id string) bool {
	ok, _ := path.Match(d.Case, id)
	return ok
}

func (d Deviation) explains(id string, f Finding) bool {
	if !d.concerns(id) || d.Rule != f.Rule || !strings.HasPrefix(f.Text, d.Text) {
		return false
	}
	if d.Path == "" {
		return true
	}
	ok, _ := path.Match(escapePath(d.Path), f.Path)
	return ok
}

// Explain parts the findings of a case into those that are explained and the
// rest.
func (list Deviations) Explain(id string, findings []Finding) (rest []Finding, explained []Explained) {
next:
	for _, f := range findings {
		for _, d := range list {
			if d.explains(id, f) {
				explained = append(explained, Explained{f, d.Reason, d.Source})
				continue next
			}
		}
		rest = append(rest, f)
	}
	return rest, explained
}

// Stale are the deviations that no longer occur: a case that they are about was
// looked at to its end, and none had the finding.
func (list Deviations) Stale(results []*Result) []Disagreement {
	var stale []Disagreement
	for _, d := range list {
		ran, occurs := false, false
		for _, result := range results {
			if !d.concerns(result.ID) || result.Verdict != Pass && result.Verdict != Fail {
				continue
			}
			ran = true
			for _, e := range result.Explained {
				occurs = occurs || d.explains(result.ID, e.Finding)
			}
		}
		if ran && !occurs {
			stale = append(stale, Disagreement{d.Case, fmt.Sprintf("the deviation of its %s %s no longer occurs", d.Rule, d.Path)})
		}
	}
	return stale
}
