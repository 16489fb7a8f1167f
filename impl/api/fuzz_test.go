package api

import (
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/gen"
	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzPath takes any method and decoded path to an operation as a request's are.
// What the router takes for the parameter stands in the path where the route says.
func FuzzPath(f *testing.F) {
	tables := newTables(gen.Versions(hub.Unimplemented{}))
	for _, path := range []string{
		"/v1.23/containers/json", "/_ping", "//v1.18//containers/a/json", "/v1.23/images/a/b:c/json", "/v1.20/../v1.19/./info", "/v99999999999999999999.1/info",
		"/v1./info", "/v./info", "/v1.1.1/containers/x/", "/containers//json", "/images/a/get", "/images/get", "/networks/a/connect", "/...", "",
	} {
		f.Add("GET", path)
		f.Add("POST", path)
	}
	f.Fuzz(func(t *testing.T, method, written string) {
		defer effort.Bound()()
		cleaned := clean(written)
		if again := clean(cleaned); again != cleaned {
			t.Errorf("%q is cleaned to %q and that to %q", written, cleaned, again)
		}
		if !strings.HasPrefix(cleaned, "/") || strings.Contains(cleaned, "/../") || strings.Contains(cleaned, "//") {
			t.Errorf("%q is cleaned to %q", written, cleaned)
		}
		path, prefix, hasPrefix := splitVersion(cleaned)
		table := tables.newest()
		if hasPrefix {
			if "/v"+prefix+path != cleaned {
				t.Errorf("%q is split into %q and %q", cleaned, prefix, path)
			}
			at, err := tables.at(prefix)
			if at == nil {
				t.Fatalf("%q has no table: %v", prefix, err)
			}
			table = at
		}
		route, param := table.find(method, path)
		if route == nil {
			return
		}
		begin, rest, _ := strings.Cut(route.Path, "{")
		_, end, _ := strings.Cut(rest, "}")
		if route.Method != method || begin+param+end != path || strings.Contains(route.Path, "{") != (param != "") {
			t.Errorf("%s %q: %s %s with %q", method, path, route.Method, route.Path, param)
		}
	})
}
