package document

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Get walks mappings by key and returns the node there, nil if a step is
// missing.
func Get(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
				break
			}
		}
		n = next
	}
	return n
}

// Text returns the scalar at the keys, "" if there is none.
func Text(n *yaml.Node, keys ...string) string {
	if s := Get(n, keys...); s != nil && s.Kind == yaml.ScalarNode {
		return s.Value
	}
	return ""
}

// Set puts value at key of a mapping, at the key's place if it is there, else
// at the end.
func Set(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, String(key), value)
}

// Delete takes key out of a mapping.
func Delete(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}

// Pair is one entry of a mapping.
type Pair struct {
	Key   string
	Value *yaml.Node
}

// Pairs returns the entries of a mapping in order, none for nil and for other
// kinds.
func Pairs(n *yaml.Node) []Pair {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	pairs := make([]Pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		pairs = append(pairs, Pair{n.Content[i].Value, n.Content[i+1]})
	}
	return pairs
}

// Items returns the items of a sequence, none for nil and for other kinds.
func Items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// Texts returns the scalars of a sequence.
func Texts(n *yaml.Node) []string {
	var texts []string
	for _, item := range Items(n) {
		texts = append(texts, item.Value)
	}
	return texts
}

// String makes a string scalar.
func String(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// Bool makes a boolean scalar.
func Bool(b bool) *yaml.Node {
	v := "false"
	if b {
		v = "true"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: v}
}

// Mapping makes a mapping from its entries.
func Mapping(pairs ...Pair) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, p := range pairs {
		n.Content = append(n.Content, String(p.Key), p.Value)
	}
	return n
}

// Walk calls visit for every node below n, parents first. visit may change
// the node that it is given.
func Walk(n *yaml.Node, visit func(*yaml.Node)) {
	if n == nil {
		return
	}
	visit(n)
	if n.Kind == yaml.MappingNode {
		for i := 1; i < len(n.Content); i += 2 {
			Walk(n.Content[i], visit)
		}
		return
	}
	for _, child := range n.Content {
		Walk(child, visit)
	}
}

// DeleteKeys takes every key for which drop holds out of all mappings below n.
// It does not look into properties' and definitions' names: a model may have a
// field that is called like an extension.
func DeleteKeys(n *yaml.Node, drop func(key string) bool) {
	deleteKeys(n, drop, false)
}

func deleteKeys(n *yaml.Node, drop func(string) bool, names bool) {
	if n == nil {
		return
	}
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			deleteKeys(child, drop, false)
		}
		return
	}
	kept := n.Content[:0:0]
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !names && drop(key.Value) {
			continue
		}
		deleteKeys(value, drop, !names && (key.Value == "properties" || key.Value == "definitions"))
		kept = append(kept, key, value)
	}
	n.Content = kept
}

// Reference returns the name that n's $ref points to within kind
// ("definitions", "parameters", "responses"), "" if n is no such reference.
func Reference(n *yaml.Node, kind string) string {
	if ref := Text(n, "$ref"); strings.HasPrefix(ref, "#/"+kind+"/") {
		return strings.TrimPrefix(ref, "#/"+kind+"/")
	}
	return ""
}
