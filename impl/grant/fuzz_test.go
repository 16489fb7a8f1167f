package grant

import (
	"slices"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/filter"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzNarrow: whatever a client writes as the conditions of a list, the engine gets the
// same with the grant's label among those that must all hold, or nothing.
func FuzzNarrow(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", `{"before":[[]]}`, `{"label":["a",1]}`, `{"label":["a"]}`, `{"label":{"a":true},"since":["mine"]}`, `{"label":null}`, `{"label":["a"],"label":{"b":true}}`, `{"Label":[]}`,
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
		asked, invalid := filter.Parse(filters)
		narrowed, err := l.narrow(t.Context(), filters)
		if err != nil {
			if !errdefs.IsNotFound(err) && (invalid == nil || !errdefs.IsInvalidArgument(err)) {
				t.Errorf("%s: %v", filters, err)
			}
			return
		}
		got, err := filter.Parse(narrowed)
		if err != nil || invalid != nil || !slices.Contains(got["label"], "team=a") {
			t.Fatalf("%s became %s: %v", filters, narrowed, err)
		}
		for key, values := range asked {
			switch key {
			case "before", "since": // by their ids
			case "label":
				values = append(values, "team=a")
				slices.Sort(values)
				fallthrough
			default:
				if !slices.Equal(got[key], slices.Compact(values)) {
					t.Errorf("%s became %s", filters, narrowed)
				}
			}
		}
	})
}
