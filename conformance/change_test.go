package conformance

import (
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/spec"
)

// Every change that the documents implement has cases at its version, or a
// reason why there is none.
func TestEveryChangeHasACase(t *testing.T) {
	known := map[string]bool{}
	for _, c := range Cases(allDocuments(t)) {
		known[c.Document.Version+" "+c.Operation.ID+"/"+c.Name] = true
	}
	listed := map[string]bool{}
	for _, row := range ChangeRows() {
		if listed[row.ID] {
			t.Errorf("%s is listed twice", row.ID)
		}
		listed[row.ID] = true
		if (len(row.Cases) == 0) == (row.Without == "") {
			t.Errorf("%s needs either cases or a reason", row.ID)
		}
		for _, name := range row.Cases {
			if !known[row.Version()+" "+name] {
				t.Errorf("%s names %s, which is no case of %s", row.ID, name, row.Version())
			}
		}
	}
	changes, err := spec.Changes()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		for _, id := range change.IDs {
			if !listed[id] {
				t.Errorf("no row is about %s: %s", id, change.Description)
			}
		}
	}
}

func TestCasesOfChangesAreLabelled(t *testing.T) {
	for _, c := range Cases(allDocuments(t)) {
		if c.ID == "v1.19/ContainerLogs/since" && !slices.Contains(c.Labels, "change:v1.19-03") {
			t.Errorf("%s has labels %v", c.ID, c.Labels)
		}
		if c.ID == "v1.20/ContainerLogs/since" && slices.Contains(c.Labels, "change:v1.19-03") {
			t.Errorf("%s has labels %v", c.ID, c.Labels)
		}
	}
}

// Every change can be seen from before it, too: a case that both versions have
// asks for what each documents, or a case of its own shows how it was.
func TestEveryChangeHasAnOldSide(t *testing.T) {
	known := map[string]bool{}
	for _, c := range Cases(allDocuments(t)) {
		known[c.Document.Version+" "+c.Operation.ID+"/"+c.Name] = true
	}
	rows := map[string]bool{}
	for _, row := range ChangeRows() {
		rows[row.ID] = true
		before := versionBefore(row.Version())
		shared := slices.ContainsFunc(row.Cases, func(name string) bool { return known[before+" "+name] })
		own := slices.ContainsFunc(formers(), func(f former) bool { return f.change == row.ID && known[before+" "+f.operation+"/before-"+row.ID] })
		if len(row.Cases) > 0 && !shared && !own && row.Alike == "" {
			t.Errorf("%s: nothing at %s shows how it was", row.ID, before)
		}
		if row.Alike != "" && (shared || own) {
			t.Errorf("%s has an old side and a reason why not", row.ID)
		}
	}
	for _, f := range formers() {
		if !rows[f.change] {
			t.Errorf("%s is no change", f.change)
		}
	}
}
