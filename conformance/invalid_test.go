package conformance

import (
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/conformance/document"
)

// Every query parameter of every document has a case with a wrong value, or a
// reason why there is none.
func TestEveryParameterHasAWrongValue(t *testing.T) {
	documents := allDocuments(t)
	known := map[string]bool{}
	for _, c := range Cases(documents) {
		known[c.ID] = true
	}
	for _, doc := range documents {
		for _, operation := range doc.Operations {
			for _, parameter := range operation.Parameters {
				if parameter.In != "query" {
					continue
				}
				names, reason := wrongCases(operation.ID, parameter)
				has := slices.ContainsFunc(names, func(name string) bool { return known["v"+doc.Version+"/"+operation.ID+"/"+name] })
				if has == (reason != "") {
					t.Errorf("v%s/%s: %s has a case with a wrong value: %t, a reason why not: %q", doc.Version, operation.ID, parameter.Name, has, reason)
				}
			}
		}
	}
}

// wrongCases are the names that a case with a wrong value may have.
func wrongCases(operation string, parameter document.Parameter) (names []string, reason string) {
	switch {
	case parameter.Name == "filters":
		return []string{"malformed-filters"}, ""
	case parameter.Type == "integer":
		return []string{"no-number-" + parameter.Name}, ""
	case parameter.Type == "boolean":
		return []string{"boolean-" + parameter.Name}, ""
	}
	name, reason := wrongElsewhere(operation, parameter.Name)
	return []string{"bad-" + parameter.Name, name}, reason
}
