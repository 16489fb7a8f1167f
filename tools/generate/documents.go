package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// source is one prepared document with marks for the templates.
type source struct {
	name string // for example 1.18, or hub
	pkg  string // Go package, for example v1_18, or hub
	tree *yaml.Node
}

type sources struct {
	hub      source
	versions []source // oldest first
}

// load reads hub.json, every v*.json and operations.json from dir.
func load(dir string) (*sources, error) {
	same, err := loadSame(filepath.Join(dir, "operations.json"))
	if err != nil {
		return nil, err
	}
	docs := &sources{}
	docs.hub, err = loadSource(filepath.Join(dir, "hub.json"), "hub", nil)
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "v*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		name := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(path), ".json"), "v")
		doc, err := loadSource(path, name, same[name])
		if err != nil {
			return nil, err
		}
		markAbsent(doc.tree, docs.hub.tree)
		docs.versions = append(docs.versions, doc)
	}
	if len(docs.versions) == 0 {
		return nil, errors.New("no document of a version in " + dir)
	}
	sort.Slice(docs.versions, func(i, j int) bool {
		return minor(docs.versions[i].name) < minor(docs.versions[j].name)
	})
	return docs, nil
}

// minor is the number behind the point of a version's name.
func minor(name string) int {
	_, after, _ := strings.Cut(name, ".")
	n, err := strconv.Atoi(after)
	if err != nil {
		return -1
	}
	return n
}

// loadSame tells, by version and operationId, whether an operation has the
// hub's shape.
func loadSame(path string) (map[string]map[string]bool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the table of operations: %w", err)
	}
	var table map[string][]struct {
		ID   string `json:"id"`
		Same bool   `json:"same"`
	}
	if err := json.Unmarshal(raw, &table); err != nil {
		return nil, fmt.Errorf("read the table of operations: %w", err)
	}
	same := make(map[string]map[string]bool, len(table))
	for version, operations := range table {
		version = strings.TrimPrefix(version, "v")
		same[version] = make(map[string]bool, len(operations))
		for _, op := range operations {
			same[version][op.ID] = op.Same
		}
	}
	return same, nil
}

// loadSource reads a document and marks it for the templates: x-berth-package
// on its info, and on every operation x-berth-package, x-berth-hub (this is
// the hub's document), x-berth-same (the hub's handler serves it) and
// x-berth-upgrade (a client may ask for the bare connection).
func loadSource(path, name string, same map[string]bool) (source, error) {
	tree, err := document.Load(path)
	if err != nil {
		return source{}, fmt.Errorf("read a document: %w", err)
	}
	pkg := name
	if name != "hub" {
		pkg = "v" + strings.ReplaceAll(name, ".", "_")
	}
	document.Set(document.Get(tree, "info"), "x-berth-package", document.String(pkg))
	for _, op := range document.Operations(tree) {
		if document.Text(op.Node, "x-berth-mode") == "" {
			return source{}, fmt.Errorf("%s: %s has no x-berth-mode", path, op.ID)
		}
		document.Set(op.Node, "x-berth-package", document.String(pkg))
		document.Set(op.Node, "x-berth-hub", document.Bool(name == "hub"))
		document.Set(op.Node, "x-berth-same", document.Bool(same[op.ID]))
		document.Set(op.Node, "x-berth-upgrade", document.Bool(document.Get(op.Node, "responses", "101") != nil))
	}
	return source{name: name, pkg: pkg, tree: tree}, nil
}

// markAbsent tells the templates, as x-berth-absent on each operation of a
// version, the hub's parameters with a default that the version does not have:
// the engine must find the default in them, not Go's zero.
func markAbsent(version, hub *yaml.Node) {
	defaults := map[string][]document.Pair{} // by operationId: parameter's place and name → default
	for _, op := range document.Operations(hub) {
		for _, p := range document.Parameters(hub, op) {
			if value := document.Get(p, "default"); value != nil {
				defaults[op.ID] = append(defaults[op.ID], document.Pair{Key: place(p), Value: value})
			}
		}
	}
	for _, op := range document.Operations(version) {
		present := map[string]bool{}
		for _, p := range document.Parameters(version, op) {
			present[place(p)] = true
		}
		absent := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, d := range defaults[op.ID] {
			if present[d.Key] {
				continue
			}
			_, name, _ := strings.Cut(d.Key, " ")
			absent.Content = append(absent.Content, document.Mapping(
				document.Pair{Key: "name", Value: document.String(name)},
				document.Pair{Key: "default", Value: d.Value},
			))
		}
		document.Set(op.Node, "x-berth-absent", absent)
	}
}

// place identifies a parameter in its operation.
func place(parameter *yaml.Node) string {
	return document.Text(parameter, "in") + " " + document.Text(parameter, "name")
}
