package check

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/reference"
)

// parameters compares the tables of query parameters and headers with the
// document's parameters.
func (c *checker) parameters(op document.Operation, ref reference.Operation) {
	params := document.Parameters(c.doc, op)
	for _, p := range params {
		if document.Text(p, "in") != "body" && document.Text(p, "type") == "" {
			c.say(op.ID, "the parameter %q has no type", document.Text(p, "name"))
		}
	}
	for _, segment := range strings.Split(op.Path, "/") {
		if strings.HasPrefix(segment, "{") && find(params, "path", strings.Trim(segment, "{}")) == nil {
			c.say(op.ID, "the path parameter %s is not described", segment)
		} else if strings.HasPrefix(segment, "{") {
			c.count.Parameters++
		}
	}
	for _, e := range ref.Query {
		if p := c.parameter(op, params, "query", e); p != nil {
			c.filters(op, p, e)
		}
	}
	for _, e := range ref.Headers {
		if p := c.parameter(op, params, "header", e); p != nil && len(e.Mentions) > 0 {
			name := document.Text(p, "x-berth-schema")
			if document.Get(c.doc, "definitions", name) == nil {
				c.say(op.ID, "the header %q has no x-berth-schema for the members that the reference mentions", e.Name)
				continue
			}
			c.mentions(op, "header "+e.Name, document.Mapping(document.Pair{Key: "$ref", Value: document.String("#/definitions/" + name)}), e.Mentions)
		}
	}
}

func (c *checker) parameter(op document.Operation, params []*yaml.Node, in string, e reference.Entry) *yaml.Node {
	p := find(params, in, e.Name)
	if p == nil {
		c.say(op.ID, "the %s parameter %q is missing", in, e.Name)
		return nil
	}
	c.count.Parameters++
	if unlisted(p) {
		c.say(op.ID, "the %s parameter %q is marked as undocumented but the reference lists it", in, e.Name)
	}
	if !typeAgrees(e.Type, p) {
		c.say(op.ID, "the %s parameter %q has the type %q, the reference says %s", in, e.Name, document.Text(p, "type"), e.Type)
	}
	c.defaults(op, in+" parameter "+e.Name, p, e)
	return p
}

// find returns the parameter of a name and place, nil if there is none.
// Headers have no case.
func find(params []*yaml.Node, in, name string) *yaml.Node {
	for _, p := range params {
		have := document.Text(p, "name")
		if document.Text(p, "in") == in && (have == name || in == "header" && strings.EqualFold(have, name)) {
			return p
		}
	}
	return nil
}

// typeAgrees compares a type that the reference states, one of several joined
// by "|", with a parameter's or property's. An integer may be a string in the
// document only if it says so (x-documented-type).
func typeAgrees(stated string, n *yaml.Node) bool {
	if stated == "" {
		return true
	}
	have := append([]string{document.Text(n, "type"), document.Text(n, "x-documented-type")}, document.Texts(document.Get(n, "x-accepts"))...)
	if document.Text(n, "type") == "" && document.Get(n, "properties") == nil && document.Text(n, "$ref") == "" {
		// A schema without a type takes everything.
		return true
	}
	for _, one := range strings.Split(stated, "|") {
		agrees := false
		for _, h := range have {
			if h == one || one == "integer" && h == "number" || h == "" && one == "object" && document.Get(n, "properties") != nil {
				agrees = true
			}
		}
		if !agrees {
			return false
		}
	}
	return true
}

func (c *checker) defaults(op document.Operation, what string, n *yaml.Node, e reference.Entry) {
	if e.Default == "" {
		return
	}
	stated := e.Default
	if document.Text(n, "type") == "boolean" && stated == "0" {
		stated = "false"
	}
	for _, key := range []string{"default", "x-default"} {
		if document.Text(n, key) == stated {
			return
		}
	}
	c.say(op.ID, "the %s has the default %q, the reference says %q", what, document.Text(n, "default")+document.Text(n, "x-default"), stated)
}

// filters compares the keys of a JSON filter with x-filters.
func (c *checker) filters(op document.Operation, p *yaml.Node, e reference.Entry) {
	listed := map[string]bool{}
	have := map[string]bool{}
	for _, f := range document.Items(document.Get(p, "x-filters")) {
		have[document.Text(f, "name")] = true
	}
	for _, key := range e.Entries {
		listed[key.Name] = true
		c.count.Fields++
		if !have[key.Name] {
			c.say(op.ID, "the filter %q of %q is missing in x-filters", key.Name, e.Name)
		}
	}
	for _, f := range document.Items(document.Get(p, "x-filters")) {
		if name := document.Text(f, "name"); len(listed) > 0 && !listed[name] && !unlisted(f) {
			c.say(op.ID, "the filter %q is not in the reference and not marked as undocumented", name)
		}
	}
}

// statuses compares the status codes; the document's own ones must be marked.
func (c *checker) statuses(op document.Operation, ref reference.Operation) {
	listed := map[string]bool{}
	for _, code := range ref.Statuses {
		key := itoa(code)
		listed[key] = true
		res := document.Get(op.Node, "responses", key)
		switch {
		case res == nil:
			c.say(op.ID, "the status %d is missing", code)
		case unlisted(res):
			c.say(op.ID, "the status %d is marked as undocumented but the reference lists it", code)
		default:
			c.count.Statuses++
		}
	}
	for _, e := range ref.Examples {
		if x, err := parseExchange(e); err == nil && x.status != 0 {
			listed[itoa(x.status)] = true
		}
	}
	for _, res := range document.Pairs(document.Get(op.Node, "responses")) {
		if !listed[res.Key] && !unlisted(res.Value) && !unlisted(op.Node) {
			c.say(op.ID, "the status %s is not in the reference and not marked as undocumented", res.Key)
		}
	}
}
