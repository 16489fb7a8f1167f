package conformance

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// uncoveredYAML are the parts of the documents that no case can be had for.
//
//go:embed uncovered.yaml
var uncoveredYAML []byte

// Gap is a part of the documents without a case, and why.
type Gap struct {
	// Part is version/operation/kind/name, as Parts makes them; * stands for any
	// of them, or for any part of a name.
	Part   string `yaml:"part"`
	Reason string `yaml:"reason"`
	// Sometimes marks what a run covers or not as time has it, so that it is no
	// disagreement when one does.
	Sometimes bool `yaml:"sometimes"`
}

// Gaps is a list of them.
type Gaps []Gap

// KnownGaps reads the embedded list.
func KnownGaps() (Gaps, error) { return ParseGaps(uncoveredYAML) }

// ParseGaps reads the YAML list. Every item needs a part and a reason.
func ParseGaps(raw []byte) (Gaps, error) {
	var gaps Gaps
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&gaps); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("decode the list of gaps: %w", err)
	}
	for i, gap := range gaps {
		if gap.Part == "" || gap.Reason == "" {
			return nil, fmt.Errorf("gap %d needs a part and a reason", i+1)
		}
		if _, err := path.Match(gap.pattern(), ""); err != nil {
			return nil, fmt.Errorf("gap %q: %w", gap.Part, err)
		}
	}
	return gaps, nil
}

// pattern is the part for path.Match: brackets choose among versions, and stand
// for themselves in names.
func (g Gap) pattern() string {
	version, rest, _ := strings.Cut(g.Part, "/")
	return version + "/" + escapePath(rest)
}

func (g Gap) covers(part string) bool {
	ok, _ := path.Match(g.pattern(), part)
	return ok
}

// Parts are everything of a document that a case can be about:
// "v1.23/ContainerList/status/400", "…/query/limit", "…/header/X-Registry-Auth",
// "…/body/HostConfig.Memory", "…/answer/Names[]".
func Parts(doc *document.Document) []string {
	var parts []string
	for _, operation := range doc.Operations {
		add := func(kind, name string) {
			parts = append(parts, fmt.Sprintf("v%s/%s/%s/%s", doc.Version, operation.ID, kind, strings.ReplaceAll(name, "/", "|")))
		}
		for _, status := range operation.Statuses() {
			add("status", fmt.Sprint(status))
		}
		for _, parameter := range operation.Parameters {
			if parameter.In == "query" || parameter.In == "header" {
				add(parameter.In, parameter.Name)
			}
		}
		for _, at := range fieldsOf(doc, operation.BodySchema()) {
			add("body", at)
		}
		for _, status := range operation.Statuses() {
			response, _ := operation.Response(status)
			if status < http.StatusMultipleChoices {
				for _, at := range fieldsOf(doc, response.Schema) {
					add("answer", at)
				}
			}
		}
	}
	return parts
}

// fieldsOf are the paths of a schema, in the form of a shape.
func fieldsOf(doc *document.Document, schema *document.Schema) []string {
	var paths []string
	var walk func(schema *document.Schema, at string, seen []*document.Schema)
	walk = func(schema *document.Schema, at string, seen []*document.Schema) {
		if schema == nil {
			return
		}
		schema = doc.Resolve(schema)
		if slices.Contains(seen, schema) {
			return
		}
		seen = append(seen[:len(seen):len(seen)], schema)
		if at != "" && !strings.HasSuffix(at, "[]") && !strings.HasSuffix(at, "*") {
			paths = append(paths, at)
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			walk(schema.Properties[name], strings.TrimPrefix(at+"."+name, "."), seen)
		}
		walk(schema.Items, at+"[]", seen)
		walk(schema.AdditionalProperties, strings.TrimPrefix(at+".*", "."), seen)
	}
	walk(schema, "", nil)
	return paths
}

// Uncovered are the parts of the documents that no case of a run asked for or
// saw.
func Uncovered(documents []*document.Document, results []*Result) []string {
	seen := map[string]bool{}
	for _, result := range results {
		noteSeen(result, func(kind, name string) {
			seen[fmt.Sprintf("v%s/%s/%s/%s", result.Document.Version, result.Operation.ID, kind, strings.ReplaceAll(name, "/", "|"))] = true
		})
	}
	var missing []string
	for _, doc := range documents {
		for _, part := range Parts(doc) {
			if !seen[part] {
				missing = append(missing, part)
			}
		}
	}
	return missing
}

func noteSeen(result *Result, note func(kind, name string)) {
	for _, recorded := range result.Exchanges {
		exchange := recorded.Exchange
		if recorded.Phase == string(cleanup) || !result.Operation.Asks(exchange.Method, exchange.Target) {
			continue
		}
		note("status", fmt.Sprint(exchange.Status))
		if exchange.Status >= http.StatusBadRequest {
			continue // what was refused shows nothing of what it asked for
		}
		_, rawQuery, _ := strings.Cut(exchange.Target, "?")
		query, _ := url.ParseQuery(rawQuery)
		for name := range query {
			note("query", name)
		}
		for name := range exchange.RequestHeader() {
			for _, parameter := range result.Operation.Parameters {
				if parameter.In == "header" && strings.EqualFold(parameter.Name, name) {
					note("header", parameter.Name)
				}
			}
		}
		if value, err := wire.DecodeJSON(exchange.RequestBody()); err == nil {
			notePaths(result.Document, result.Operation.BodySchema(), value, "", func(at string) { note("body", at) })
		}
	}
	for _, answer := range result.Answers {
		if answer.Status >= http.StatusMultipleChoices {
			continue
		}
		for at := range answer.Shape {
			note("answer", at)
			// A stream of objects has a schema of one of them.
			note("answer", strings.TrimPrefix(strings.TrimPrefix(at, "[]"), "."))
		}
	}
}

// notePaths walks a value along its schema, so that names of a map are "*".
func notePaths(doc *document.Document, schema *document.Schema, value any, at string, note func(at string)) {
	if schema == nil {
		return
	}
	schema = doc.Resolve(schema)
	note(at)
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			notePaths(doc, schema.Items, item, at+"[]", note)
		}
	case map[string]any:
		for name, item := range value {
			if property := schema.Properties[name]; property != nil {
				notePaths(doc, property, item, strings.TrimPrefix(at+"."+name, "."), note)
			} else {
				notePaths(doc, schema.AdditionalProperties, item, strings.TrimPrefix(at+".*", "."), note)
			}
		}
	}
}

// Compare holds the list against what a whole run left uncovered, in both
// directions.
func (gaps Gaps) Compare(uncovered []string) []Disagreement {
	var differences []Disagreement
	for _, part := range uncovered {
		if !slices.ContainsFunc(gaps, func(g Gap) bool { return g.covers(part) }) {
			differences = append(differences, Disagreement{part, "the document has it and no case covers it"})
		}
	}
	for _, gap := range gaps {
		if !gap.Sometimes && !slices.ContainsFunc(uncovered, gap.covers) {
			differences = append(differences, Disagreement{gap.Part, "listed as uncovered and covered"})
		}
	}
	return differences
}
