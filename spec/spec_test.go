package spec

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

func TestEveryVersionHasItsDocument(t *testing.T) {
	for _, version := range Versions() {
		raw, ok := Document(version)
		if !ok {
			t.Errorf("%s: no document", version)
			continue
		}
		var doc struct {
			Swagger, BasePath string
			Info              struct{ Version string }
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		if doc.Swagger != "2.0" || doc.Info.Version != version || doc.BasePath != "/v"+version {
			t.Errorf("%s: the document says %+v", version, doc)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if len(name) > 6 && name[0] == 'v' && name[len(name)-5:] == ".json" && !slices.Contains(Versions(), name[1:len(name)-5]) {
			t.Errorf("%s is rendered and not served", name)
		}
	}
	for _, version := range []string{"", "1.17", "1.24", "v1.18", "1.18/../changes"} {
		if _, ok := Document(version); ok {
			t.Errorf("%q has a document", version)
		}
	}
}

func TestChanges(t *testing.T) {
	changes, err := Changes()
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, c := range changes {
		if c.Description == "" {
			t.Errorf("%s %v: no description", c.Version, c.Targets)
		}
		if c.Version < last {
			t.Errorf("%s after %s", c.Version, last)
		}
		last = c.Version
		if (len(c.Targets) == 0) != (c.Shapeless != "") {
			t.Errorf("%s %v: a change has targets or a reason why not: %q", c.Version, c.IDs, c.Description)
		}
	}
}
