// Command distil takes the prose out of machine-readable copies of the API's
// documents: it reads FROM/v1.NN.json and FROM/changes.json, which hold the
// documents' texts, and writes TO/v1.NN.json and TO/changes.json, which hold
// what package reference reads: names, types, defaults, statuses, exchanges.
//
// It runs once for every set of documents; what it writes is committed, so
// that the contract can be checked without the documents at hand.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/seed-50ced230/berth/tools/reference"
)

func main() {
	from := flag.String("from", "", "`directory` of the documents")
	to := flag.String("to", "spec/reference", "`directory` for the distilled reference")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "distil:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	paths, err := filepath.Glob(filepath.Join(from, "v1.*.json"))
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		return fmt.Errorf("no documents in %q", from)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	sort.Strings(paths)
	versions := map[string]bool{}
	for _, path := range paths {
		doc, err := readDocument(path)
		if err != nil {
			return err
		}
		versions["v"+doc.Version] = true
		if err := write(filepath.Join(to, filepath.Base(path)), doc); err != nil {
			return err
		}
	}
	var sentences map[string][]string
	if err := read(filepath.Join(from, "changes.json"), &sentences); err != nil {
		return err
	}
	changes := map[string]int{}
	for v, list := range sentences {
		if versions[v] {
			changes[strings.TrimPrefix(v, "v")] = len(list)
		}
	}
	return write(filepath.Join(to, "changes.json"), changes)
}

// source is the form of a document with its texts.
type source struct {
	Version    string
	Operations []struct {
		Method, Path, Title, Section string
		Query, Headers, Body         []row
		Statuses                     []struct{ Code int }
		Examples                     []reference.Example
	}
}

// row is a row of a table; the deeper ones belong to the last shallower one.
type row struct {
	Name  string
	Depth int
	Text  string
}

func readDocument(path string) (reference.Document, error) {
	var s source
	if err := read(path, &s); err != nil {
		return reference.Document{}, err
	}
	doc := reference.Document{Version: s.Version}
	for _, o := range s.Operations {
		op := reference.Operation{
			Method: o.Method, Path: template(o.Path), Section: o.Section, Title: o.Title,
			Query: entries(o.Query), Headers: entries(o.Headers), Body: entries(o.Body),
			Examples: o.Examples,
		}
		for _, st := range o.Statuses {
			op.Statuses = append(op.Statuses, st.Code)
		}
		doc.Operations = append(doc.Operations, op)
	}
	return doc, nil
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

func write(path string, v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
