package conformance

import (
	"os"
	"path"
	"testing"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/spec"
)

func allDocuments(t *testing.T) []*document.Document {
	t.Helper()
	var documents []*document.Document
	for _, version := range spec.Versions() {
		raw, _ := spec.Document(version)
		doc, err := document.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, doc)
	}
	return documents
}

func TestEveryExampleIsACase(t *testing.T) {
	examples, seen := 0, map[string]bool{}
	for _, c := range Cases(allDocuments(t)) {
		if seen[c.ID] {
			t.Errorf("two cases are %s", c.ID)
		}
		seen[c.ID] = true
		if c.Example != nil {
			examples++
		}
		if c.Requirement == "" || c.Source == "" || c.run == nil {
			t.Errorf("%s lacks a requirement, a source or what runs it", c.ID)
		}
	}
	if examples != 319 {
		t.Errorf("%d cases replay an example, expected 319", examples)
	}
}

func TestEveryOperationHasACase(t *testing.T) {
	documents := allDocuments(t)
	covered := map[string]bool{}
	for _, c := range Cases(documents) {
		covered[c.Document.Version+c.Operation.ID] = true
	}
	for _, doc := range documents {
		for _, operation := range doc.Operations {
			if !covered[doc.Version+operation.ID] {
				t.Errorf("%s has no case for %s", doc.Version, operation.ID)
			}
		}
	}
}

func TestEveryPreconditionHasAFixture(t *testing.T) {
	for _, c := range Cases(allDocuments(t)) {
		if c.Example == nil {
			continue
		}
		for _, name := range c.Example.Preconditions {
			if fixture(name) == nil {
				t.Errorf("%s needs %q, which the suite cannot build", c.ID, name)
			}
		}
		if c.Example.Response.Stream != "" && c.Example.Response.Stream != "none" && streamed(c.Operation.ID) == nil {
			t.Errorf("%s answers with a stream that nothing reads", c.ID)
		}
	}
}

// A listed red that names no case would hide nothing and mislead readers.
func TestExpectedRedsNameCases(t *testing.T) {
	raw, err := os.ReadFile("expected-reds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	reds, err := ParseExpectedReds(raw)
	if err != nil {
		t.Fatal(err)
	}
	cases := Cases(allDocuments(t))
	for _, red := range reds {
		found := false
		for _, c := range cases {
			ok, _ := path.Match(red.Case, c.ID)
			found = found || ok
		}
		if !found {
			t.Errorf("%s names no case", red.Case)
		}
	}
}

func TestSelection(t *testing.T) {
	cases := Cases(allDocuments(t))
	chosen, err := Selection{Versions: []string{"1.23"}, Labels: "needs: containsAny registry && example"}.Choose(cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chosen {
		if c.Document.Version != "1.23" {
			t.Errorf("chose %s", c.ID)
		}
	}
	if len(chosen) != 6 {
		t.Errorf("chose %d cases that need a registry, expected 6", len(chosen))
	}
	if _, err := (Selection{Labels: "a &&"}).Choose(cases); err == nil {
		t.Error("a malformed filter: no error")
	}
}

func TestCompareVersions(t *testing.T) {
	if CompareVersions("1.9", "1.18") >= 0 || CompareVersions("1.23", "1.23") != 0 || CompareVersions("2.0", "1.24") <= 0 {
		t.Error("versions are compared as words")
	}
}
