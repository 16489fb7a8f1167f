package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// JSON renders the tree as JSON in the tree's own order, indented by one
// space, ending in a newline.
func JSON(n *yaml.Node) ([]byte, error) {
	var compact bytes.Buffer
	if err := encode(&compact, n); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact.Bytes(), "", " "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// Value returns the tree as encoding/json's generic values, numbers as
// json.Number.
func Value(n *yaml.Node) (any, error) {
	var compact bytes.Buffer
	if err := encode(&compact, n); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(&compact)
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

func encode(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.DocumentNode:
		return encode(b, n.Content[0])
	case yaml.AliasNode:
		return encode(b, n.Alias)
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, n.Content[i].Value)
			b.WriteByte(':')
			if err := encode(b, n.Content[i+1]); err != nil {
				return fmt.Errorf("%s: %w", n.Content[i].Value, err)
			}
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, child := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, child); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		b.WriteByte(']')
	case yaml.ScalarNode:
		return encodeScalar(b, n)
	default:
		return fmt.Errorf("line %d: a node of kind %d has no JSON", n.Line, n.Kind)
	}
	return nil
}

// encodeScalar follows the YAML tag; a number keeps its digits when JSON can
// say them. Timestamps stay the text that the author wrote.
func encodeScalar(b *bytes.Buffer, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		b.WriteString("null")
	case "!!bool":
		var v bool
		if err := n.Decode(&v); err != nil {
			return err
		}
		b.WriteString(strconv.FormatBool(v))
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			b.WriteString(n.Value)
			return nil
		}
		var v float64
		if err := n.Decode(&v); err != nil {
			return err
		}
		out, err := json.Marshal(v)
		if err != nil {
			return err
		}
		b.Write(out)
	default:
		writeString(b, n.Value)
	}
	return nil
}

func writeString(b *bytes.Buffer, s string) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	// A string always encodes.
	_ = enc.Encode(s)
	b.WriteString(strings.TrimSuffix(out.String(), "\n"))
}
