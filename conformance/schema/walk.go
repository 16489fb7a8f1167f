// Package schema compares JSON answers with the schemas of a document, more
// strictly than JSON Schema does: a property that the document has must be
// there unless it is marked x-omitempty, null is an answer only where the
// document says x-nullable, and a property that the document lacks is a
// finding. That is what clients of one version of the API were written against.
package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
)

// Problem is one difference between a value and its schema.
type Problem struct {
	// Path is a JSON pointer (RFC 6901) into the value, "" for the whole.
	Path string
	// Text says what is wrong.
	Text string
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.Text
	}
	return p.Path + ": " + p.Text
}

// Check compares an answer with a schema of the document. Numbers in the value
// must be json.Number. Problems are in the order of the paths.
func Check(doc *document.Document, schema *document.Schema, value any) []Problem {
	w := walker{doc: doc}
	w.walk("", schema, value, schema.Nullable)
	return w.problems
}

type walker struct {
	doc      *document.Document
	problems []Problem
}

func (w *walker) problem(path, format string, arguments ...any) {
	w.problems = append(w.problems, Problem{Path: path, Text: fmt.Sprintf(format, arguments...)})
}

func (w *walker) walk(path string, schema *document.Schema, value any, nullable bool) {
	schema, definedNullable, _ := w.doc.ResolveMarked(schema)
	nullable = nullable || definedNullable
	if value == nil {
		if !nullable && schema.Type != "" {
			w.problem(path, "is null, the document has %s there", article(schema.Type))
		}
		return
	}
	switch schema.Type {
	case "":
		// A schema without a type takes anything.
	case "object":
		w.object(path, schema, value)
	case "array":
		list, ok := value.([]any)
		if !ok {
			w.problem(path, "is %s, not a list", kind(value))
			return
		}
		if schema.Items == nil {
			return
		}
		for i, item := range list {
			w.walk(path+"/"+strconv.Itoa(i), schema.Items, item, false)
		}
	default:
		w.scalar(path, schema, value)
	}
}

func (w *walker) object(path string, schema *document.Schema, value any) {
	object, ok := value.(map[string]any)
	if !ok {
		w.problem(path, "is %s, not an object", kind(value))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		item, there := object[name]
		resolved, nullable, omitEmpty := w.doc.ResolveMarked(property)
		at := path + "/" + escape(name)
		switch {
		case !there && !omitEmpty:
			w.problem(at, "is missing")
		case !there:
		case item == nil && omitEmpty:
			w.problem(at, "is null, the document leaves it out instead")
		default:
			w.walk(at, resolved, item, nullable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, documented := schema.Properties[name]; documented {
			continue
		}
		at := path + "/" + escape(name)
		if schema.AdditionalProperties != nil {
			w.walk(at, schema.AdditionalProperties, object[name], false)
			continue
		}
		w.problem(at, "is not documented in version %s", w.doc.Version)
	}
}

func (w *walker) scalar(path string, schema *document.Schema, value any) {
	switch schema.Type {
	case "string":
		text, ok := value.(string)
		if !ok {
			w.problem(path, "is %s, not a string", kind(value))
			return
		}
		if schema.Format == "date-time" {
			if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
				w.problem(path, "is %q, not a time of RFC 3339", text)
			}
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			w.problem(path, "is %s, not true or false", kind(value))
			return
		}
	case "integer", "number":
		number, ok := value.(json.Number)
		if !ok {
			w.problem(path, "is %s, not a number", kind(value))
			return
		}
		w.number(path, schema, number)
	}
	if len(schema.Enum) > 0 && !slices.ContainsFunc(schema.Enum, func(allowed any) bool {
		return fmt.Sprint(allowed) == fmt.Sprint(value)
	}) {
		w.problem(path, "is %v, the document allows %v", value, schema.Enum)
	}
}

func (w *walker) number(path string, schema *document.Schema, number json.Number) {
	if schema.Type != "integer" {
		return
	}
	text := number.String()
	signed, errSigned := strconv.ParseInt(text, 10, 64)
	_, errUnsigned := strconv.ParseUint(text, 10, 64)
	switch {
	case schema.Format == "int32" && (errSigned != nil || signed > math.MaxInt32 || signed < math.MinInt32):
		w.problem(path, "is %s, not a whole number of 32 bits", text)
	case errSigned != nil && errUnsigned != nil:
		w.problem(path, "is %s, not a whole number of 64 bits", text)
	case schema.Format == "uint64" && errUnsigned != nil:
		w.problem(path, "is %s, not a whole number of 64 bits without sign", text)
	}
}

// kind names a JSON value's type in words.
func kind(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(value)
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func article(name string) string {
	if strings.ContainsAny(name[:1], "aeiou") {
		return "an " + name
	}
	return "a " + name
}

// escape writes a name as a part of a JSON pointer.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
