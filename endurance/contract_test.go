package endurance

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/spec"
)

// schema is what a document says of a value, as far as drawing one needs it.
type schema struct {
	Ref        string `json:"$ref"`
	Type       string
	Format     string
	Enum       []any
	Required   []string
	Properties map[string]*schema
	AllOf      []*schema
	Items      *schema
	Additional json.RawMessage `json:"additionalProperties"`
}

// parameter is one of an operation.
type parameter struct {
	Name, In string
	Required bool
	schema
	Schema *schema // of a body
}

// operation is one of one version.
type operation struct {
	version, method, path string
	ID                    string `json:"operationId"`
	Mode                  string `json:"x-berth-mode"`
	Parameters            []parameter
	Responses             map[string]json.RawMessage
}

// contract is a version's document.
type contract struct {
	version     string
	Definitions map[string]*schema
	Paths       map[string]map[string]json.RawMessage
	operations  []*operation
}

// contracts reads the documents of all versions.
func contracts(t *testing.T) (all []*contract) {
	t.Helper()
	for _, version := range spec.Versions() {
		text, _ := spec.Document(version)
		c := &contract{version: version}
		if err := json.Unmarshal(text, c); err != nil {
			t.Fatal(err)
		}
		for _, path := range slices.Sorted(maps.Keys(c.Paths)) {
			var shared []parameter
			if raw, ok := c.Paths[path]["parameters"]; ok {
				if err := json.Unmarshal(raw, &shared); err != nil {
					t.Fatal(err)
				}
			}
			for _, method := range slices.Sorted(maps.Keys(c.Paths[path])) {
				if method == "parameters" {
					continue
				}
				o := &operation{version: version, method: strings.ToUpper(method), path: path}
				if err := json.Unmarshal(c.Paths[path][method], o); err != nil {
					t.Fatal(err)
				}
				o.Parameters = append(o.Parameters, shared...)
				c.operations = append(c.operations, o)
			}
		}
		all = append(all, c)
	}
	return all
}

// documented says whether an operation may answer with a status. 400 and 404 are every
// operation's, for parameters that cannot be read and for paths that are none, and
// a connection may be upgraded where the document has 200.
//
// A paused container cannot be attached to; Docker Engine answered 409 at versions
// whose documents do not say so, too.
func (o *operation) documented(status int) bool {
	_, ok := o.Responses[itoa(status)]
	return ok || status == 400 || status == 404 || status == 409 && o.ID == "ContainerAttach"
}

// resolve follows references and puts the parts of allOf together.
func (c *contract) resolve(s *schema) *schema {
	for s.Ref != "" {
		s = c.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")]
	}
	if len(s.AllOf) == 0 {
		return s
	}
	whole := &schema{Type: "object", Properties: map[string]*schema{}}
	for _, part := range s.AllOf {
		part = c.resolve(part)
		maps.Copy(whole.Properties, part.Properties)
		whole.Required = append(whole.Required, part.Required...)
	}
	return whole
}
