package check

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/reference"
)

// body compares the table of body fields with the body's schema.
func (c *checker) body(op document.Operation, ref reference.Operation) {
	if len(ref.Body) == 0 {
		return
	}
	var body *yaml.Node
	for _, p := range document.Parameters(c.doc, op) {
		if document.Text(p, "in") == "body" {
			body = p
		}
	}
	if body == nil {
		c.say(op.ID, "the body is missing")
		return
	}
	schema := document.Get(body, "schema")
	if len(ref.Body) == 1 && ref.Body[0].Name == document.Text(body, "name") && len(ref.Body[0].Entries) == 0 {
		// The one row is the body itself.
		c.count.Fields++
		return
	}
	c.fields(op, "", schema, ref.Body)
}

func (c *checker) fields(op document.Operation, place string, schema *yaml.Node, entries []reference.Entry) {
	for _, e := range entries {
		at := strings.TrimPrefix(place+"."+e.Name, ".")
		def, name, prop := c.property(schema, e.Name)
		if prop == nil {
			c.say(op.ID, "the body field %s is missing", at)
			continue
		}
		c.count.Fields++
		c.shown[def+"."+name] = true
		target := c.resolve(prop)
		if !typeAgrees(e.Type, target) && !typeAgrees(e.Type, prop) {
			c.say(op.ID, "the body field %s has the type %q, the reference says %s", at, document.Text(target, "type"), e.Type)
		}
		c.defaults(op, "body field "+at, prop, e)
		c.mentions(op, "body field "+at, prop, e.Mentions)
		c.fields(op, at, prop, e.Entries)
	}
}

// property finds a property of a schema by the name that the reference gives
// it, which may differ in case (JSON names in requests have none) or be
// recorded as x-documented-as. It returns the definition and the property's
// own name as well.
func (c *checker) property(schema *yaml.Node, name string) (def, own string, prop *yaml.Node) {
	for _, part := range c.parts(schema) {
		for _, p := range document.Pairs(document.Get(part.schema, "properties")) {
			if p.Key == name || document.Text(p.Value, "x-documented-as") == name {
				return part.name, p.Key, p.Value
			}
			if strings.EqualFold(p.Key, name) {
				def, own, prop = part.name, p.Key, p.Value
			}
		}
	}
	return def, own, prop
}

// part is one schema that makes up an object.
type part struct {
	name   string // the definition that holds the properties
	schema *yaml.Node
}

// parts returns the schemas that an object is made of: itself and what it
// joins by allOf. An inline schema in an allOf counts to the definition around
// it.
func (c *checker) parts(schema *yaml.Node) []part {
	name, schema := c.definition(schema)
	parts := []part{{name, schema}}
	for _, joined := range document.Items(document.Get(schema, "allOf")) {
		for _, p := range c.parts(joined) {
			if p.name == "" {
				p.name = name
			}
			parts = append(parts, p)
		}
	}
	return parts
}

// mentions demands that the members are somewhere below a schema.
func (c *checker) mentions(op document.Operation, what string, schema *yaml.Node, names []string) {
	for _, name := range names {
		if !c.mentioned(schema, name, map[string]bool{}) {
			c.say(op.ID, "the %s has no member %q below it", what, name)
			continue
		}
		c.count.Fields++
	}
}

func (c *checker) mentioned(schema *yaml.Node, name string, seen map[string]bool) bool {
	if schema == nil {
		return false
	}
	def, target := c.definition(schema)
	if def != "" {
		if seen[def] {
			return false
		}
		seen[def] = true
	}
	found := false
	if owner, own, prop := c.property(schema, name); prop != nil {
		c.shown[owner+"."+own] = true
		found = true
	}
	for _, part := range c.parts(schema) {
		for _, p := range document.Pairs(document.Get(part.schema, "properties")) {
			found = c.mentioned(p.Value, name, seen) || found
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if below := document.Get(target, key); below != nil && below.Kind == yaml.MappingNode {
			found = c.mentioned(below, name, seen) || found
		}
	}
	return found
}

// definition follows $refs and returns the last definition's name, "" for an
// inline schema, and its schema.
func (c *checker) definition(schema *yaml.Node) (string, *yaml.Node) {
	name := ""
	for range 16 {
		ref := document.Reference(schema, "definitions")
		if ref == "" {
			break
		}
		name, schema = ref, document.Get(c.doc, "definitions", ref)
	}
	return name, schema
}

func (c *checker) resolve(schema *yaml.Node) *yaml.Node {
	_, s := c.definition(schema)
	return s
}
