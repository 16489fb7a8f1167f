package hub

import (
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

func parse(t *testing.T, source string) *yaml.Node {
	t.Helper()
	n, err := document.Parse([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const older = `
info: {version: '1'}
paths:
  /a:
    get:
      operationId: A
      parameters:
        - {name: kept, in: query, type: string}
        - {name: old, in: query, type: string}
        - {name: body, in: body, schema: {$ref: '#/definitions/Old'}}
      responses: {'200': {description: d, schema: {$ref: '#/definitions/Both'}}, '404': {description: d}}
  /gone:
    get: {operationId: Gone, responses: {}}
definitions:
  Both: {type: object, required: [X], properties: {X: {type: integer}, Old: {type: string}}}
  Old: {type: object, properties: {Y: {type: string, enum: [a, b]}}}
  Outer: {type: object, properties: {In: {$ref: '#/definitions/Both'}}}
  Same: {type: object, description: then, properties: {Z: {type: string, x-undocumented: why}}}
`

const newer = `
info: {version: '2'}
paths:
  /a:
    get:
      operationId: A
      parameters:
        - {name: kept, in: query, type: integer}
        - {name: new, in: body, schema: {$ref: '#/definitions/Both'}}
      responses: {'200': {description: d, schema: {$ref: '#/definitions/Both'}}}
definitions:
  Both: {type: object, required: [X, New], properties: {X: {type: boolean}, New: {type: string}}}
  Outer: {type: object, properties: {In: {$ref: '#/definitions/Both'}}}
  Same: {type: object, description: now, properties: {Z: {type: string}}}
`

func TestUnion(t *testing.T) {
	u := Union([]*yaml.Node{parse(t, newer), parse(t, older)})
	if got := document.Text(u, "definitions", "Both", "properties", "X", "type"); got != "boolean" {
		t.Errorf("X is %s, the newest says boolean", got)
	}
	for _, place := range [][]string{
		{"paths", "/gone", "get"},
		{"paths", "/a", "get", "responses", "404"},
		{"definitions", "Old"},
		{"definitions", "Both", "properties", "Old"},
		{"definitions", "Both", "properties", "New"},
	} {
		if document.Get(u, place...) == nil {
			t.Errorf("%v is lost", place)
		}
	}
	var names []string
	for _, p := range document.Items(document.Get(u, "paths", "/a", "get", "parameters")) {
		names = append(names, document.Text(p, "name"))
	}
	// Two bodies are one.
	if len(names) != 3 || names[0] != "kept" || names[1] != "new" || names[2] != "old" {
		t.Errorf("parameters %v", names)
	}
	if got := document.Texts(document.Get(u, "definitions", "Both", "required")); len(got) != 1 || got[0] != "X" {
		t.Errorf("required %v", got)
	}
}

func TestEqualFollowsReferences(t *testing.T) {
	old := parse(t, older)
	u := Union([]*yaml.Node{parse(t, newer), old})
	equal := Equal(old, u)
	for name, want := range map[string]bool{"Both": false, "Outer": false, "Same": true, "Old": true} {
		if equal[name] != want {
			t.Errorf("%s: equal %v", name, equal[name])
		}
	}
	Mark(old, equal, Package{Path: "example.com/hub", Alias: "hub"})
	if document.Text(old, "definitions", "Same", "x-go-type", "import", "package") != "example.com/hub" {
		t.Error("an equal definition is not the union's type")
	}
	if document.Get(old, "definitions", "Outer", "x-go-type") != nil {
		t.Error("a definition that refers to a different one is the union's type")
	}
	for _, op := range document.Operations(old) {
		if got, want := Same(old, u, op, equal), op.ID == "Gone"; got != want {
			t.Errorf("%s: same %v", op.ID, got)
		}
	}
}
