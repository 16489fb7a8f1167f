package grant

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzNarrow: whatever a client writes as the conditions of a list, the engine gets the
// grant's label among those that must all hold, or what it cannot read.
func FuzzNarrow(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", `{"label":["a"]}`, `{"label":{"a":true},"since":["mine"]}`, `{"label":null}`, `{"label":["a"],"label":{"b":true}}`, `{"Label":[]}`,
		`{"label":"x"}`, `{"before":[]}`, "[]", `{"label":["team=b"]} {}`,
	} {
		f.Add(text)
	}
	g, err := New("s", []string{"Containers"}, []string{"team=a"})
	if err != nil {
		f.Fatal(err)
	}
	l := &limited{g, &world{}}
	f.Fuzz(func(t *testing.T, filters string) {
		defer effort.Bound()()
		narrowed, err := l.narrow(t.Context(), filters)
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(narrowed), &members) != nil {
			return // the engine refuses it
		}
		var labels []string
		if json.Unmarshal(members["label"], &labels) != nil {
			var set map[string]bool
			if json.Unmarshal(members["label"], &set) != nil && narrowed == filters && members["label"] != nil {
				return // refused, too
			}
		}
		if !slices.Contains(labels, "team=a") {
			t.Errorf("%s became %s", filters, narrowed)
		}
	})
}
