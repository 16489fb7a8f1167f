// Package reference reads what the published documents of the API list:
// operations with the names, types and defaults of their parameters, their
// status codes and their example exchanges, and how many changes each version
// brought. No sentence of the documents is kept.
package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Document is what the document of one version lists.
type Document struct {
	Version    string      `json:"version"` // "1.18"
	Operations []Operation `json:"operations"`
}

// Operation is one operation as listed.
type Operation struct {
	Method   string    `json:"method"`
	Path     string    `json:"path"`    // parameters as {name}, without query
	Section  string    `json:"section"` // "2.1 Containers"
	Title    string    `json:"title"`
	Query    []Entry   `json:"query,omitempty"`
	Headers  []Entry   `json:"headers,omitempty"`
	Body     []Entry   `json:"body,omitempty"`
	Statuses []int     `json:"statuses"`
	Examples []Example `json:"examples"`
}

// Entry is one row of a table of parameters.
type Entry struct {
	Name string `json:"name"`
	// Type is what the row's text says: boolean, integer, string, array,
	// object, or several joined by "|"; empty if it says nothing.
	Type string `json:"type,omitempty"`
	// Default is the default that the text states, empty if none.
	Default string `json:"default,omitempty"`
	// Mentions are names of JSON members that the text shows within the
	// value, as in { "Name": …, "Soft": … }.
	Mentions []string `json:"mentions,omitempty"`
	// Entries are the rows below this one: members of a body's object, keys
	// of a filter.
	Entries []Entry `json:"entries,omitempty"`
}

// Example is a documented exchange, literally. Either part may be cut short by
// the document, e.g. by {{ STREAM }}.
type Example struct {
	Request  string `json:"request"`
	Response string `json:"response"`
}

// Source names an example: section, title and 1-based number.
func (o Operation) Source(example int) string {
	return fmt.Sprintf("%s / %s / %d", o.Section, o.Title, example+1)
}

// Load reads DIR/v1.NN.json for the versions and DIR/changes.json, a map from
// version to the number of its changes.
func Load(dir string, versions []string) (docs map[string]Document, changes map[string]int, err error) {
	docs = map[string]Document{}
	var errs []error
	for _, v := range versions {
		var doc Document
		errs = append(errs, read(filepath.Join(dir, "v"+v+".json"), &doc))
		docs[v] = doc
	}
	errs = append(errs, read(filepath.Join(dir, "changes.json"), &changes))
	return docs, changes, errors.Join(errs...)
}

func read(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
