package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/html"

	"github.com/seed-50ced230/berth/spec"
)

// plain is the site without a report; it takes a while to make and nothing
// changes it.
var plain = sync.OnceValues(func() (*Site, error) { return New(Options{}) })

func site(t *testing.T) *Site {
	t.Helper()
	s, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// links are the href and src of a page, ids its anchors.
func links(t *testing.T, page []byte) (links []string, ids map[string]bool) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	ids = map[string]bool{}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			switch a.Key {
			case "href", "src":
				links = append(links, a.Val)
			case "id":
				ids[a.Val] = true
			}
		}
	}
	return links, ids
}

// Every link of every page leads to a file of the site; one into a reference
// leads to an operation of that version or, from a page about an operation, to
// a notice that the version lacks it.
func TestLinks(t *testing.T) {
	s := site(t)
	count := 0
	for _, name := range s.Names() {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		found, ids := links(t, s.files[name].content)
		for _, link := range found {
			count++
			target, fragment, _ := strings.Cut(link, "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "/") {
				t.Errorf("%s: %s is not relative", name, link)
				continue
			}
			if target == "" {
				if !ids[fragment] {
					t.Errorf("%s: nothing has the id %s", name, fragment)
				}
				continue
			}
			to := path.Join(path.Dir(name), target)
			if _, ok := s.files[to]; !ok {
				t.Errorf("%s: %s leads nowhere", name, link)
			}
		}
	}
	if count < 1000 {
		t.Errorf("only %d links found", count)
	}
}

func TestEveryOperationHasItsPageAndItsPlaceInTheReferences(t *testing.T) {
	s := site(t)
	operations := 0
	for _, version := range spec.Versions() {
		raw, ok := strings.CutPrefix(string(s.files["v"+version+"/reference.js"].content), "window.reference = ")
		if !ok {
			t.Fatalf("%s: no reference", version)
		}
		var reference struct {
			Paths map[string]map[string]struct {
				OperationID string
				Description string
				Samples     []struct{ Source string } `json:"x-codeSamples"`
				Examples    any                       `json:"x-examples"`
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimSuffix(raw, ";\n")), &reference); err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		for route, methods := range reference.Paths {
			for method, o := range methods {
				operations++
				page := string(s.files["operations/"+o.OperationID+"/index.html"].content)
				if !strings.Contains(page, strings.ToUpper(method)+"</b> "+route) {
					t.Errorf("%s %s: the page of %s does not show %s %s", version, o.OperationID, o.OperationID, method, route)
				}
				if o.Examples != nil {
					t.Errorf("%s %s: the viewer's copy still has x-examples", version, o.OperationID)
				}
				if !strings.Contains(o.Description, "../operations/"+o.OperationID+"/index.html") {
					t.Errorf("%s %s: no link to its page", version, o.OperationID)
				}
				for _, sample := range o.Samples {
					if !strings.HasPrefix(sample.Source, "curl ") || !strings.Contains(sample.Source, "/v"+version+"/") || strings.Contains(sample.Source, "{") && !strings.Contains(sample.Source, "-d ") {
						t.Errorf("%s %s: sample %q", version, o.OperationID, sample.Source)
					}
				}
			}
		}
	}
	if operations != 302 {
		t.Errorf("%d operations in the references, want 302", operations)
	}
}

func TestBothFormsOfADocumentSayTheSame(t *testing.T) {
	s := site(t)
	for _, version := range spec.Versions() {
		var fromJSON, fromYAML any
		if err := json.Unmarshal(s.files["v"+version+"/swagger.json"].content, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(s.files["v"+version+"/swagger.yaml"].content, &fromYAML); err != nil {
			t.Fatal(err)
		}
		// Numbers are of different types; their text is not.
		again, err := json.Marshal(fromYAML)
		if err != nil {
			t.Fatal(err)
		}
		var through any
		if err := json.Unmarshal(again, &through); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(fromJSON, through) {
			t.Errorf("%s: YAML and JSON differ", version)
		}
	}
}

// Every change of spec/changes.json stands on its version's page.
func TestChanges(t *testing.T) {
	s := site(t)
	changes, err := spec.Changes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		page := s.files["v"+c.Version+"/changes/index.html"].content
		root, err := html.Parse(bytes.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(textOf(root), c.Description) {
			t.Errorf("%s: %q is not on the page", c.Version, c.Description)
		}
	}
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func TestComparison(t *testing.T) {
	c, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	byName := func(name string) *version {
		for _, v := range c.versions {
			if v.Name == name {
				return v
			}
		}
		t.Fatalf("no version %s", name)
		return nil
	}
	type line struct{ operation, what string }
	of := func(from, to string) map[line]bool {
		lines := map[line]bool{}
		for _, o := range operationDifferences(byName(from), byName(to)) {
			if o.Added {
				lines[line{o.Operation.ID, "new"}] = true
			}
			if o.Removed {
				lines[line{o.Operation.ID, "gone"}] = true
			}
			for _, d := range o.Differences {
				sign := "~"
				if d.Added {
					sign = "+"
				} else if d.Removed {
					sign = "-"
				}
				lines[line{o.Operation.ID, sign + d.Place + " " + d.Name}] = true
			}
		}
		return lines
	}
	for _, test := range []struct {
		from, to string
		line     line
		want     bool
	}{
		{"1.18", "1.19", line{"ContainerLogs", "+query since"}, true},
		{"1.20", "1.21", line{"VolumeList", "new"}, true},
		{"1.21", "1.22", line{"ContainerAttach", "+query detachKeys"}, true},
		{"1.21", "1.22", line{"ContainerAttach", "+status 409"}, true},
		{"1.18", "1.23", line{"ContainerAttach", "+query detachKeys"}, true},
		{"1.19", "1.20", line{"ContainerInspect", "+answer 200 Mounts"}, true},
		// What is new inside a new field is not listed by itself.
		{"1.19", "1.20", line{"ContainerInspect", "+answer 200 Mounts[].Source"}, false},
		{"1.22", "1.23", line{"ContainerAttach", "+query detachKeys"}, false},
	} {
		if got := of(test.from, test.to)[test.line]; got != test.want {
			t.Errorf("%s to %s: %v listed: %v, want %v", test.from, test.to, test.line, got, test.want)
		}
	}
	if len(of("1.23", "1.23")) != 0 {
		t.Error("a version differs from itself")
	}
}

func TestConformance(t *testing.T) {
	report := `{"host":"unix:///x","started":"2026-01-02T03:04:05Z","cases":[
		{"id":"v1.23/Ping/ping","version":"1.23","operation":"Ping","verdict":"pass"},
		{"id":"v1.23/ContainerAttach/a","version":"1.23","operation":"ContainerAttach","verdict":"pass"},
		{"id":"v1.23/ContainerAttach/b","version":"1.23","operation":"ContainerAttach","verdict":"fail"}]}`
	name := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(name, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := OpenConformance(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Conformance: found})
	if err != nil {
		t.Fatal(err)
	}
	page := string(s.files["operations/ContainerAttach/index.html"].content)
	for _, want := range []string{"1 of 2 cases passed", "v1.23/ContainerAttach/b: fail"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of ContainerAttach lacks %q", want)
		}
	}
	if home := string(s.files["index.html"].content); !strings.Contains(home, "1/2") || !strings.Contains(home, "unix:///x") {
		t.Error("the first page does not show the report")
	}
	for _, bad := range []string{"", "{}", `{"cases":[]}`, "[]"} {
		if _, err := ReadConformance(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken for a report", bad)
		}
	}
}

// What is written and what is served is the same.
func TestWriteAndServe(t *testing.T) {
	s := site(t)
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	for _, name := range s.Names() {
		written, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		response, body := get(t, server, http.MethodGet, "/"+name)
		if response.StatusCode != http.StatusOK || !bytes.Equal(body, written) {
			t.Errorf("%s: status %d, %d bytes served, %d written", name, response.StatusCode, len(body), len(written))
		}
		if policy := response.Header.Get("Content-Security-Policy"); strings.HasSuffix(name, ".html") != (policy != "") {
			t.Errorf("%s: Content-Security-Policy %q", name, policy)
		}
	}
	for _, test := range []struct {
		method, path string
		status       int
		location     string
	}{
		{"GET", "/", 200, ""}, {"GET", "/compare/", 200, ""}, {"HEAD", "/", 200, ""},
		{"GET", "/compare", 301, "/compare/"}, {"GET", "/v1.23", 301, "/v1.23/"},
		{"GET", "/nowhere", 404, ""}, {"GET", "/../go.mod", 404, ""}, {"GET", "/assets", 404, ""},
		{"POST", "/", 405, ""}, {"GET", "//evil.example/", 404, ""}, {"GET", "//compare", 301, "/compare/"},
	} {
		response, _ := get(t, server, test.method, test.path)
		if response.StatusCode != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, response.StatusCode, test.status)
		}
		if l := response.Header.Get("Location"); l != test.location {
			t.Errorf("%s %s: to %q, want %q", test.method, test.path, l, test.location)
		}
	}
}

func get(t *testing.T, server *httptest.Server, method, target string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.URL.Path = target
	request.URL.RawPath = ""
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return response, body.Bytes()
}

// The viewer is the package's own but for one address, and nothing of the site
// names another host that a browser would ask.
func TestNothingIsAskedOfOtherHosts(t *testing.T) {
	s := site(t)
	loads := regexp.MustCompile(`(?:src|href)\s*[=:]\s*["'](https?:)?//[^"']+["']`)
	for _, name := range s.Names() {
		if strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".css") || strings.HasSuffix(name, ".svg") {
			if found := loads.Find(s.files[name].content); found != nil {
				t.Errorf("%s: %s", name, found)
			}
		}
	}
	if bytes.Contains(s.files["viewer/redoc.standalone.js"].content, []byte("cdn.redoc.ly")) {
		t.Error("the viewer asks another host for its logo")
	}
}

func ExampleSite_Names() {
	s, err := plain()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Names()[0])
	// Output: assets/icon.svg
}
