package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/contract"
	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/hub"
)

// publish writes what is committed and served.
func publish(dir string, c *contract.Contract) error {
	for _, v := range c.Versions {
		out, err := contract.Published(v.Document)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "v"+v.Number+".json"), out, 0o644); err != nil {
			return err
		}
	}
	return writeValue(filepath.Join(dir, "changes.json"), c.Changes())
}

// prepare writes what the code generators read.
func prepare(dir string, c *contract.Contract, models hub.Package) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var newestFirst []*yaml.Node
	for _, v := range c.Versions {
		doc := document.Clone(v.Document)
		document.DeleteKeys(doc, func(key string) bool { return key == "x-examples" || key == "x-change" })
		newestFirst = append([]*yaml.Node{doc}, newestFirst...)
	}
	union := hub.Union(newestFirst)
	if err := writeTree(filepath.Join(dir, "hub.json"), union); err != nil {
		return err
	}
	equals := map[string]equality{}
	operations := map[string][]operation{"hub": operationsOf(union, union, nil)}
	for i, v := range c.Versions {
		doc := newestFirst[len(newestFirst)-1-i]
		equal := hub.Equal(doc, union)
		operations[v.Number] = operationsOf(doc, union, equal)
		equals[v.Number] = equalityOf(doc, equal)
		hub.Mark(doc, equal, models)
		if err := writeTree(filepath.Join(dir, "v"+v.Number+".json"), doc); err != nil {
			return err
		}
	}
	return errors.Join(
		writeValue(filepath.Join(dir, "equal.json"), equals),
		writeValue(filepath.Join(dir, "operations.json"), operations),
	)
}

// equality lists a version's definitions by whether the union's Go type
// serves for them.
type equality struct {
	Equal     []string `json:"equal"`
	Different []string `json:"different"`
}

func equalityOf(doc *yaml.Node, equal map[string]bool) equality {
	e := equality{Equal: []string{}, Different: []string{}}
	for _, d := range document.Pairs(document.Get(doc, "definitions")) {
		if equal[d.Key] {
			e.Equal = append(e.Equal, d.Key)
		} else {
			e.Different = append(e.Different, d.Key)
		}
	}
	return e
}

type operation struct {
	ID     string `json:"id"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Mode   string `json:"mode"`
	Same   bool   `json:"same"` // shaped as the union's operation
}

func operationsOf(doc, union *yaml.Node, equal map[string]bool) []operation {
	ops := []operation{}
	for _, op := range document.Operations(doc) {
		ops = append(ops, operation{
			ID: op.ID, Method: op.Method, Path: op.Path, Mode: document.Text(op.Node, "x-berth-mode"),
			Same: doc == union || hub.Same(doc, union, op, equal),
		})
	}
	return ops
}

func writeTree(path string, n *yaml.Node) error {
	out, err := document.JSON(n)
	if err != nil {
		return err
	}
	return os.WriteFile(path, out, 0o644)
}

func writeValue(path string, v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
