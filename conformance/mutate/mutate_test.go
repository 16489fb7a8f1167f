package mutate

import (
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/conformance"
	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/spec"
)

// A mutation of a case that does not exist would prove nothing for ever.
func TestMutationsNameCases(t *testing.T) {
	var documents []*document.Document
	for _, version := range spec.Versions() {
		raw, _ := spec.Document(version)
		doc, err := document.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, doc)
	}
	cases, tags := map[string]*conformance.Case{}, map[string]int{}
	for _, c := range conformance.Cases(documents) {
		cases[c.Operation.ID+"/"+c.Name] = c
	}
	for _, mutation := range Mutations() {
		c := cases[mutation.Case]
		if c == nil {
			t.Errorf("%q is about %s, which is no case", mutation.Name, mutation.Case)
			continue
		}
		tags[c.Operation.Tag()]++
		if mutation.Rule() == "" {
			t.Errorf("nothing says what %s has to notice of %q", mutation.Case, mutation.Name)
		}
	}
	for _, tag := range []string{"Containers", "Images", "Misc", "Volumes", "Networks"} {
		if tags[tag] == 0 {
			t.Errorf("no mutation is about %s", tag)
		}
	}
	if len(Mutations()) < 60 {
		t.Errorf("there are %d mutations, expected at least 60", len(Mutations()))
	}
}

func TestSet(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		make func(*Answer)
		want string
	}{
		"every item": {`[{"a":1},{"a":2}]`, drop("*", "a"), `[{},{}]`},
		"one item":   {`{"l":[1,2]}`, set("x", "l", "1"), `{"l":[1,"x"]}`},
		"null":       {`{"a":{"b":1}}`, set(nil, "a", "b"), `{"a":{"b":null}}`},
		"not there":  {`{"a":null}`, drop("a", "b"), `{"a":null}`},
		"no JSON":    {`nope`, drop("a"), `nope`},
	} {
		answer := Answer{Body: []byte(test.body)}
		test.make(&answer)
		if string(answer.Body) != test.want {
			t.Errorf("%s: %s, expected %s", name, answer.Body, test.want)
		}
	}
}

func TestMutationsDiffer(t *testing.T) {
	var names []string
	for _, mutation := range Mutations() {
		names = append(names, mutation.Case+": "+mutation.Name)
	}
	slices.Sort(names)
	if compact := slices.Compact(slices.Clone(names)); len(compact) != len(names) {
		t.Error("two mutations of a case have the same name")
	}
}
