package report

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance"
)

//go:embed page.html
var pageText string

// row is a line of the matrix: one operation.
type row struct {
	Operation string
	Method    string
	Path      string
	Cells     []cell
}

// cell is one operation at one version.
type cell struct {
	Version string
	// Verdict is the worst of the cases; empty if there is none.
	Verdict conformance.Verdict
	// First is the id of the first case with that verdict.
	First  string
	Passed int
	Cases  []Case
}

type section struct {
	Tag  string
	Rows []row
}

type view struct {
	*Report
	Versions []string
	Verdicts []conformance.Verdict
	Sections []section
	// Total counts verdicts over all versions.
	Total map[conformance.Verdict]int
	// Unexplained and Documented are the steps of the axis.
	Unexplained, Documented []conformance.Step
	Beside                  beside
	// Exchanges are the exchanges of all cases; see exchanges.
	Exchanges string
}

// beside parts the cases by how the second daemon answered.
type beside struct {
	Alike                int
	Explained, Differing []Case
}

func (r *Report) beside() beside {
	var b beside
	for _, c := range r.Cases {
		switch {
		case c.Reference == nil:
		case len(c.Reference.Differences) > 0:
			b.Differing = append(b.Differing, c)
		case len(c.Reference.Explained) > 0:
			b.Explained = append(b.Explained, c)
		default:
			b.Alike++
		}
	}
	return b
}

// exchanges are the exchanges of all cases by the case's id, as JSON, gzip,
// base64 (RFC 4648, section 5: nothing of it is special in HTML): the page unpacks them when a case is opened. A whole run has tens of
// thousands, which no browser lays out at once.
func (r *Report) exchanges() (string, error) {
	byCase := map[string][]Exchange{}
	for _, c := range r.Cases {
		byCase[c.ID] = c.Exchanges
	}
	var packed bytes.Buffer
	encoder := base64.NewEncoder(base64.URLEncoding, &packed)
	compressor := gzip.NewWriter(encoder)
	if err := json.NewEncoder(compressor).Encode(byCase); err != nil {
		return "", fmt.Errorf("encode the exchanges: %w", err)
	}
	if err := compressor.Close(); err != nil {
		return "", fmt.Errorf("compress the exchanges: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return "", fmt.Errorf("encode the exchanges: %w", err)
	}
	return packed.String(), nil
}

// page renders the report for people: a matrix of operations and versions, and
// under it every case with its exchange.
func (r *Report) page() ([]byte, error) {
	exchanges, err := r.exchanges()
	if err != nil {
		return nil, err
	}
	view := view{Report: r, Verdicts: conformance.Verdicts(), Total: map[conformance.Verdict]int{}, Beside: r.beside(), Exchanges: exchanges}
	for _, step := range r.Axis {
		if len(step.Unexplained) > 0 {
			view.Unexplained = append(view.Unexplained, step)
		} else {
			view.Documented = append(view.Documented, step)
		}
	}
	for _, c := range r.Cases {
		if !slices.Contains(view.Versions, c.Version) {
			view.Versions = append(view.Versions, c.Version)
		}
		view.Total[c.Verdict]++
	}
	for _, c := range r.Cases {
		view.place(c)
	}
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"class":  func(v conformance.Verdict) string { return strings.ReplaceAll(string(v), " ", "-") },
		"anchor": func(id string) string { return strings.NewReplacer("/", "-", ".", "-").Replace(id) },
	}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("parse the page's template: %w", err)
	}
	var page bytes.Buffer
	if err := parsed.Execute(&page, view); err != nil {
		return nil, fmt.Errorf("render the page: %w", err)
	}
	return page.Bytes(), nil
}

// place puts a case into its cell; rows come in the order of the newest
// document, operations that only older ones have at the end of their section.
func (v *view) place(c Case) {
	s := slices.IndexFunc(v.Sections, func(s section) bool { return s.Tag == c.Tag })
	if s < 0 {
		s = len(v.Sections)
		v.Sections = append(v.Sections, section{Tag: c.Tag})
	}
	rows := &v.Sections[s].Rows
	i := slices.IndexFunc(*rows, func(r row) bool { return r.Operation == c.Operation })
	if i < 0 {
		i = len(*rows)
		cells := make([]cell, len(v.Versions))
		for n, version := range v.Versions {
			cells[n].Version = version
		}
		*rows = append(*rows, row{Operation: c.Operation, Method: c.Method, Path: c.Path, Cells: cells})
	}
	cell := &(*rows)[i].Cells[slices.Index(v.Versions, c.Version)]
	cell.Cases = append(cell.Cases, c)
	if c.Verdict == conformance.Pass {
		cell.Passed++
	}
	order := conformance.Verdicts()
	if cell.Verdict == "" || slices.Index(order, c.Verdict) > slices.Index(order, cell.Verdict) {
		cell.Verdict, cell.First = c.Verdict, c.ID
	}
}
