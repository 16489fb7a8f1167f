package docs

import (
	"fmt"
	"strings"

	"github.com/seed-50ced230/berth/spec"
)

// version is one version of the API as its document has it.
type version struct {
	// Name is "1.18" to "1.23".
	Name string
	// Operations stand in the document's order.
	Operations []*operation

	raw      []byte
	document tree
	byID     map[string]*operation
}

// operation is a method on a path.
type operation struct {
	ID, Method, Path, Tag, Summary string
	// Mode is json, stream or raw, Stream the form of a stream; see spec/README.md.
	Mode, Stream string

	node  tree
	facts []fact
}

// contract is everything that the documents say.
type contract struct {
	// versions stand oldest first.
	versions []*version
	changes  []spec.Change
}

func readContract() (*contract, error) {
	c := &contract{}
	for _, name := range spec.Versions() {
		v, err := readVersion(name)
		if err != nil {
			return nil, fmt.Errorf("version %s: %w", name, err)
		}
		c.versions = append(c.versions, v)
	}
	var err error
	c.changes, err = spec.Changes()
	return c, err
}

func readVersion(name string) (*version, error) {
	raw, ok := spec.Document(name)
	if !ok {
		return nil, fmt.Errorf("there is no document")
	}
	document, err := parse(raw)
	if err != nil {
		return nil, err
	}
	v := &version{Name: name, raw: raw, document: document, byID: map[string]*operation{}}
	for path, methods := range document.at("paths").properties() {
		for method, node := range methods.properties() {
			id := node.at("operationId").string()
			if id == "" {
				continue // parameters of all methods
			}
			o := &operation{
				ID: id, Method: strings.ToUpper(method), Path: path, Summary: node.at("summary").string(),
				Mode: node.at("x-berth-mode").string(), Stream: node.at("x-berth-stream").string(), node: node,
			}
			if tags := node.at("tags").items(); len(tags) > 0 {
				o.Tag = tags[0].string()
			}
			o.facts = factsOf(document, node)
			v.Operations = append(v.Operations, o)
			v.byID[id] = o
		}
	}
	return v, nil
}

// newest is the last version that has an operation.
func (c *contract) newest(id string) *operation {
	for i := len(c.versions) - 1; i >= 0; i-- {
		if o := c.versions[i].byID[id]; o != nil {
			return o
		}
	}
	return nil
}

// ids are those of all operations of all versions, in the order of the newest
// document, older ones at the end.
func (c *contract) ids() []string {
	var ids []string
	seen := map[string]bool{}
	for i := len(c.versions) - 1; i >= 0; i-- {
		for _, o := range c.versions[i].Operations {
			if !seen[o.ID] {
				seen[o.ID] = true
				ids = append(ids, o.ID)
			}
		}
	}
	return ids
}

// changesOf are the changes that touch an operation in the versions after from
// and up to and including to; an empty id means every operation.
func (c *contract) changesOf(id, from, to string) []spec.Change {
	var out []spec.Change
	for _, change := range c.changes {
		if change.Version <= from || change.Version > to {
			continue
		}
		for _, o := range change.Operations {
			if id == "" || o == id {
				out = append(out, change)
				break
			}
		}
		if id == "" && len(change.Operations) == 0 {
			out = append(out, change)
		}
	}
	return out
}

// before is the name of the version before v; of the oldest, its own: what it
// has is no change.
func (c *contract) before(v *version) string {
	previous := v.Name
	for _, w := range c.versions {
		if w == v {
			break
		}
		previous = w.Name
	}
	return previous
}
