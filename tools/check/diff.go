package check

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/go-openapi/analysis/diff"
	"github.com/go-openapi/spec"
	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/overlay"
)

// differences compares what swagger diff sees between neighbours with the
// overlays: every difference must be some action's, and every action that
// shapes something must show.
func (r *Report) differences(in Input) {
	for i, v := range in.Contract.Versions {
		if i == 0 {
			continue
		}
		before, after := in.Documents[in.Versions[i-1]], in.Documents[v.Number]
		diffs, err := compare(before, after)
		if err != nil {
			r.problem("v%s: swagger diff: %v", v.Number, err)
			continue
		}
		r.Differences[v.Number] = len(diffs)
		ids := map[string]string{}
		for _, doc := range []*yaml.Node{before, after} {
			for _, op := range document.Operations(doc) {
				ids[strings.ToLower(op.Method)+" "+op.Path] = op.ID
			}
		}
		seen := make([]bool, len(v.Actions))
		for _, d := range diffs {
			covered := false
			for j, a := range v.Actions {
				if covers(a, d, ids) {
					covered, seen[j] = true, true
				}
			}
			if !covered {
				r.problem("v%s: no action accounts for the difference %s %s %s %s", v.Number, d.Code.Description(), d.DifferenceLocation.Method, d.DifferenceLocation.URL, d.DifferenceLocation.Node)
			}
		}
		for j, a := range v.Actions {
			if !seen[j] && shapes(a) {
				r.problem("v%s action %d (%s): swagger diff does not see it", v.Number, a.Number, a.Target)
			}
		}
	}
}

// compare runs swagger diff on copies without words and extensions.
func compare(before, after *yaml.Node) (diff.SpecDifferences, error) {
	b, err := bare(before)
	if err != nil {
		return nil, err
	}
	a, err := bare(after)
	if err != nil {
		return nil, err
	}
	b.BasePath, a.BasePath = "", ""
	// The library takes an added response without a schema for granted to
	// have one and panics.
	for path, item := range a.Paths.Paths {
		for method, op := range operationsOf(item) {
			old := operationsOf(b.Paths.Paths[path])[method]
			for code, res := range op.Responses.StatusCodeResponses {
				if old == nil || res.Schema != nil {
					continue
				}
				if _, had := old.Responses.StatusCodeResponses[code]; !had {
					res.Schema = spec.StringProperty()
					op.Responses.StatusCodeResponses[code] = res
				}
			}
		}
	}
	return diff.Compare(b, a)
}

func operationsOf(item spec.PathItem) map[string]*spec.Operation {
	ops := map[string]*spec.Operation{}
	for method, op := range map[string]*spec.Operation{
		"get": item.Get, "put": item.Put, "post": item.Post, "delete": item.Delete, "head": item.Head, "options": item.Options, "patch": item.Patch,
	} {
		if op != nil && op.Responses != nil {
			ops[method] = op
		}
	}
	return ops
}

func bare(doc *yaml.Node) (*spec.Swagger, error) {
	doc = document.Clone(doc)
	document.DeleteKeys(doc, func(key string) bool {
		return strings.HasPrefix(key, "x-") || key == "description" || key == "summary"
	})
	document.Delete(doc, "tags")
	raw, err := document.JSON(doc)
	if err != nil {
		return nil, err
	}
	var s spec.Swagger
	return &s, json.Unmarshal(raw, &s)
}

// covers reports whether an action accounts for a difference: it reaches the
// operation, or the definition, and names what differs.
func covers(a overlay.Action, d diff.SpecDifference, ids map[string]string) bool {
	if a.ExamplesOnly {
		return false
	}
	loc := d.DifferenceLocation
	names := a.Names()
	if loc.URL == "" {
		for n := loc.Node; n != nil; n = n.ChildNode {
			if names[n.Field] || names[n.TypeName] {
				return true
			}
		}
		return false
	}
	if id := ids[loc.Method+" "+loc.URL]; !slices.Contains(a.Operations, id) {
		return false
	}
	if loc.Node == nil {
		return names[loc.Method] && names[loc.URL]
	}
	leaf := loc.Node
	for leaf.ChildNode != nil {
		leaf = leaf.ChildNode
	}
	if names[leaf.Field] || loc.Response != 0 && names[strconv.Itoa(loc.Response)] {
		return true
	}
	// Where a list or a map takes another model, or a body another type, the
	// leaf's name is the place's, not a property's.
	return names[strings.TrimPrefix(leaf.TypeName, "*")] || leaf == loc.Node && names[loc.Method]
}

// shapes reports whether swagger diff can be expected to see an action: it
// adds, removes or retypes a part of the contract and does more than change
// words, extensions, formats, defaults or which members are required.
func shapes(a overlay.Action) bool {
	if a.ExamplesOnly || len(a.Operations) == 0 {
		return false
	}
	if a.Remove {
		for _, place := range a.Touched {
			last := place[len(place)-1]
			if strings.HasPrefix(last, "x-") || blind(last) || len(place) > 1 && blind(place[len(place)-2]) {
				return false
			}
		}
		return true
	}
	return a.Shapes(blind)
}

// blind are keys whose change swagger diff does not report, or not always.
func blind(key string) bool {
	switch key {
	case "description", "summary", "title", "default", "format", "required", "enum", "deprecated", "headers", "consumes", "produces",
		"minimum", "maximum", "pattern", "allowEmptyValue", "collectionFormat":
		return true
	}
	return strings.HasPrefix(key, "x-")
}
