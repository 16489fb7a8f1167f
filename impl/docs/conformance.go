package docs

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Conformance is what a run of the suite found, by version and operation. It
// is read from the suite's report.json.
type Conformance struct {
	// Host is the daemon that was asked, Started when (RFC 3339).
	Host    string
	Started string
	cases   map[string]map[string]*Verdicts
}

// Verdicts counts the cases of an operation.
type Verdicts struct {
	Passed, Cases int
	// Others names the cases that did not pass, with their verdicts.
	Others []string
}

// ReadConformance reads the report.json of berth-conformance.
func ReadConformance(r io.Reader) (*Conformance, error) {
	var report struct {
		Host    string `json:"host"`
		Started string `json:"started"`
		Cases   []struct {
			ID        string `json:"id"`
			Version   string `json:"version"`
			Operation string `json:"operation"`
			Verdict   string `json:"verdict"`
		} `json:"cases"`
	}
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		return nil, fmt.Errorf("read the conformance report: %w", err)
	}
	if len(report.Cases) == 0 {
		return nil, fmt.Errorf("read the conformance report: it has no cases; give the report.json of berth-conformance --report")
	}
	c := &Conformance{Host: report.Host, Started: report.Started, cases: map[string]map[string]*Verdicts{}}
	for _, k := range report.Cases {
		if c.cases[k.Version] == nil {
			c.cases[k.Version] = map[string]*Verdicts{}
		}
		v := c.cases[k.Version][k.Operation]
		if v == nil {
			v = &Verdicts{}
			c.cases[k.Version][k.Operation] = v
		}
		v.Cases++
		if k.Verdict == "pass" {
			v.Passed++
		} else {
			v.Others = append(v.Others, k.ID+": "+k.Verdict)
		}
	}
	return c, nil
}

// of gives the verdicts of an operation; nil if there is no report or it has no
// case of the operation.
func (c *Conformance) of(version, id string) *Verdicts {
	if c == nil {
		return nil
	}
	return c.cases[version][id]
}

func (s *Site) verdictNote(v *version, o *operation) string {
	found := s.conformance.of(v.Name, o.ID)
	if found == nil {
		return ""
	}
	return fmt.Sprintf("**Conformance.** %d of %d cases passed. ", found.Passed, found.Cases)
}

// OpenConformance is ReadConformance of a file.
func OpenConformance(name string) (*Conformance, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the conformance report: %w", err)
	}
	defer f.Close()
	return ReadConformance(f)
}
