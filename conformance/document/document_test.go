package document_test

import (
	"testing"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/spec"
)

func parse(t *testing.T, version string) *document.Document {
	t.Helper()
	raw, ok := spec.Document(version)
	if !ok {
		t.Fatalf("no document of version %s", version)
	}
	doc, err := document.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if doc.Version != version {
		t.Fatalf("document of %s says it is %s", version, doc.Version)
	}
	return doc
}

// The numbers are those of the API's reference.
func TestDocumentsHaveEveryDocumentedExample(t *testing.T) {
	total := 0
	for version, want := range map[string]int{"1.18": 46, "1.19": 46, "1.20": 48, "1.21": 59, "1.22": 60, "1.23": 60} {
		got := 0
		for _, operation := range parse(t, version).Operations {
			got += len(operation.Examples)
		}
		if got != want {
			t.Errorf("version %s has %d examples, expected %d", version, got, want)
		}
		total += got
	}
	if total != 319 {
		t.Errorf("%d examples in all, expected 319", total)
	}
}

func TestOperationsKeepTheirOrder(t *testing.T) {
	operations := parse(t, "1.23").Operations
	if first, last := operations[0].ID, operations[len(operations)-1].ID; first != "ContainerList" || last != "NetworkDisconnect" {
		t.Errorf("first and last operation are %s and %s", first, last)
	}
}

func TestExpand(t *testing.T) {
	value := map[string]any{
		"Name": "{volume}", "{container}": []any{"/data/{volume}/x", true, nil}, "Other": "{unknown}",
	}
	expanded := document.Expand(value, map[string]string{"volume": "v1", "container": "c1"}).(map[string]any)
	if expanded["Name"] != "v1" || expanded["Other"] != "{unknown}" {
		t.Errorf("expanded to %v", expanded)
	}
	if list := expanded["c1"].([]any); list[0] != "/data/v1/x" || list[1] != true || list[2] != nil {
		t.Errorf("list expanded to %v", list)
	}
	if value["Name"] != "{volume}" {
		t.Error("Expand changed its argument")
	}
}

func TestParseRefusesWhatIsNoDocument(t *testing.T) {
	for name, raw := range map[string]string{
		"no JSON": "{", "no version": `{"basePath": "/api", "paths": {}}`, "paths are a list": `{"basePath": "/v1.1", "paths": []}`,
	} {
		if _, err := document.Parse([]byte(raw)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
