package conformance

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// rightBody is a request with a JSON body that nothing is wrong with: its path
// below the version, its query and its body.
func (r *Run) rightBody() (path string, query url.Values, body func() map[string]any) {
	switch r.Operation.ID {
	case "ImageCommit":
		r.containerExited()
		name := r.fresh()
		r.removeImage(name)
		return r.Operation.Path, url.Values{"container": {r.values["container"]}, "repo": {name}}, func() map[string]any { return map[string]any{} }
	case "SystemAuth":
		r.registryWithLogin()
		return r.Operation.Path, nil, func() map[string]any {
			return map[string]any{"username": "hannibal", "password": r.values["password"], "serveraddress": r.values["registry"]}
		}
	case "NetworkDisconnect":
		r.networkCreated()
		r.containerInNetwork()
		return "/networks/" + r.values["network"] + "/disconnect", nil, func() map[string]any { return map[string]any{"Container": r.values["container"]} }
	}
	valid := r.minimal(r.existing())
	path, rawQuery, _ := strings.Cut(strings.TrimPrefix(valid.Target, "/v"+r.Document.Version), "?")
	query, _ = url.ParseQuery(rawQuery)
	return path, query, func() map[string]any {
		decoded, _ := wire.DecodeJSON(valid.Body) // no body is no object
		body, ok := decoded.(map[string]any)
		if !ok {
			body = map[string]any{}
		}
		return body
	}
}

// runWrongTypes sends one request for every property of the body, those of
// objects, lists and maps inside of it, too.
func runWrongTypes(r *Run) {
	path, query, valid := r.rightBody()
	for _, wrong := range wrongBodies(r.Document, r.Operation.BodySchema()) {
		body := valid()
		maps.Copy(body, wrong.body)
		response := r.asked(r.Operation.Method, path, query, body)
		r.tidy(response)
		if response.Status != http.StatusBadRequest {
			r.finding("status", wrong.at, "is %d for %s, expected 400: %s", response.Status, text(wrong.body), excerpt(response.Body))
		}
	}
}

type wrongBody struct {
	at   string
	body map[string]any
}

// wrongBodies lists the properties of a schema with, for each, a body in which
// that one has a value of another type.
func wrongBodies(doc *document.Document, schema *document.Schema) []wrongBody {
	var list []wrongBody
	// enclose puts a value at the place that is being looked at.
	var walk func(schema *document.Schema, at string, seen []*document.Schema, enclose func(any) any)
	walk = func(schema *document.Schema, at string, seen []*document.Schema, enclose func(any) any) {
		schema = doc.Resolve(schema)
		if slices.Contains(seen, schema) {
			return
		}
		seen = append(seen[:len(seen):len(seen)], schema)
		if at != "" {
			switch schema.Type {
			case "string", "boolean", "integer", "number", "array":
				list = append(list, wrongBody{at, enclose(map[string]any{"wrong": true}).(map[string]any)})
			case "object":
				list = append(list, wrongBody{at, enclose("wrong").(map[string]any)})
			}
		}
		for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
			walk(schema.Properties[name], at+"/"+name, seen, func(value any) any { return enclose(map[string]any{name: value}) })
		}
		if schema.Items != nil {
			walk(schema.Items, at+"/0", seen, func(value any) any { return enclose([]any{value}) })
		}
		if schema.AdditionalProperties != nil {
			walk(schema.AdditionalProperties, at+"/x", seen, func(value any) any { return enclose(map[string]any{"x": value}) })
		}
	}
	walk(schema, "", nil, func(value any) any { return value })
	return list
}

// runUnknownProperties sends a right body with properties that no document has,
// at its top and in each object inside of it.
func runUnknownProperties(r *Run, status int) {
	path, query, valid := r.rightBody()
	body := valid()
	body["NoSuchProperty"] = map[string]any{"a": []int{1}}
	for _, value := range body {
		if object, ok := value.(map[string]any); ok {
			object["NoSuchProperty"] = "x"
		}
	}
	response := r.asked(r.Operation.Method, path, query, body)
	if r.Operation.ID == "VolumeCreate" {
		r.values["volume"], _ = body["Name"].(string)
	}
	r.tidy(response)
	r.compareStatus(response.Status, response.Body, status)
}
