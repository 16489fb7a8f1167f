package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-swagger/go-swagger/generator"
	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// client makes a Go client of one version with go-swagger's own templates. It
// uses the models of that version.
func (g *maker) client(doc source) error {
	dir := filepath.Join(g.gen, "client")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	doc.tree = document.Clone(doc.tree)
	operations, err := forClient(doc.tree)
	if err != nil {
		return err
	}
	spec, err := g.write(doc)
	if err != nil {
		return err
	}
	opts := g.options(spec, dir, generator.ForClient())
	opts.ClientPackage = doc.pkg
	opts.ExistingModels = module + "/gen/" + doc.pkg + "/models"
	opts.IncludeModel = false
	return generator.GenerateClient("berth", nil, operations, opts)
}

// forClient turns a document into what go-swagger's client can serve, and
// gives the operations that it can: streams become bytes that the caller's
// writer gets as they come, errors have their text as payload, and
// operations that take the connection over are left out.
func forClient(doc *yaml.Node) (operations []string, err error) {
	bytes, err := document.Parse([]byte(`{type: string, format: binary}`))
	if err != nil {
		return nil, err
	}
	text, err := document.Parse([]byte(`{type: string}`))
	if err != nil {
		return nil, err
	}
	for _, op := range document.Operations(doc) {
		mode := document.Text(op.Node, "x-berth-mode")
		responses := document.Get(op.Node, "responses")
		if responses == nil {
			return nil, fmt.Errorf("%s has no responses", op.ID)
		}
		if document.Get(responses, "101") != nil {
			if mode == "raw" {
				continue
			}
			document.Delete(responses, "101")
		}
		for _, response := range document.Pairs(responses) {
			switch {
			case response.Key >= "400":
				document.Set(response.Value, "schema", document.Clone(text))
			case response.Key >= "300":
			case mode == "stream":
				document.Set(response.Value, "schema", document.Clone(bytes))
			}
		}
		operations = append(operations, op.ID)
	}
	for _, op := range document.Operations(doc) {
		separate(doc, op)
	}
	return operations, nil
}

// separate renames a path parameter that has the name of a query parameter
// (rename's), as go-swagger gives the two in no order. On the wire a path
// parameter has no name.
func separate(doc *yaml.Node, op document.Operation) {
	var inPath *yaml.Node
	parameters := document.Parameters(doc, op)
	for _, p := range parameters {
		if document.Text(p, "in") == "path" {
			inPath = p
		}
	}
	for _, p := range parameters {
		name := document.Text(p, "name")
		if inPath == nil || document.Text(p, "in") != "query" || document.Text(inPath, "name") != name {
			continue
		}
		document.Set(inPath, "name", document.String("id"))
		paths := document.Get(doc, "paths")
		for i := 0; i < len(paths.Content); i += 2 {
			if key := paths.Content[i]; key.Value == op.Path {
				key.Value = strings.Replace(op.Path, "{"+name+"}", "{id}", 1)
			}
		}
		return
	}
}
