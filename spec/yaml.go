package spec

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML returns the same document as Document in YAML's block style, properties
// in the same order. ok is false if there is none.
func YAML(version string) (document []byte, ok bool, err error) {
	raw, ok := Document(version)
	if !ok {
		return nil, false, nil
	}
	// JSON is YAML (YAML 1.2, section 1.3), so one reader is enough.
	var root yaml.Node
	if err := yaml.Unmarshal(raw, &root); err != nil {
		return nil, true, fmt.Errorf("read the document of %s: %w", version, err)
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(blockStyle(&root)); err != nil {
		return nil, true, fmt.Errorf("write the document of %s: %w", version, err)
	}
	if err := encoder.Close(); err != nil {
		return nil, true, fmt.Errorf("write the document of %s: %w", version, err)
	}
	return b.Bytes(), true, nil
}

// blockStyle copies a node without the brackets, braces and quotation marks of
// JSON; the encoder quotes what needs it.
func blockStyle(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value}
	if n.Kind == yaml.ScalarNode {
		out.Tag = n.ShortTag()
		if strings.Contains(n.Value, "\n") {
			out.Style = yaml.LiteralStyle
		}
	}
	for _, c := range n.Content {
		out.Content = append(out.Content, blockStyle(c))
	}
	return out
}
