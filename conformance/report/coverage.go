package report

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/document"
)

// Coverage says what of the documents the requests of a run touched, counted
// from the exchanges themselves. Requests that only built a precondition do not
// count.
type Coverage struct {
	Operations []OperationCoverage `json:"operations"`
	Changes    []ChangeCoverage    `json:"changes"`
}

// OperationCoverage is what the run asked of an operation, over all versions.
type OperationCoverage struct {
	Operation string `json:"operation"`
	// Statuses and Parameters count what is declared, the Unseen and Unsent lists
	// name what never came or was never sent.
	Statuses   int      `json:"statuses"`
	Unseen     []string `json:"unseen"`
	Parameters int      `json:"parameters"`
	Unsent     []string `json:"unsent"`
	// Fields counts the fields of bodies and answers, Unused names those that no
	// version's cases sent or saw: "body/HostConfig.Memory".
	Fields int      `json:"fields"`
	Unused []string `json:"unused"`
}

// ChangeCoverage is a documented change with what its cases found.
type ChangeCoverage struct {
	ID          string `json:"id"`
	Description string `json:"description"`
	// Cases are the cases at the version of the change.
	Cases []ChangeCase `json:"cases,omitempty"`
	// Without says why there is none.
	Without string `json:"without,omitempty"`
}

// ChangeCase is a case of a change.
type ChangeCase struct {
	ID string `json:"id"`
	// Verdict is empty if the case did not run.
	Verdict conformance.Verdict `json:"verdict"`
}

// seen is what requests of an operation did.
type seen struct {
	operation  string
	declared   map[string]bool // statuses
	statuses   map[string]bool
	parameters map[string]bool // declared names, true once sent
}

func cover(documents []*document.Document, results []*conformance.Result) []OperationCoverage {
	used := fieldsUsed(documents, results)
	var order []*seen
	byID := map[string]*seen{}
	for _, result := range results {
		s := byID[result.Operation.ID]
		if s == nil {
			s = &seen{result.Operation.ID, map[string]bool{}, map[string]bool{}, map[string]bool{}}
			byID[result.Operation.ID] = s
			order = append(order, s)
		}
		s.add(result)
	}
	var list []OperationCoverage
	for _, s := range order {
		c := OperationCoverage{Operation: s.operation, Statuses: len(s.declared), Parameters: len(s.parameters)}
		for status := range s.declared {
			if !s.statuses[status] {
				c.Unseen = append(c.Unseen, status)
			}
		}
		for name, sent := range s.parameters {
			if !sent {
				c.Unsent = append(c.Unsent, name)
			}
		}
		for name, once := range used[s.operation] {
			c.Fields++
			if !once {
				c.Unused = append(c.Unused, name)
			}
		}
		slices.Sort(c.Unused)
		slices.Sort(c.Unseen)
		slices.Sort(c.Unsent)
		list = append(list, c)
	}
	return list
}

// fieldsUsed are the fields of each operation at the versions that ran, true if
// the cases of one of them sent or saw it.
func fieldsUsed(documents []*document.Document, results []*conformance.Result) map[string]map[string]bool {
	ran := map[string]bool{}
	for _, result := range results {
		ran[result.Document.Version] = true
	}
	documents = slices.DeleteFunc(slices.Clone(documents), func(d *document.Document) bool { return !ran[d.Version] })
	uncovered := map[string]bool{}
	for _, part := range conformance.Uncovered(documents, results) {
		uncovered[part] = true
	}
	fields := map[string]map[string]bool{}
	for _, doc := range documents {
		for _, part := range conformance.Parts(doc) {
			words := strings.SplitN(part, "/", 3) // version, operation, kind and name
			if kind, _, _ := strings.Cut(words[2], "/"); kind != "body" && kind != "answer" {
				continue
			}
			if fields[words[1]] == nil {
				fields[words[1]] = map[string]bool{}
			}
			fields[words[1]][words[2]] = fields[words[1]][words[2]] || !uncovered[part]
		}
	}
	return fields
}

func (s *seen) add(result *conformance.Result) {
	for status := range result.Operation.Responses {
		s.declared[status] = true
	}
	for _, parameter := range result.Operation.Parameters {
		if parameter.In == "query" && !s.parameters[parameter.Name] {
			s.parameters[parameter.Name] = false
		}
	}
	for _, recorded := range result.Exchanges {
		_, rawQuery, _ := strings.Cut(recorded.Exchange.Target, "?")
		if recorded.Phase != "request" || !result.Operation.Asks(recorded.Exchange.Method, recorded.Exchange.Target) {
			continue
		}
		if recorded.Exchange.Status != 0 {
			s.statuses[strconv.Itoa(recorded.Exchange.Status)] = true
		}
		query, _ := url.ParseQuery(rawQuery)
		for name := range query {
			if _, declared := s.parameters[name]; declared {
				s.parameters[name] = true
			}
		}
	}
}

// coverChanges joins the rows of the changes with the results; descriptions are
// those of the documents, by row.
func coverChanges(results []*conformance.Result, descriptions map[string]string) []ChangeCoverage {
	verdicts := map[string]conformance.Verdict{}
	for _, result := range results {
		verdicts[result.ID] = result.Verdict
	}
	var list []ChangeCoverage
	for _, row := range conformance.ChangeRows() {
		change := ChangeCoverage{ID: row.ID, Description: descriptions[row.ID], Without: row.Without}
		for _, name := range row.Cases {
			id := "v" + row.Version() + "/" + name
			change.Cases = append(change.Cases, ChangeCase{ID: id, Verdict: verdicts[id]})
		}
		list = append(list, change)
	}
	return list
}
