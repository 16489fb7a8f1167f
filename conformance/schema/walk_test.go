package schema_test

import (
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/schema"
	"github.com/seed-50ced230/berth/conformance/wire"
)

const definitions = `{"basePath": "/v1.0", "paths": {}, "definitions": {
	"Thing": {"type": "object", "properties": {
		"Name": {"type": "string"},
		"Count": {"type": "integer", "format": "int32"},
		"Ratio": {"type": "number"},
		"When": {"type": "string", "format": "date-time"},
		"Kind": {"type": "string", "enum": ["a", "b"]},
		"Tags": {"type": "array", "items": {"type": "string"}},
		"NullTags": {"type": "array", "x-nullable": true, "items": {"type": "string"}},
		"Labels": {"type": "object", "additionalProperties": {"type": "string"}},
		"Left": {"type": "string", "x-omitempty": true},
		"Inner": {"$ref": "#/definitions/Inner"},
		"MarkedBeside": {"$ref": "#/definitions/Inner", "x-nullable": true},
		"Optional": {"$ref": "#/definitions/Optional"}
	}},
	"Inner": {"type": "object", "properties": {"On": {"type": "boolean"}}},
	"Optional": {"type": "object", "x-nullable": true, "x-omitempty": true, "properties": {}},
	"Both": {"allOf": [{"$ref": "#/definitions/Inner"}, {"type": "object", "properties": {"More": {"type": "string"}}}]}
}}`

const good = `{"Name": "n", "Count": 1, "Ratio": 1.5, "When": "2015-01-06T15:47:31.485331387Z", "Kind": "a",
	"Tags": [], "NullTags": null, "Labels": {"x": "y"}, "Inner": {"On": true}, "MarkedBeside": null`

func check(t *testing.T, definition, value string) []string {
	t.Helper()
	doc, err := document.Parse([]byte(definitions))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := wire.DecodeJSON([]byte(value))
	if err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	var problems []string
	for _, problem := range schema.Check(doc, &document.Schema{Ref: "#/definitions/" + definition}, decoded) {
		problems = append(problems, problem.String())
	}
	return problems
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		definition, value string
		want              []string
	}{
		"all right":              {"Thing", good + `}`, nil},
		"optional ones, too":     {"Thing", good + `, "Left": "x", "Optional": {}}`, nil},
		"undocumented":           {"Thing", good + `, "Extra": 1}`, []string{"/Extra: is not documented in version 1.0"}},
		"null instead of absent": {"Thing", good + `, "Optional": null}`, []string{"/Optional: is null, the document leaves it out instead"}},
		"later value counts":     {"Thing", good + `, "Tags": null}`, []string{"/Tags: is null, the document has an array there"}},
		"wrong type":             {"Thing", good + `, "Count": "1"}`, []string{"/Count: is a string, not a number"}},
		"fraction":               {"Thing", good + `, "Count": 1.5}`, []string{"/Count: is 1.5, not a whole number of 32 bits"}},
		"too large":              {"Thing", good + `, "Count": 4294967296}`, []string{"/Count: is 4294967296, not a whole number of 32 bits"}},
		"no time":                {"Thing", good + `, "When": "now"}`, []string{`/When: is "now", not a time of RFC 3339`}},
		"not of the enum":        {"Thing", good + `, "Kind": "c"}`, []string{"/Kind: is c, the document allows [a b]"}},
		"item of a list":         {"Thing", good + `, "Tags": ["x", 1]}`, []string{"/Tags/1: is a number, not a string"}},
		"value of a map":         {"Thing", good + `, "Labels": {"a/b": null}}`, []string{"/Labels/a~1b: is null, the document has a string there"}},
		"inside a reference":     {"Thing", good + `, "Inner": {}}`, []string{"/Inner/On: is missing"}},
		"null object":            {"Thing", good + `, "Inner": null}`, []string{"/Inner: is null, the document has an object there"}},
		"a list for an object":   {"Thing", `[]`, []string{"is a list, not an object"}},
		"allOf":                  {"Both", `{"On": true, "More": "x"}`, nil},
		"allOf lacks one":        {"Both", `{"On": true}`, []string{"/More: is missing"}},
	} {
		if got := check(t, test.definition, test.value); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, expected %q", name, got, test.want)
		}
	}
}
