package fieldtest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/spec"
)

// row proves a field at every version that documents it, or, if it says so, at
// some of these: then another row has the others.
type row struct {
	// fields are the paths that the row proves, below the body of POST
	// /containers/create: "Hostname", "HostConfig.Ulimits.Soft". The versions are
	// those that document the first.
	fields string
	// name tells rows of one field apart; empty for the only one.
	name string
	// versions are those of the row; nil means all that document the field.
	versions []string
	prove    func(*trial)
}

// rows is the whole table.
func rows() []row {
	return slices.Concat(
		identityRows(), processRows(), filesystemRows(), deviceRows(), resourceRows(), blockRows(),
		isolationRows(), namespaceRows(), networkRows(), portRows(), endpointRows(), leftoverRows(),
	)
}

// documented gives the paths of all fields of a creation's body, nested ones
// too, and the versions that document each.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, v := range spec.Versions() {
		data, ok := spec.Document(v)
		if !ok {
			t.Fatalf("no document of version %s", v)
		}
		var d document
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatal(err)
		}
		for path := range d.fields("", d.Definitions["ContainerCreateRequest"]) {
			found[path] = append(found[path], v)
		}
	}
	return found
}

type document struct {
	Definitions map[string]schema
}

type schema struct {
	Ref                  string            `json:"$ref"`
	AllOf                []schema          `json:"allOf"`
	Properties           map[string]schema `json:"properties"`
	Items                *schema           `json:"items"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
}

// fields walks a schema. What is below a list or a map belongs to its field:
// "HostConfig.Ulimits.Name".
func (d document) fields(prefix string, s schema) map[string]bool {
	found := map[string]bool{}
	if s.Ref != "" {
		return d.fields(prefix, d.Definitions[s.Ref[strings.LastIndex(s.Ref, "/")+1:]])
	}
	for _, part := range s.AllOf {
		maps.Copy(found, d.fields(prefix, part))
	}
	for name, p := range s.Properties {
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		found[path] = true
		maps.Copy(found, d.fields(path, p))
	}
	if s.Items != nil {
		maps.Copy(found, d.fields(prefix, *s.Items))
	}
	var values schema
	if len(s.AdditionalProperties) > 0 && json.Unmarshal(s.AdditionalProperties, &values) == nil {
		maps.Copy(found, d.fields(prefix, values))
	}
	return found
}

// Every documented field has a row at every version that documents it, and no
// row is about a field that no document has.
func TestEveryFieldHasARow(t *testing.T) {
	fields := documented(t)
	if len(fields) < 100 {
		t.Fatalf("only %d fields found in the documents: the walk is broken", len(fields))
	}
	proved := map[string]map[string]bool{}
	for _, r := range rows() {
		for _, path := range strings.Fields(r.fields) {
			at, ok := fields[path]
			if !ok {
				t.Errorf("a row is about %s, which no document has", path)
				continue
			}
			if proved[path] == nil {
				proved[path] = map[string]bool{}
			}
			for _, v := range r.at(fields) {
				if slices.Contains(at, v) {
					proved[path][v] = true
				}
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		for _, v := range fields[path] {
			if !proved[path][v] {
				t.Errorf("%s has no row at version %s, which documents it", path, v)
			}
		}
	}
}

// at gives the versions at which the row is proved.
func (r row) at(fields map[string][]string) []string {
	if r.versions != nil {
		return r.versions
	}
	first, _, _ := strings.Cut(r.fields, " ")
	return fields[first]
}

// Every field does what its documents say, at each of their versions.
func TestFields(t *testing.T) {
	fields := documented(t)
	for _, r := range rows() {
		first, _, _ := strings.Cut(r.fields, " ")
		name := first
		if r.name != "" {
			name += "/" + r.name
		}
		if why, ok := unlikeMapped[name]; ok && strings.Contains(*further, "--userns-remap") {
			t.Logf("%s: left out with user namespaces: %s", name, why)
			continue
		}
		for _, v := range r.at(fields) {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				r.prove(newTrial(t, v))
			})
		}
	}
}
