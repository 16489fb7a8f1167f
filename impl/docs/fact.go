package docs

import (
	"strings"
)

// fact is one thing that a document says of an operation and that a client may
// notice: a parameter, a field, a status, a header.
type fact struct {
	// Place groups facts for a reader: "query", "request body", "answer 200", …
	Place string
	// Name is unique in its place: a parameter's name, a field's path
	// ("HostConfig.Ulimits[].Name"), a status.
	Name string
	// Form is a type and what belongs to it, "integer int64, required".
	Form string
}

// factsOf reads an operation, parameters first, in the document's order.
func factsOf(document, operation tree) []fact {
	var facts []fact
	add := func(place, name, form string) { facts = append(facts, fact{place, name, form}) }
	for _, p := range operation.at("parameters").items() {
		if p.at("in").string() == "body" {
			flatten(document, p.at("schema"), "", nil, func(path, form string) { add("request body", path, form) })
			continue
		}
		add(p.at("in").string(), p.at("name").string(), form(p))
		for _, filter := range p.at("x-filters").items() {
			add("filter", filter.at("name").string(), form(filter))
		}
	}
	for status, response := range operation.at("responses").properties() {
		add("status", status, "")
		for name, header := range response.at("headers").properties() {
			add("answer "+status+" header", name, form(header))
		}
		flatten(document, response.at("schema"), "", nil, func(path, form string) { add("answer "+status, path, form) })
	}
	return facts
}

// flatten calls add for a schema and everything in it. seen are the
// definitions on the way down: one that contains itself is not entered again.
func flatten(document, schema tree, path string, seen []string, add func(path, form string)) {
	if !schema.found() {
		return
	}
	own := schema
	if reference := schema.at("$ref").string(); reference != "" {
		name := strings.TrimPrefix(reference, "#/definitions/")
		for _, s := range seen {
			if s == name {
				add(orBody(path), name)
				return
			}
		}
		seen = append(seen[:len(seen):len(seen)], name)
		schema = document.at("definitions", name)
	}
	add(orBody(path), form(schema, own))
	for name, property := range schema.at("properties").properties() {
		below := name
		if path != "" {
			below = path + "." + name
		}
		flatten(document, property, below, seen, add)
	}
	if items := schema.at("items"); items.found() {
		flatten(document, items, path+"[]", seen, add)
	}
	if values := schema.at("additionalProperties"); values.at("type").found() || values.at("$ref").found() {
		flatten(document, values, path+"{}", seen, add)
	}
	for _, part := range schema.at("allOf").items() {
		flatten(document, part, path, seen, add)
	}
}

func orBody(path string) string {
	if path == "" {
		return "(whole)"
	}
	return path
}

// form says type, format and bounds in a few words. Of several nodes each may
// add its words.
func form(nodes ...tree) string {
	var words []string
	add := func(word string) {
		if word == "" {
			return
		}
		for _, w := range words {
			if w == word {
				return
			}
		}
		words = append(words, word)
	}
	for _, t := range nodes {
		kind := t.at("type").string()
		if format := t.at("format").string(); format != "" {
			kind += " " + format
		}
		add(kind)
		if t.at("required").string() == "true" {
			add("required")
		}
		if t.at("x-nullable").string() == "true" {
			add("may be null")
		}
		if t.at("x-omitempty").string() == "true" {
			add("left out when empty")
		}
		if d := t.at("default"); d.found() {
			add("default " + orNone(d.string()))
		}
		var values []string
		for _, v := range t.at("enum").items() {
			values = append(values, orNone(v.string()))
		}
		if len(values) > 0 {
			add("one of " + strings.Join(values, " "))
		}
	}
	return strings.Join(words, ", ")
}

func orNone(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// difference is what one side's facts have and the other's lack.
type difference struct {
	Place, Name string
	// Before and After are forms; a fact that one side lacks has Added or
	// Removed set instead.
	Before, After  string
	Added, Removed bool
}

// place is where a fact stands; a document has one form for it.
type place struct{ place, name string }

func index(o *operation) map[place]string {
	forms := map[place]string{}
	if o != nil {
		for _, f := range o.facts {
			forms[place{f.Place, f.Name}] = f.Form
		}
	}
	return forms
}

// differ compares two operations; nil is one that is not there. A field that is
// new or gone together with the field around it is not listed by itself.
func differ(before, after *operation) []difference {
	old, now := index(before), index(after)
	var out []difference
	if after != nil {
		for _, f := range after.facts {
			was, ok := old[place{f.Place, f.Name}]
			switch {
			case !ok && !enclosed(f, now, old):
				out = append(out, difference{Place: f.Place, Name: f.Name, After: f.Form, Added: true})
			case ok && was != f.Form:
				out = append(out, difference{Place: f.Place, Name: f.Name, Before: was, After: f.Form})
			}
		}
	}
	if before != nil {
		for _, f := range before.facts {
			if _, ok := now[place{f.Place, f.Name}]; !ok && !enclosed(f, old, now) {
				out = append(out, difference{Place: f.Place, Name: f.Name, Before: f.Form, Removed: true})
			}
		}
	}
	return out
}

// enclosed says whether a field that only one side has lies in another field
// that only this side has.
func enclosed(f fact, own, other map[place]string) bool {
	for i := len(f.Name) - 1; i > 0; i-- {
		if !strings.ContainsRune(".[{", rune(f.Name[i])) {
			continue
		}
		around := place{f.Place, f.Name[:i]}
		_, here := own[around]
		if _, there := other[around]; here && !there {
			return true
		}
	}
	return false
}
