package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// python makes dir/v1_NN.py, a client in Python, with templates of our own.
func (g *maker) python(doc source, dir string) error {
	doc.tree = document.Clone(doc.tree)
	for _, op := range document.Operations(doc.tree) {
		separate(doc.tree, op)
		dropUpgrade(doc.tree, op)
	}
	return g.render(doc, dir, layout{documents: []file{{"berthPython", dir, doc.pkg + ".py"}}})
}

// dropUpgrade removes the headers that ask for the bare connection: they are
// the helper's business.
func dropUpgrade(doc *yaml.Node, op document.Operation) {
	list := document.Get(op.Node, "parameters")
	if list == nil {
		return
	}
	list.Content = slices.DeleteFunc(list.Content, func(p *yaml.Node) bool {
		p = document.Parameter(doc, p)
		name := document.Text(p, "name")
		return document.Text(p, "in") == "header" && (name == "Connection" || name == "Upgrade")
	})
}

// fetch writes dir/v1_NN.json, the document for the generator of the
// TypeScript client: streams are bytes, and operations that take the
// connection over are left to the helper beside the generated code.
func (g *maker) fetch(doc source, dir string) error {
	doc.tree = document.Clone(doc.tree)
	served, err := forClient(doc.tree)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, id := range served {
		keep[id] = true
	}
	paths := document.Get(doc.tree, "paths")
	for _, op := range document.Operations(doc.tree) {
		if !keep[op.ID] {
			document.Delete(document.Get(paths, op.Path), strings.ToLower(op.Method))
			continue
		}
		streamed := document.Text(op.Node, "x-berth-stream") != "" // otherwise the answer is one document
		if mode := document.Text(op.Node, "x-berth-mode"); mode == "stream" && streamed || mode == "raw" {
			document.Set(op.Node, "produces", sequence("application/octet-stream"))
		}
	}
	raw, err := document.JSON(doc.tree)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, doc.pkg+".json"), raw, 0o644)
}

func sequence(items ...string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, item := range items {
		list.Content = append(list.Content, document.String(item))
	}
	return list
}

// published reads a document as the daemon publishes it, from a file or over
// http and https, and marks it as loadSource does. Operations that do not say
// how they answer are taken to answer with JSON, or to take the connection
// over when they can answer 101.
func (g *maker) published(from string) (source, error) {
	path := from
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		path = filepath.Join(g.work, "published.json")
		if err := download(from, path); err != nil {
			return source{}, err
		}
	}
	tree, err := document.Load(path)
	if err != nil {
		return source{}, fmt.Errorf("read %s: %w", from, err)
	}
	name := document.Text(document.Get(tree, "info"), "version")
	if document.Text(tree, "swagger") != "2.0" || name == "" {
		return source{}, fmt.Errorf("%s is no Swagger 2.0 document with a version in its info", from)
	}
	pkg := "v" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
	document.Set(document.Get(tree, "info"), "x-berth-package", document.String(pkg))
	for _, op := range document.Operations(tree) {
		upgrade := document.Get(op.Node, "responses", "101") != nil
		if document.Text(op.Node, "x-berth-mode") == "" {
			mode := "json"
			if upgrade {
				mode = "raw"
			}
			document.Set(op.Node, "x-berth-mode", document.String(mode))
		}
		document.Set(op.Node, "x-berth-upgrade", document.Bool(upgrade))
	}
	return source{name: name, pkg: pkg, tree: tree}, nil
}

// download puts what a URL answers into a file.
func download(from, to string) (err error) {
	answer, err := (&http.Client{Timeout: time.Minute}).Get(from)
	if err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("read the document: %s answers %s", from, answer.Status)
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = file.ReadFrom(answer.Body)
	return errors.Join(err, file.Close())
}

// others makes the clients of one published document in other languages below
// dir: python/v1_NN.py, and documents/v1_NN.json for the TypeScript generator.
func (g *maker) others(doc source, dir string) error {
	if err := g.python(doc, filepath.Join(dir, "python")); err != nil {
		return fmt.Errorf("client in Python: %w", err)
	}
	if err := g.fetch(doc, filepath.Join(dir, "documents")); err != nil {
		return fmt.Errorf("document for the client in TypeScript: %w", err)
	}
	return nil
}
