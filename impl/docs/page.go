package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/seed-50ced230/berth/spec"
)

//go:embed templates
var templates embed.FS

// Policies of the pages (Content Security Policy Level 3). Nothing comes from
// another host; only the form to try an operation may ask one, the reader's
// own engine. Redoc writes its styles into the page and runs its search in a
// worker made of a blob.
const (
	policy       = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	viewerPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	tryPolicy    = policy + "; connect-src http: https:"
)

// page is what every template gets.
type page struct {
	// Title stands in the window's title and at the top.
	Title string
	// Root is the way to the site's root, "" or "../" as often as needed.
	Root string
	// Here is the page's own path.
	Here string
	// Current is the version that the page is about; empty for all of them.
	Current string
	// Place is the fragment of the references that the switch of versions goes
	// to, "#operation/ContainerList" or empty.
	Place    string
	Versions []*version
	Newest   string
	Site     *Site
	Data     any
}

func (s *Site) addPages() error {
	parsed, err := template.ParseFS(templates, "templates/*.html")
	if err != nil {
		return err
	}
	versions := s.contract.versions
	add := func(name, template, title, current, policy string, data any) error {
		p := page{
			Title: title, Root: strings.Repeat("../", strings.Count(name, "/")), Here: name, Current: current,
			Versions: versions, Newest: versions[len(versions)-1].Name, Site: s, Data: data,
		}
		if h, ok := data.(history); ok {
			p.Place = "#operation/" + h.ID
		}
		var b bytes.Buffer
		if err := parsed.ExecuteTemplate(&b, template, p); err != nil {
			return fmt.Errorf("page %s: %w", name, err)
		}
		s.files[name] = file{b.Bytes(), policy}
		return nil
	}
	if err := add("index.html", "home.html", "Docker Remote API", "", policy, nil); err != nil {
		return err
	}
	if err := add("search/index.html", "search.html", "Search", "", policy, nil); err != nil {
		return err
	}
	if err := add("compare/index.html", "compare.html", "Compare versions", "", policy, s.pairs()); err != nil {
		return err
	}
	for i, v := range versions {
		dir := "v" + v.Name + "/"
		if err := add(dir+"index.html", "reference.html", "Reference "+v.Name, v.Name, viewerPolicy, v); err != nil {
			return err
		}
		var news news
		if i > 0 {
			previous := versions[i-1]
			news.Previous = previous.Name
			news.Changes = s.contract.changesOf("", previous.Name, v.Name)
			news.Operations = operationDifferences(previous, v)
		}
		if err := add(dir+"changes/index.html", "changes.html", "What changed in "+v.Name, v.Name, policy, news); err != nil {
			return err
		}
	}
	for _, p := range s.pairs() {
		if err := add("compare/"+p.Name()+"/index.html", "comparison.html", p.From.Name+" and "+p.To.Name, "", policy, s.compare(p)); err != nil {
			return err
		}
	}
	for _, id := range s.contract.ids() {
		h, err := s.history(id)
		if err != nil {
			return err
		}
		if err := add("operations/"+id+"/index.html", "operation.html", h.Summary, "", tryPolicy, h); err != nil {
			return err
		}
	}
	return nil
}

// news are the changes of one version; Previous is empty for the oldest.
type news struct {
	Previous   string
	Changes    []spec.Change
	Operations []operationDifference
}

// pair are two versions to compare, the older one first.
type pair struct{ From, To *version }

// Name is the pair's in a path.
func (p pair) Name() string { return p.From.Name + "-" + p.To.Name }

func (s *Site) pairs() []pair {
	var out []pair
	for i, from := range s.contract.versions {
		for _, to := range s.contract.versions[i+1:] {
			out = append(out, pair{from, to})
		}
	}
	return out
}

// comparison is the difference of two versions.
type comparison struct {
	From, To   string
	Changes    []spec.Change
	Operations []operationDifference
}

func (s *Site) compare(p pair) comparison {
	return comparison{
		From: p.From.Name, To: p.To.Name,
		Changes:    s.contract.changesOf("", p.From.Name, p.To.Name),
		Operations: operationDifferences(p.From, p.To),
	}
}

// operationDifference is how an operation differs between two versions.
type operationDifference struct {
	Operation *operation
	// Added and Removed say that one of the versions lacks it.
	Added, Removed bool
	Differences    []difference
}

func operationDifferences(from, to *version) []operationDifference {
	var out []operationDifference
	for _, o := range to.Operations {
		before := from.byID[o.ID]
		d := operationDifference{Operation: o, Added: before == nil}
		if before != nil {
			d.Differences = differ(before, o)
		}
		if d.Added || len(d.Differences) > 0 {
			out = append(out, d)
		}
	}
	for _, o := range from.Operations {
		if to.byID[o.ID] == nil {
			out = append(out, operationDifference{Operation: o, Removed: true})
		}
	}
	return out
}
