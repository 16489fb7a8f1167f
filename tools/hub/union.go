// Package hub makes the documents from which the server is generated: the
// union of all versions, and each version with the definitions marked whose
// shape is the union's.
package hub

import (
	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// Union merges the versions' documents, newest first, into one: where versions
// differ the newest wins; operations, parameters, responses, headers,
// definitions, properties and enum values that only older versions have stay,
// after the newer ones. A property is required only where every version that
// has the definition requires it.
func Union(docs []*yaml.Node) *yaml.Node {
	union := document.Clone(docs[0])
	for _, older := range docs[1:] {
		older = document.Clone(older)
		mergeSection(union, older, "paths", mergePathItem)
		mergeSection(union, older, "definitions", mergeSchema)
		mergeSection(union, older, "parameters", nil)
		mergeSection(union, older, "responses", mergeResponse)
	}
	document.Set(union, "basePath", document.String("/"))
	if info := document.Get(union, "info"); info != nil {
		document.Set(info, "version", document.String("hub"))
	}
	return union
}

// mergeSection adds older's entries of a mapping below key to newer's; an
// entry that both have is given to both, if it is not nil.
func mergeSection(newer, older *yaml.Node, key string, both func(newer, older *yaml.Node)) {
	from := document.Get(older, key)
	if from == nil {
		return
	}
	to := document.Get(newer, key)
	if to == nil {
		document.Set(newer, key, from)
		return
	}
	for _, entry := range document.Pairs(from) {
		if have := document.Get(to, entry.Key); have == nil {
			document.Set(to, entry.Key, entry.Value)
		} else if both != nil {
			both(have, entry.Value)
		}
	}
}

func mergePathItem(newer, older *yaml.Node) {
	for _, entry := range document.Pairs(older) {
		have := document.Get(newer, entry.Key)
		switch {
		case have == nil:
			document.Set(newer, entry.Key, entry.Value)
		case document.IsMethod(entry.Key):
			mergeOperation(have, entry.Value)
		case entry.Key == "parameters":
			mergeParameters(have, entry.Value)
		}
	}
}

func mergeOperation(newer, older *yaml.Node) {
	if from := document.Get(older, "parameters"); from != nil {
		if to := document.Get(newer, "parameters"); to != nil {
			mergeParameters(to, from)
		} else {
			document.Set(newer, "parameters", from)
		}
	}
	mergeSection(newer, older, "responses", mergeResponse)
	for _, key := range []string{"consumes", "produces"} {
		from, to := document.Get(older, key), document.Get(newer, key)
		if from != nil && to == nil {
			document.Set(newer, key, from)
		} else if from != nil {
			mergeList(to, from)
		}
	}
}

// mergeParameters adds the parameters that newer lacks. A body is a body,
// whatever it is called.
func mergeParameters(newer, older *yaml.Node) {
	id := func(p *yaml.Node) string {
		switch {
		case document.Text(p, "$ref") != "":
			return document.Text(p, "$ref")
		case document.Text(p, "in") == "body":
			return "body"
		}
		return document.Text(p, "in") + " " + document.Text(p, "name")
	}
	have := map[string]*yaml.Node{}
	for _, p := range document.Items(newer) {
		have[id(p)] = p
	}
	for _, p := range document.Items(older) {
		if h := have[id(p)]; h == nil {
			newer.Content = append(newer.Content, p)
		} else if enum := document.Get(h, "enum"); enum != nil {
			mergeEnum(h, p)
		}
	}
}

func mergeResponse(newer, older *yaml.Node) {
	mergeSection(newer, older, "headers", nil)
	if schema := document.Get(older, "schema"); schema != nil && document.Get(newer, "schema") == nil {
		document.Set(newer, "schema", schema)
	}
}

func mergeSchema(newer, older *yaml.Node) {
	mergeSection(newer, older, "properties", func(newer, older *yaml.Node) { mergeEnum(newer, older) })
	mergeEnum(newer, older)
	required := document.Get(newer, "required")
	if required == nil {
		return
	}
	also := map[string]bool{}
	for _, name := range document.Texts(document.Get(older, "required")) {
		also[name] = true
	}
	kept := required.Content[:0:0]
	for _, name := range required.Content {
		if also[name.Value] {
			kept = append(kept, name)
		}
	}
	if required.Content = kept; len(kept) == 0 {
		document.Delete(newer, "required")
	}
}

// mergeEnum joins the values; without an enum on either side anything goes.
func mergeEnum(newer, older *yaml.Node) {
	to, from := document.Get(newer, "enum"), document.Get(older, "enum")
	switch {
	case to != nil && from != nil:
		mergeList(to, from)
	case to != nil:
		document.Delete(newer, "enum")
	}
}

func mergeList(to, from *yaml.Node) {
	have := map[string]bool{}
	for _, item := range to.Content {
		have[item.Value] = true
	}
	for _, item := range from.Content {
		if !have[item.Value] {
			to.Content = append(to.Content, item)
		}
	}
}
