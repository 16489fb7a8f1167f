package hub

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// Package is where the union's models are generated.
type Package struct {
	Path  string // import path
	Alias string
}

// Equal returns, for every definition of doc in its order, whether its shape
// is that of the union's definition of the same name, also through everything
// that it refers to. Words do not count: see shape.
func Equal(doc, union *yaml.Node) map[string]bool {
	equal := map[string]bool{}
	for _, d := range document.Pairs(document.Get(doc, "definitions")) {
		equal[d.Key] = shape(d.Value) == shape(document.Get(union, "definitions", d.Key))
	}
	// A definition that refers to a different one is different itself;
	// repeat until nothing falls any more.
	for changed := true; changed; {
		changed = false
		for _, d := range document.Pairs(document.Get(doc, "definitions")) {
			if !equal[d.Key] {
				continue
			}
			for _, name := range document.Definitions(doc, d.Value) {
				if !equal[name] {
					equal[d.Key], changed = false, true
					break
				}
			}
		}
	}
	return equal
}

// Same reports whether an operation's parameters and responses have the shape
// of the union's operation. equal is what Equal returned for doc.
func Same(doc, union *yaml.Node, op document.Operation, equal map[string]bool) bool {
	for _, name := range document.Definitions(doc, op.Node) {
		if !equal[name] {
			return false
		}
	}
	for _, hub := range document.Operations(union) {
		if hub.Path == op.Path && hub.Method == op.Method {
			for _, key := range []string{"parameters", "responses", "x-berth-mode"} {
				if shape(document.Get(op.Node, key)) != shape(document.Get(hub.Node, key)) {
					return false
				}
			}
			return true
		}
	}
	return false
}

// shapeless reports whether a key describes and does not shape what is
// generated: words, and all extensions but those that the generator reads.
func shapeless(key string) bool {
	switch key {
	case "description", "title", "summary", "example":
		return true
	case "x-nullable", "x-omitempty", "x-berth-mode":
		return false
	}
	return strings.HasPrefix(key, "x-") && !strings.HasPrefix(key, "x-go-")
}

func shape(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	c := document.Clone(n)
	document.DeleteKeys(c, shapeless)
	out, err := document.JSON(c)
	if err != nil {
		// Only a tree that was never rendered can fail; it equals nothing.
		return err.Error()
	}
	return string(out)
}

// Mark adds x-go-type to every equal definition, so that the version's code
// uses the union's Go type for it.
func Mark(doc *yaml.Node, equal map[string]bool, hub Package) {
	for _, d := range document.Pairs(document.Get(doc, "definitions")) {
		if !equal[d.Key] || document.Get(d.Value, "x-go-type") != nil {
			continue
		}
		name := d.Key
		if n := document.Text(d.Value, "x-go-name"); n != "" {
			name = n
		}
		kind, nullable := kindOf(d.Value)
		if n := document.Get(d.Value, "x-nullable"); n != nil {
			nullable = n.Value == "true"
		}
		hints := []document.Pair{
			{Key: "noValidation", Value: document.Bool(true)},
			{Key: "nullable", Value: document.Bool(nullable)},
		}
		// go-swagger 0.36 panics on an array definition with a hint of its kind.
		if kind != "array" {
			hints = append(hints, document.Pair{Key: "kind", Value: document.String(kind)})
		}
		document.Set(d.Value, "x-go-type", document.Mapping(
			document.Pair{Key: "type", Value: document.String(name)},
			document.Pair{Key: "import", Value: document.Mapping(
				document.Pair{Key: "package", Value: document.String(hub.Path)},
				document.Pair{Key: "alias", Value: document.String(hub.Alias)},
			)},
			document.Pair{Key: "hints", Value: document.Mapping(hints...)},
		))
	}
}

// kindOf returns go-swagger's kind of a definition's Go type and whether it is
// used as a pointer.
func kindOf(schema *yaml.Node) (kind string, nullable bool) {
	switch document.Text(schema, "type") {
	case "array":
		return "array", false
	case "string", "integer", "number", "boolean":
		return "primitive", false
	case "object", "":
		switch {
		case document.Get(schema, "properties") != nil || document.Get(schema, "allOf") != nil:
			return "object", true
		case document.Get(schema, "additionalProperties") != nil:
			return "map", false
		}
	}
	return "interface", false
}
