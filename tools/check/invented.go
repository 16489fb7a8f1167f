package check

import (
	"net/textproto"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/reference"
)

// invented demands the mark on parameters, headers and media types that the
// reference lacks. What only an example shows is in the reference too.
func (c *checker) invented(op document.Operation, ref reference.Operation) {
	if unlisted(op.Node) {
		return
	}
	listed := map[string]bool{}
	for _, e := range ref.Query {
		listed["query "+e.Name] = true
	}
	for _, e := range ref.Headers {
		listed["header "+textproto.CanonicalMIMEHeaderKey(e.Name)] = true
	}
	body := len(ref.Body) > 0
	takes, gives, shown := map[string]bool{}, map[string]bool{}, map[string]bool{}
	examples := ref.Examples
	if ref.Method == "HEAD" {
		// HEAD answers with the headers of GET (RFC 9110, 9.3.2), and that
		// is where their example is.
		for _, get := range c.ref.Operations {
			if get.Method == "GET" && get.Path == ref.Path {
				examples = append(examples[:len(examples):len(examples)], get.Examples...)
			}
		}
	}
	for _, e := range examples {
		x, err := parseExchange(e)
		if err != nil {
			continue
		}
		for name := range x.query {
			listed["query "+name] = true
		}
		for name := range x.reqHeaders {
			listed["header "+name] = true
		}
		for name := range x.resHeaders {
			shown[name] = true
		}
		body = body || x.reqBody != ""
		takes[media(x.reqHeaders["Content-Type"])] = true
		gives[media(x.resHeaders["Content-Type"])] = true
	}
	for _, p := range document.Parameters(c.doc, op) {
		in, name := document.Text(p, "in"), document.Text(p, "name")
		if in == "header" {
			name = textproto.CanonicalMIMEHeaderKey(name)
		}
		switch {
		case unlisted(p):
			c.count.Unlisted++
		case in == "path", in == "body" && body, listed[in+" "+name]:
		default:
			c.say(op.ID, "the %s parameter %q is not in the reference and not marked as undocumented", in, name)
		}
	}
	for _, res := range document.Pairs(document.Get(op.Node, "responses")) {
		if unlisted(res.Value) {
			c.count.Unlisted++
			continue
		}
		for _, h := range document.Pairs(document.Get(res.Value, "headers")) {
			if unlisted(h.Value) {
				c.count.Unlisted++
			} else if !shown[textproto.CanonicalMIMEHeaderKey(h.Key)] {
				c.say(op.ID, "the response header %s of %s is not in the reference and not marked as undocumented", h.Key, res.Key)
			}
		}
	}
	c.media(op, "consumes", takes)
	c.media(op, "produces", gives)
}

func media(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// media compares an operation's own media types with those that examples
// show. JSON, what the document as a whole speaks, needs no example; others
// that no example shows are listed with a reason in x-undocumented-media, a
// map from media type to reason.
func (c *checker) media(op document.Operation, key string, shown map[string]bool) {
	reasons := document.Get(op.Node, "x-undocumented-media")
	for _, m := range document.Texts(document.Get(op.Node, key)) {
		switch {
		case shown[media(m)], media(m) == "application/json", media(m) == "text/plain" && key == "produces":
		case document.Text(reasons, m) != "":
			c.count.Unlisted++
		default:
			c.say(op.ID, "the media type %s in %s is not in the reference and not in x-undocumented-media", m, key)
		}
	}
}

// properties demands the mark on properties that neither a table nor an
// example shows, in all definitions that operations of the reference reach.
func (c *checker) properties() {
	exempt := map[string]bool{}
	reach := map[string]bool{}
	for _, op := range document.Operations(c.doc) {
		for _, name := range document.Definitions(c.doc, op.Node) {
			reach[name] = true
			if unlisted(document.Get(c.doc, "definitions", name)) {
				exempt[name] = true
			}
		}
	}
	covered := c.underMarks()
	for _, d := range document.Pairs(document.Get(c.doc, "definitions")) {
		if !reach[d.Key] {
			c.say("definition "+d.Key, "no operation reaches it")
			continue
		}
		for _, p := range c.ownProperties(d.Value) {
			c.count.Properties++
			c.inline(d.Key+"."+p.Key, p.Value)
			switch {
			case unlisted(p.Value), exempt[d.Key], covered[d.Key]:
				c.count.Unlisted++
			case c.shown[d.Key+"."+p.Key]:
			default:
				c.say("definition "+d.Key, "the property %q is not in the reference and not marked as undocumented", p.Key)
			}
		}
	}
}

// ownProperties returns the properties of a definition and of the inline
// schemas that it joins by allOf.
func (c *checker) ownProperties(def *yaml.Node) []document.Pair {
	pairs := document.Pairs(document.Get(def, "properties"))
	for _, joined := range document.Items(document.Get(def, "allOf")) {
		pairs = append(pairs, document.Pairs(document.Get(joined, "properties"))...)
	}
	return pairs
}

// underMarks returns the definitions that only marked nodes reach: a marked
// property's own model needs no marks inside.
func (c *checker) underMarks() map[string]bool {
	open := map[string]bool{}
	var reach func(n *yaml.Node)
	reach = func(n *yaml.Node) {
		if n == nil || n.Kind == yaml.MappingNode && unlisted(n) {
			return
		}
		for _, name := range []string{document.Reference(n, "definitions"), document.Text(n, "x-berth-schema")} {
			if name != "" && !open[name] {
				open[name] = true
				reach(document.Get(c.doc, "definitions", name))
			}
		}
		if n.Kind == yaml.MappingNode {
			for i := 1; i < len(n.Content); i += 2 {
				if n.Content[i-1].Value != "x-examples" {
					reach(n.Content[i])
				}
			}
			return
		}
		for _, child := range n.Content {
			reach(child)
		}
	}
	for _, op := range document.Operations(c.doc) {
		reach(op.Node)
	}
	covered := map[string]bool{}
	for _, d := range document.Pairs(document.Get(c.doc, "definitions")) {
		covered[d.Key] = !open[d.Key]
	}
	return covered
}

// inline refuses an object schema inside a property: every object is a
// definition with a name, because generated code names its types after them.
func (c *checker) inline(place string, schema *yaml.Node) {
	if document.Get(schema, "properties") != nil {
		c.say("definition "+place, "an inline object; give it a definition")
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if below := document.Get(schema, key); below != nil && below.Kind == yaml.MappingNode {
			c.inline(place, below)
		}
	}
	if schema.Kind == yaml.MappingNode && document.Text(schema, "type") == "" && document.Text(schema, "$ref") == "" && document.Get(schema, "x-accepts") == nil && document.Text(schema, "x-any") == "" {
		c.say("definition "+place, "no type and no $ref")
	}
}
