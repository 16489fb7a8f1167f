package overlay

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

const base = `
paths:
  /info:
    get:
      operationId: Info
      parameters: [{name: a, in: query, type: string, default: "1"}]
      responses: {'200': {schema: {$ref: '#/definitions/Info'}}}
  /other:
    get: {operationId: Other, responses: {}}
definitions:
  Info: {type: object, properties: {Debug: {type: integer, example: 0}}}
`

func apply(t *testing.T, actions string) (*yaml.Node, []Action, error) {
	t.Helper()
	root, err := document.Parse([]byte(base))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "o.yaml")
	head := "overlay: 1.0.0\nx-speakeasy-jsonpath: rfc9535\ninfo: {title: t, version: '1'}\nactions:\n"
	if err := os.WriteFile(path, []byte(head+actions), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	done, err := o.Apply(root)
	return root, done, err
}

// TestReplacedScalarsHaveTheNewType is about the library's habit of keeping
// the old one.
func TestReplacedScalarsHaveTheNewType(t *testing.T) {
	root, done, err := apply(t, `
  - target: $.definitions.Info.properties.Debug
    description: d
    x-change: [v1.19-04]
    update: {type: boolean, example: false}
  - target: $.paths['/info'].get.parameters[?@.name=='a']
    description: d
    update: {default: 1}
`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := document.JSON(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"example": false`, `"default": 1`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
	if !slices.Equal(done[0].Operations, []string{"Info"}) || !slices.Equal(done[0].Changes, []string{"v1.19-04"}) {
		t.Errorf("the first action: %+v", done[0])
	}
	if names := done[1].Names(); !names["a"] || !names["/info"] || !names["default"] {
		t.Errorf("the second action names %v", names)
	}
}

// TestOnlyTheTypeChanges is a replacement that leaves the text as it was.
func TestOnlyTheTypeChanges(t *testing.T) {
	if _, _, err := apply(t, "  - target: $.definitions.Info.properties.Debug\n    update: {example: '0'}\n"); err != nil {
		t.Error(err)
	}
}

func TestStrict(t *testing.T) {
	for action, want := range map[string]string{
		"  - target: $.paths['/nowhere']\n    update: {a: 1}\n":        "matches nothing",
		"  - target: $.paths['/nowhere']\n    remove: true\n":          "matches nothing",
		"  - target: $.definitions.Info\n    update: {type: object}\n": "changes nothing",
		"  - target: $.definitions.Info\n    description: no update\n": "neither removes nor updates",
		"  - target: $.paths['/info'].get.x[\n    update: {a: 1}\n":    "action 1",
	} {
		if _, _, err := apply(t, action); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", action, err, want)
		}
	}
}

func TestOperationsOfWhatIsAddedHighUp(t *testing.T) {
	_, done, err := apply(t, `
  - target: $.definitions
    description: a model, before what refers to it
    update: {New: {type: object}}
  - target: $.paths
    description: an operation
    update:
      /new: {get: {operationId: New, responses: {'200': {schema: {$ref: '#/definitions/New'}}}}}
  - target: $.paths['/other']
    description: gone
    remove: true
`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"New", "New", "Other"} {
		if !slices.Equal(done[i].Operations, []string{want}) {
			t.Errorf("action %d reaches %v, want %s", i+1, done[i].Operations, want)
		}
	}
}
