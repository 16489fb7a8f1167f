package check

import (
	"encoding/base64"
	"encoding/json"
	"net/textproto"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// shapes walks the example's JSON through the schemas: every member must be a
// property at its place, with a type that allows the value. It notes which
// properties the examples show.
func (t *trial) shapes(request, response map[string]any) {
	params := document.Parameters(t.doc, t.op)
	if body, ok := request["body"]; ok {
		for _, p := range params {
			if document.Text(p, "in") == "body" {
				t.walk(walk{request: true}, body, document.Get(p, "schema"), "request")
			}
		}
	}
	if query, ok := request["query"].(map[string]any); ok {
		for name := range query {
			if find(params, "query", name) == nil {
				t.complain("the query parameter %q is missing in the document", name)
			}
		}
	}
	res := document.Get(t.op.Node, "responses", text(response["status"]))
	if res == nil {
		t.complain("the status %s is missing in the document", text(response["status"]))
		return
	}
	schema := document.Get(res, "schema")
	if body, ok := response["body"]; ok {
		if schema == nil {
			t.complain("the status %s has no schema for the example's body", text(response["status"]))
		} else {
			t.walk(walk{}, body, schema, "response")
		}
	}
	if events, ok := response["events"].([]any); ok && schema != nil {
		for i, event := range events {
			t.walk(walk{}, event, schema, "event "+strconv.Itoa(i))
		}
	}
	headers, _ := response["headers"].(map[string]any)
	for name, value := range headers {
		t.header(res, name, text(value))
	}
}

// general are headers that no operation describes.
var general = map[string]bool{
	"Content-Type": true, "Content-Length": true, "Date": true, "Server": true, "Connection": true,
	"Transfer-Encoding": true, "Expires": true, "Vary": true, "Host": true, "User-Agent": true,
}

func (t *trial) header(res *yaml.Node, name, value string) {
	name = textproto.CanonicalMIMEHeaderKey(name)
	for _, h := range document.Pairs(document.Get(res, "headers")) {
		if !strings.EqualFold(h.Key, name) {
			continue
		}
		inside := document.Text(h.Value, "x-berth-schema")
		if inside == "" {
			return
		}
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.complain("the header %s is not base64: %v", name, err)
			return
		}
		v, err := parseJSON(string(raw))
		if err != nil {
			t.complain("the header %s holds no JSON: %v", name, err)
			return
		}
		t.walk(walk{}, v, document.Mapping(document.Pair{Key: "$ref", Value: document.String("#/definitions/" + inside)}), "header "+name)
		return
	}
	if !general[name] {
		t.complain("the response header %s is missing in the document", name)
	}
}

// walk says how to read a value.
type walk struct {
	request  bool // names have no case, null is nothing, x-accepts counts
	nullable bool // a $ref on the way said so
}

func (t *trial) walk(w walk, v any, schema *yaml.Node, place string) {
	t.count.Values++
	w.nullable = w.nullable || document.Text(schema, "x-nullable") == "true"
	ref := schema
	_, schema = t.definition(schema)
	w.nullable = w.nullable || document.Text(schema, "x-nullable") == "true"
	kind := document.Text(schema, "type")
	if schema == nil {
		t.complain("%s: no schema", place)
		return
	}
	if kind == "" && document.Get(schema, "properties") == nil && document.Get(schema, "allOf") == nil {
		return // anything
	}
	accepts := document.Texts(document.Get(schema, "x-accepts"))
	accepts = append(accepts, document.Texts(document.Get(ref, "x-accepts"))...)
	switch v := v.(type) {
	case nil:
		if !w.request && !w.nullable && kind != "array" && document.Get(schema, "additionalProperties") == nil {
			t.complain("%s is null, the schema says %s", place, kind)
		}
	case bool:
		t.kind(w, place, "boolean", kind, accepts)
	case string:
		t.kind(w, place, "string", kind, accepts)
	case json.Number:
		is := "number"
		if _, err := v.Int64(); err == nil {
			is = "integer"
		}
		if _, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			is = "integer"
		}
		if is == "integer" && kind == "number" {
			return
		}
		t.kind(w, place, is, kind, accepts)
	case []any:
		if t.kind(w, place, "array", kind, accepts); kind != "array" {
			return
		}
		for i, item := range v {
			t.walk(walk{request: w.request}, item, document.Get(schema, "items"), place+"["+strconv.Itoa(i)+"]")
		}
	case map[string]any:
		if kind != "object" && kind != "" {
			t.kind(w, place, "object", kind, accepts)
			return
		}
		t.members(w, v, ref, place)
	}
}

func (t *trial) members(w walk, v map[string]any, schema *yaml.Node, place string) {
	var rest *yaml.Node
	open := true // of such an object nothing is said
	def := "the schema"
	for _, p := range t.parts(schema) {
		if more := document.Get(p.schema, "additionalProperties"); more != nil {
			rest = more
		}
		if document.Get(p.schema, "properties") != nil {
			open, def = false, p.name
		}
	}
	for name, member := range v {
		at := place + "." + name
		owner, own, prop := t.property(schema, name)
		switch {
		case prop != nil && (own == name || w.request):
			t.shown[owner+"."+own] = true
			t.walk(walk{request: w.request}, member, prop, at)
		case rest != nil && rest.Kind == yaml.MappingNode:
			t.walk(walk{request: w.request}, member, rest, at)
		case rest != nil && rest.Value == "true", open:
		default:
			t.complain("%s: %s has no property %q", place, def, name)
		}
	}
}

func (t *trial) kind(w walk, place, is, want string, accepts []string) {
	if is == want {
		return
	}
	for _, a := range accepts {
		if a == is {
			return
		}
	}
	t.complain("%s is of type %s, the schema says %s", place, is, want)
}
