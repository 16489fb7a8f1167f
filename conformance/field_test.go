package conformance

import "testing"

// Every property of a body that makes something is set by a case, or there is a
// reason why not. A property that an overlay adds has neither.
func TestEveryFieldHasACase(t *testing.T) {
	for _, doc := range allDocuments(t) {
		for _, operation := range doc.Operations {
			for _, f := range fields(doc, operation) {
				_, sampled := sample(f)
				reason := withoutSample(f)
				if !sampled && reason == "" {
					t.Errorf("v%s %s: no case sets %s, and no reason is given", doc.Version, operation.ID, f)
				}
			}
		}
	}
}

func TestHolds(t *testing.T) {
	got := map[string]any{"a": []any{"x", "y"}, "b": map[string]any{"c": true, "d": nil}}
	for name, test := range map[string]struct {
		want any
		ok   bool
	}{
		"part":          {map[string]any{"a": []string{"y"}, "b": map[string]any{"c": true}}, true},
		"another value": {map[string]any{"b": map[string]any{"c": false}}, false},
		"missing":       {map[string]any{"e": "x"}, false},
		"missing item":  {map[string]any{"a": []string{"z"}}, false},
		"another kind":  {[]any{"x"}, false},
	} {
		if holds(got, test.want) != test.ok {
			t.Errorf("%s: %t, expected %t", name, !test.ok, test.ok)
		}
	}
}
