package document

import (
	"sort"

	"gopkg.in/yaml.v3"
)

// methods are the keys of a path item that are operations, in the order in
// which Swagger 2.0 lists them.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch"}

// Operation is one method of one path.
type Operation struct {
	ID     string // operationId
	Method string // upper case
	Path   string // as in the document, without basePath
	Node   *yaml.Node
}

// Operations returns the document's operations: paths in the document's
// order, methods in the path item's order.
func Operations(doc *yaml.Node) []Operation {
	var ops []Operation
	for _, path := range Pairs(Get(doc, "paths")) {
		for _, entry := range Pairs(path.Value) {
			if IsMethod(entry.Key) {
				ops = append(ops, Operation{
					ID:     Text(entry.Value, "operationId"),
					Method: upper(entry.Key),
					Path:   path.Key,
					Node:   entry.Value,
				})
			}
		}
	}
	return ops
}

// IsMethod reports whether a key of a path item is an operation.
func IsMethod(key string) bool {
	for _, m := range methods {
		if m == key {
			return true
		}
	}
	return false
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// Definitions returns the names of all definitions that the node reaches
// through $refs and through x-berth-schema (the JSON inside a header's
// base64), also through other definitions, sorted.
func Definitions(doc, n *yaml.Node) []string {
	seen := map[string]bool{}
	var reach func(*yaml.Node)
	reach = func(n *yaml.Node) {
		Walk(n, func(n *yaml.Node) {
			for _, name := range []string{Reference(n, "definitions"), Text(n, "x-berth-schema")} {
				if name != "" && !seen[name] {
					seen[name] = true
					reach(Get(doc, "definitions", name))
				}
			}
			for _, kind := range []string{"parameters", "responses"} {
				if name := Reference(n, kind); name != "" && !seen["#"+kind+name] {
					seen["#"+kind+name] = true
					reach(Get(doc, kind, name))
				}
			}
		})
	}
	reach(n)
	names := make([]string, 0, len(seen))
	for name := range seen {
		if name[0] != '#' {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// Parameter follows a parameter's $ref into the document's own parameters.
func Parameter(doc, p *yaml.Node) *yaml.Node {
	if name := Reference(p, "parameters"); name != "" {
		return Get(doc, "parameters", name)
	}
	return p
}

// Response follows a response's $ref into the document's own responses.
func Response(doc, r *yaml.Node) *yaml.Node {
	if name := Reference(r, "responses"); name != "" {
		return Get(doc, "responses", name)
	}
	return r
}

// Parameters returns an operation's parameters with those of its path item,
// $refs followed; an operation's own one hides the path item's of the same
// name and place.
func Parameters(doc *yaml.Node, op Operation) []*yaml.Node {
	var params []*yaml.Node
	own := map[string]bool{}
	for _, p := range Items(Get(op.Node, "parameters")) {
		p = Parameter(doc, p)
		own[Text(p, "in")+" "+Text(p, "name")] = true
		params = append(params, p)
	}
	for _, p := range Items(Get(doc, "paths", op.Path, "parameters")) {
		p = Parameter(doc, p)
		if !own[Text(p, "in")+" "+Text(p, "name")] {
			params = append(params, p)
		}
	}
	return params
}
