package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/spec"
)

// operation is what the test needs of an operation of a document.
type operation struct {
	ID         string `json:"operationId"`
	Parameters []struct {
		Name, In string
		Required bool
		Type     string
		Schema   map[string]any
	}
}

// TestEveryOperation calls every operation of every document, on an engine that
// implements none, and every operation of later documents, which must be unknown.
func TestEveryOperation(t *testing.T) {
	d := serve(t, hub.Unimplemented{}, api.Options{Version: "x"})
	of, all := documented(t)
	count := 0
	for _, version := range spec.Versions() {
		for c, op := range all {
			_, documented := of[version][c]
			if documented {
				op = of[version][c]
				count++
			}
			r := op.request(t, c.method, "/v"+version+c.path)
			response, text := d.send(t, r)
			want := op.ID + " is not implemented by this engine yet\n"
			if !documented {
				want = "404 page not found\n"
			}
			if c.method == http.MethodHead {
				want = ""
			}
			status := http.StatusNotImplemented
			if !documented {
				status = http.StatusNotFound
			}
			if response.StatusCode != status || text != want {
				t.Errorf("%s %s at %s: %d %q, wanted %d %q", c.method, c.path, version, response.StatusCode, text, status, want)
			}
		}
	}
	t.Logf("%d operations of %d versions", count, len(spec.Versions()))
	if count != 302 {
		t.Errorf("%d operations, wanted 302", count)
	}
}

// call is where an operation is.
type call struct{ method, path string }

// documented reads the operations of each version, and all of them together as
// the newest version has them.
func documented(t *testing.T) (of map[string]map[call]operation, all map[call]operation) {
	t.Helper()
	all = map[call]operation{}
	of = map[string]map[call]operation{}
	for _, version := range spec.Versions() {
		raw, ok := spec.Document(version)
		if !ok {
			t.Fatalf("no document of %s", version)
		}
		var document struct {
			Paths map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal(raw, &document); err != nil {
			t.Fatal(err)
		}
		of[version] = map[call]operation{}
		for path, item := range document.Paths {
			for method, member := range item {
				if method == "parameters" {
					continue
				}
				var op operation
				if err := json.Unmarshal(member, &op); err != nil {
					t.Fatal(err)
				}
				c := call{strings.ToUpper(method), path}
				of[version][c], all[c] = op, op
			}
		}
	}
	return of, all
}

// request makes a request with all that the operation requires.
func (op operation) request(t *testing.T, method, path string) *http.Request {
	t.Helper()
	path = strings.NewReplacer("{name}", "some/name", "{id}", "0123").Replace(path)
	var query []string
	body := ""
	for _, p := range op.Parameters {
		switch {
		case p.In == "body" && p.Schema["format"] != "binary":
			body = "{}"
		case p.In == "query" && (p.Required || slices.Contains([]string{"h", "w"}, p.Name)):
			query = append(query, p.Name+"=1")
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://d"+path+"?"+strings.Join(query, "&"), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}
