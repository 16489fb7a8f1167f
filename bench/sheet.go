package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// sheet is a table with columns of its own.
type sheet struct {
	Title string `json:"title"`
	// Note is a paragraph above the table; empty without one.
	Note    string     `json:"note,omitempty"`
	Columns []string   `json:"columns"`
	Rows    []sheetRow `json:"rows"`
}

type sheetRow struct {
	Name  string `json:"name"`
	Cells []cell `json:"cells"`
}

// cell is a figure; with an empty unit, a number of something.
type cell struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

func (c cell) String() string {
	if c.Unit == "" {
		return fmt.Sprintf("%.0f", c.Value)
	}
	return number(c.Value) + " " + c.Unit
}

func (r sheetRow) texts() []string {
	all := make([]string, len(r.Cells))
	for i, c := range r.Cells {
		all[i] = c.String()
	}
	return all
}

func (s *sheet) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\n%s\t%s\n", s.Title, strings.Join(s.Columns, "\t"))
	for _, r := range s.Rows {
		fmt.Fprintf(t, "%s\t%s\n", r.Name, strings.Join(r.texts(), "\t"))
	}
	t.Flush()
}

func (s *sheet) markdown(b *strings.Builder) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	if s.Note != "" {
		fmt.Fprintf(b, "%s\n\n", s.Note)
	}
	fmt.Fprintf(b, "| %s | %s |\n|---|%s\n", s.Title, strings.Join(s.Columns, " | "), strings.Repeat("---:|", len(s.Columns)))
	for _, r := range s.Rows {
		fmt.Fprintf(b, "| %s | %s |\n", r.Name, strings.Join(r.texts(), " | "))
	}
}
