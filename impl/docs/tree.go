package docs

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// tree is a node of a JSON document whose objects keep the order of their
// properties. JSON is read as the YAML that it is (YAML 1.2, section 1.3), so
// one tree gives both forms. The zero tree stands for what is not there; all
// its answers are empty.
type tree struct{ node *yaml.Node }

// parse reads a JSON document.
func parse(document []byte) (tree, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return tree{}, fmt.Errorf("parse the document: %w", err)
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return tree{}, fmt.Errorf("parse the document: it is empty")
	}
	return tree{root.Content[0]}, nil
}

// text makes a tree of a string.
func text(s string) tree {
	return tree{&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}}
}

// found says whether the tree is there.
func (t tree) found() bool { return t.node != nil }

// at goes down by the names of properties.
func (t tree) at(names ...string) tree {
	for _, name := range names {
		next := tree{}
		for key, value := range t.properties() {
			if key == name {
				next = value
				break
			}
		}
		t = next
	}
	return t
}

// properties are an object's, in order.
func (t tree) properties() func(yield func(string, tree) bool) {
	return func(yield func(string, tree) bool) {
		if t.node == nil || t.node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(t.node.Content); i += 2 {
			if !yield(t.node.Content[i].Value, tree{t.node.Content[i+1]}) {
				return
			}
		}
	}
}

// items are a list's.
func (t tree) items() []tree {
	if t.node == nil || t.node.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]tree, len(t.node.Content))
	for i, n := range t.node.Content {
		items[i] = tree{n}
	}
	return items
}

// string is a scalar's value.
func (t tree) string() string {
	if t.node == nil || t.node.Kind != yaml.ScalarNode {
		return ""
	}
	return t.node.Value
}

// set puts a property at the end of an object or replaces it.
func (t tree) set(name string, value tree) {
	for i := 0; i+1 < len(t.node.Content); i += 2 {
		if t.node.Content[i].Value == name {
			t.node.Content[i+1] = value.node
			return
		}
	}
	t.node.Content = append(t.node.Content, text(name).node, value.node)
}

// remove takes a property out of an object.
func (t tree) remove(name string) {
	for i := 0; i+1 < len(t.node.Content); i += 2 {
		if t.node.Content[i].Value == name {
			t.node.Content = append(t.node.Content[:i:i], t.node.Content[i+2:]...)
			return
		}
	}
}

// object makes an empty object.
func object() tree {
	return tree{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}
}

// list makes an empty list.
func list() tree {
	return tree{&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}}
}

// add puts an item at the end of a list.
func (t tree) add(item tree) { t.node.Content = append(t.node.Content, item.node) }

// MarshalJSON gives the tree as JSON, with its order kept.
func (t tree) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := t.encode(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (t tree) encode(b *bytes.Buffer) error {
	switch {
	case t.node == nil:
		b.WriteString("null")
	case t.node.Kind == yaml.MappingNode:
		b.WriteByte('{')
		first := true
		for key, value := range t.properties() {
			if !first {
				b.WriteByte(',')
			}
			first = false
			if err := quote(b, key); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := value.encode(b); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case t.node.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range t.items() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := item.encode(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case t.node.ShortTag() == "!!str":
		return quote(b, t.node.Value)
	default:
		b.WriteString(t.node.Value) // a number, true, false or null, as it was written
	}
	return nil
}

func quote(b *bytes.Buffer, s string) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
	return nil
}

// indented gives the tree as JSON for people.
func (t tree) indented() (string, error) {
	raw, err := t.MarshalJSON()
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return "", err
	}
	return b.String(), nil
}

// mapped copies the tree with f applied to every string and every name.
func (t tree) mapped(f func(string) string) tree {
	if t.node == nil {
		return t
	}
	out := *t.node
	if t.node.Kind == yaml.ScalarNode && t.node.ShortTag() == "!!str" {
		out.Tag = "!!str"
		out.Value = f(t.node.Value)
	}
	out.Content = nil
	for _, c := range t.node.Content {
		out.Content = append(out.Content, tree{c}.mapped(f).node)
	}
	return tree{&out}
}
