package api

import (
	"path"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/api/bind"
)

// table routes the requests of one version. Paths have at most one parameter,
// and its value may hold slashes (names of images do), so a route is a static
// path or a beginning and an end around the parameter.
type table struct {
	name     string
	number   number
	static   map[key]*bind.Route
	patterns map[key][]pattern // by method and first segment, longest end first
}

// key is a method with a path (static) or with a path's first segment.
type key struct{ method, path string }

// pattern is a path with a parameter.
type pattern struct {
	begin, end string
	route      *bind.Route
}

func newTable(v bind.Version) *table {
	n, _ := parseNumber(v.Name)
	t := &table{name: v.Name, number: n, static: map[key]*bind.Route{}, patterns: map[key][]pattern{}}
	for i := range v.Routes {
		route := &v.Routes[i]
		begin, rest, found := strings.Cut(route.Path, "{")
		if !found {
			t.static[key{route.Method, route.Path}] = route
			continue
		}
		_, end, _ := strings.Cut(rest, "}")
		k := key{route.Method, firstSegment(begin)}
		t.patterns[k] = append(t.patterns[k], pattern{begin, end, route})
	}
	for _, list := range t.patterns {
		slices.SortStableFunc(list, func(a, b pattern) int { return len(b.end) - len(a.end) })
	}
	return t
}

// find gives the route of a request and the value of its parameter, or nil.
func (t *table) find(method, path string) (*bind.Route, string) {
	if route, ok := t.static[key{method, path}]; ok {
		return route, ""
	}
	for _, p := range t.patterns[key{method, firstSegment(path)}] {
		if len(path) > len(p.begin)+len(p.end) && strings.HasPrefix(path, p.begin) && strings.HasSuffix(path, p.end) {
			return p.route, path[len(p.begin) : len(path)-len(p.end)]
		}
	}
	return nil, ""
}

// firstSegment is a path up to its second slash.
func firstSegment(path string) string {
	if len(path) == 0 {
		return path
	}
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		return path[:i+1]
	}
	return path
}

// clean joins repeated slashes and resolves dots. The engines of these versions
// answered such a path with a redirect to the clean one, which a client that
// posts cannot follow; here it is served at once. A trailing slash stays, and with
// it the path is another one, as it was with them.
func clean(p string) string {
	if isClean(p) {
		return p
	}
	cleaned := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned
}

// isClean spares nearly all requests the work of path.Clean.
func isClean(p string) bool {
	return strings.HasPrefix(p, "/") && !strings.Contains(p, "//") && !strings.Contains(p, "/.")
}
