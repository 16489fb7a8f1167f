// Package document reads the Swagger 2.0 documents of the API as the suite
// needs them: operations in the document's order, their schemas, and the
// example exchanges (x-examples) that become cases.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"sort"
	"strconv"
	"strings"
)

// Document is one version of the API.
type Document struct {
	// Version is the API version, "1.23".
	Version string
	// Operations are in the order in which the document has them.
	Operations []*Operation
	// Definitions are the named schemas.
	Definitions map[string]*Schema
}

// Operation is one method of one path.
type Operation struct {
	ID          string              `json:"operationId"`
	Tags        []string            `json:"tags"`
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	Mode        string              `json:"x-berth-mode"`
	Stream      string              `json:"x-berth-stream"`
	Produces    []string            `json:"produces"`
	Consumes    []string            `json:"consumes"`
	Parameters  []Parameter         `json:"parameters"`
	Responses   map[string]Response `json:"responses"`
	Examples    []*Example          `json:"x-examples"`
	// Events are the names of events by kind of object, only at /events.
	Events map[string][]string `json:"x-berth-events"`

	// Method is in upper case, Path without the version prefix.
	Method string `json:"-"`
	Path   string `json:"-"`
}

// Parameter is a parameter of an operation, of any place.
type Parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Type        string  `json:"type"`
	Required    bool    `json:"required"`
	Description string  `json:"description"`
	Schema      *Schema `json:"schema"`
}

// Response is what a status means.
type Response struct {
	Description  string            `json:"description"`
	Schema       *Schema           `json:"schema"`
	Headers      map[string]Header `json:"headers"`
	Undocumented string            `json:"x-undocumented"`
}

// Header is a header of a response.
type Header struct {
	Type string `json:"type"`
	// SchemaName names the definition of the JSON inside the header, which is
	// base64-encoded; empty for a plain header.
	SchemaName string `json:"x-berth-schema"`
}

// Schema is the part of Swagger's schema object that the documents use.
type Schema struct {
	Ref                  string             `json:"$ref"`
	Type                 string             `json:"type"`
	Format               string             `json:"format"`
	Description          string             `json:"description"`
	Enum                 []any              `json:"enum"`
	Properties           map[string]*Schema `json:"properties"`
	Items                *Schema            `json:"items"`
	AdditionalProperties *Schema            `json:"additionalProperties"`
	AllOf                []*Schema          `json:"allOf"`
	Nullable             bool               `json:"x-nullable"`
	OmitEmpty            bool               `json:"x-omitempty"`
	Undocumented         string             `json:"x-undocumented"`
}

// Tag is the operation's section in the document: Containers, Images, Misc,
// Volumes or Networks.
func (o *Operation) Tag() string {
	if len(o.Tags) == 0 {
		return "Untagged"
	}
	return o.Tags[0]
}

// Response returns what the document says of a status.
func (o *Operation) Response(status int) (Response, bool) {
	response, ok := o.Responses[strconv.Itoa(status)]
	return response, ok
}

// Statuses lists the declared statuses in ascending order.
func (o *Operation) Statuses() []int {
	var statuses []int
	for text := range o.Responses {
		if status, err := strconv.Atoi(text); err == nil {
			statuses = append(statuses, status)
		}
	}
	sort.Ints(statuses)
	return statuses
}

// HasParameter says whether the operation has a parameter of that name in that
// place ("query", "header", "path", "body").
func (o *Operation) HasParameter(in, name string) bool {
	for _, parameter := range o.Parameters {
		if parameter.In == in && strings.EqualFold(parameter.Name, name) {
			return true
		}
	}
	return false
}

// PathParameter is the name of the operation's path parameter, "" if it has
// none. No path of the API has two.
func (o *Operation) PathParameter() string {
	for _, parameter := range o.Parameters {
		if parameter.In == "path" {
			return parameter.Name
		}
	}
	return ""
}

// Asks says whether a method and a request target, version and query included,
// are of the operation. A value of the path parameter may hold slashes.
func (o *Operation) Asks(method, target string) bool {
	path, _, _ := strings.Cut(target, "?")
	if rest, ok := strings.CutPrefix(path, "/v"); ok {
		if version, rest, found := strings.Cut(rest, "/"); found && strings.Trim(version, "0123456789.") == "" {
			path = "/" + rest
		}
	}
	if method != o.Method {
		return false
	}
	before, after, templated := strings.Cut(o.Path, "{"+o.PathParameter()+"}")
	if !templated {
		return path == o.Path
	}
	return len(path) > len(before)+len(after) && strings.HasPrefix(path, before) && strings.HasSuffix(path, after)
}

// BodySchema is the schema of the JSON body, nil if there is none.
func (o *Operation) BodySchema() *Schema {
	for _, parameter := range o.Parameters {
		if parameter.In == "body" && parameter.Schema != nil && parameter.Schema.Format != "binary" {
			return parameter.Schema
		}
	}
	return nil
}

// Resolve follows references and merges allOf.
func (d *Document) Resolve(schema *Schema) *Schema {
	resolved, _, _ := d.ResolveMarked(schema)
	return resolved
}

// ResolveMarked is Resolve with the marks x-nullable and x-omitempty; one beside
// a reference counts as much as one of the definition. A reference to nothing is
// a schema that takes anything.
func (d *Document) ResolveMarked(schema *Schema) (resolved *Schema, nullable, omitEmpty bool) {
	nullable, omitEmpty = schema.Nullable, schema.OmitEmpty
	for schema.Ref != "" {
		definition := d.Definitions[strings.TrimPrefix(schema.Ref, "#/definitions/")]
		if definition == nil {
			return &Schema{}, nullable, omitEmpty
		}
		schema = definition
		nullable, omitEmpty = nullable || schema.Nullable, omitEmpty || schema.OmitEmpty
	}
	if len(schema.AllOf) > 0 {
		merged := &Schema{Type: "object", Properties: map[string]*Schema{}}
		maps.Copy(merged.Properties, schema.Properties)
		for _, part := range schema.AllOf {
			maps.Copy(merged.Properties, d.Resolve(part).Properties)
		}
		schema = merged
	}
	return schema, nullable, omitEmpty
}

// Parse reads a document. The version is the one that its basePath names.
func Parse(raw []byte) (*Document, error) {
	var top struct {
		BasePath    string             `json:"basePath"`
		Paths       json.RawMessage    `json:"paths"`
		Definitions map[string]*Schema `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, fmt.Errorf("decode the document: %w", err)
	}
	version, ok := strings.CutPrefix(top.BasePath, "/v")
	if !ok {
		return nil, fmt.Errorf("basePath %q names no version", top.BasePath)
	}
	document := &Document{Version: version, Definitions: top.Definitions}
	err := eachMember(top.Paths, func(path string, item json.RawMessage) error {
		return eachMember(item, func(method string, raw json.RawMessage) error {
			if method == "parameters" || strings.HasPrefix(method, "x-") {
				return nil
			}
			operation, err := parseOperation(raw)
			if err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
			operation.Method, operation.Path = strings.ToUpper(method), path
			document.Operations = append(document.Operations, operation)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return document, nil
}

// parseOperation keeps numbers as they are written, because examples hold
// 64-bit integers.
func parseOperation(raw json.RawMessage) (*Operation, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	operation := new(Operation)
	if err := decoder.Decode(operation); err != nil {
		return nil, err
	}
	return operation, nil
}

// eachMember calls f for the members of a JSON object in their order.
func eachMember(raw json.RawMessage, f func(name string, value json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("expected an object, found %v (%w)", token, err)
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if err := f(token.(string), value); err != nil {
			return err
		}
	}
	return nil
}

// Operation returns the operation with that id, nil if this version has none.
func (d *Document) Operation(id string) *Operation {
	for _, operation := range d.Operations {
		if operation.ID == id {
			return operation
		}
	}
	return nil
}
