// Package document reads and writes the contract's documents as ordered trees.
//
// The YAML sources are read into yaml.Node trees and stay such trees through
// every step, so that the order of the authors survives into the rendered
// JSON and a rendering is the same bytes every time.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"gopkg.in/yaml.v3"
)

// Load reads one YAML (or JSON) file and returns its root mapping. Aliases
// and merge keys are expanded, so that a later change of one place cannot
// reach another one. A key that a mapping holds twice is an error.
func Load(path string) (*yaml.Node, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	root, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return root, nil
}

// Parse is Load for bytes at hand.
func Parse(raw []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(raw)).Decode(&doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("the document is not a mapping")
	}
	root, err := Expand(doc.Content[0])
	if err != nil {
		return nil, err
	}
	return root, nil
}

// Expand returns a copy of the tree without aliases, anchors and merge keys,
// and refuses a mapping that holds a key twice.
func Expand(n *yaml.Node) (*yaml.Node, error) {
	switch n.Kind {
	case yaml.AliasNode:
		return Expand(n.Alias)
	case yaml.ScalarNode:
		c := *n
		c.Anchor = ""
		return &c, nil
	}
	c := *n
	c.Anchor = ""
	c.Content = nil
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			e, err := Expand(child)
			if err != nil {
				return nil, err
			}
			c.Content = append(c.Content, e)
		}
		return &c, nil
	}
	var merged []*yaml.Node
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		e, err := Expand(value)
		if err != nil {
			return nil, err
		}
		if key.Tag == "!!merge" {
			merged = append(merged, e)
			continue
		}
		if seen[key.Value] {
			return nil, fmt.Errorf("line %d: the key %q occurs twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		k := *key
		c.Content = append(c.Content, &k, e)
	}
	for _, m := range merged {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if !seen[m.Content[i].Value] {
				seen[m.Content[i].Value] = true
				c.Content = append(c.Content, m.Content[i], m.Content[i+1])
			}
		}
	}
	return &c, nil
}

// Clone returns a deep copy.
func Clone(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	c := *n
	c.Content = nil
	for _, child := range n.Content {
		c.Content = append(c.Content, Clone(child))
	}
	return &c
}
