// Package overlay applies one version's overlay (OpenAPI Overlay 1.0) to the
// document of the version before and tells which change each action is.
package overlay

import (
	"errors"
	"fmt"
	"os"

	lib "github.com/speakeasy-api/openapi-overlay/pkg/overlay"
	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// Overlay is one file: the changes of one version.
type Overlay struct {
	path string
	file *lib.Overlay
}

// Load reads and validates an overlay file.
func Load(path string) (*Overlay, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	file, err := lib.Parse(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := file.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !file.UsesRFC9535() {
		return nil, fmt.Errorf("%s: x-speakeasy-jsonpath must be rfc9535", path)
	}
	for i := range file.Actions {
		update := &file.Actions[i].Update
		if update.IsZero() {
			continue
		}
		expanded, err := document.Expand(update)
		if err != nil {
			return nil, fmt.Errorf("%s: action %d: %w", path, i+1, err)
		}
		*update = *expanded
	}
	return &Overlay{path: path, file: file}, nil
}

// Apply changes the document in place. It is strict: an action that matches
// nothing or changes nothing is an error. It returns what each action did, in
// order.
func (o *Overlay) Apply(root *yaml.Node) ([]Action, error) {
	var (
		actions []Action
		errs    []error
	)
	doc := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	for i, action := range o.file.Actions {
		done, err := o.apply(doc, action)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: action %d (%s): %w", o.path, i+1, action.Target, err))
			continue
		}
		done.Number = i + 1
		actions = append(actions, done)
	}
	// A definition may be added before what refers to it.
	for i := range actions {
		actions[i].reach(root)
	}
	return actions, errors.Join(errs...)
}

// Targets returns the nodes that each action matches in the document as it
// stands. After Apply these are the nodes that the updates changed.
func (o *Overlay) Targets(root *yaml.Node, target string) ([]*yaml.Node, error) {
	path, err := o.file.NewPath(target, nil)
	if err != nil {
		return nil, err
	}
	return path.Query(&yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}), nil
}

func (o *Overlay) apply(doc *yaml.Node, action lib.Action) (Action, error) {
	path, err := o.file.NewPath(action.Target, nil)
	if err != nil {
		return Action{}, err
	}
	nodes := path.Query(doc)
	if len(nodes) == 0 {
		return Action{}, errors.New("matches nothing")
	}
	done := describe(action)
	// Where a removed node was is only known before it goes; whom an updated
	// definition reaches is the same before and after unless it is new.
	done.touch(doc.Content[0], nodes)
	if action.Remove {
		err, _ := o.one(action).ApplyToStrict(doc)
		return done, err
	}
	if action.Update.IsZero() {
		return Action{}, errors.New("neither removes nor updates")
	}
	changed := false
	for _, n := range nodes {
		c, err := o.update(n, action)
		if err != nil {
			return Action{}, err
		}
		changed = changed || c
	}
	if !changed {
		return Action{}, errors.New("changes nothing")
	}
	done.touch(doc.Content[0], nodes)
	return done, nil
}

// update merges the action's update into one matched node. The library
// compares the whole document before and after every action, which costs
// seconds on documents of this size; given the node as a document of its own
// it compares only that.
func (o *Overlay) update(n *yaml.Node, action lib.Action) (changed bool, err error) {
	before, err := document.JSON(n)
	if err != nil {
		return false, err
	}
	action.Target = "$"
	single := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{n}}
	// Its warnings are not asked: "does nothing" is also what it says of a
	// value that only changes its type.
	if err, _ := o.one(action).ApplyToStrict(single); err != nil {
		return false, err
	}
	retag(n, &action.Update)
	after, err := document.JSON(n)
	if err != nil {
		return false, err
	}
	return string(before) != string(after), nil
}

func (o *Overlay) one(action lib.Action) *lib.Overlay {
	c := *o.file
	c.Actions = []lib.Action{action}
	return &c
}

// retag gives the scalars that an update replaced the update's type and
// quoting: the library replaces a scalar's text and keeps its old YAML tag, so
// that 0 replaced by false would become an integer called "false".
func retag(n, update *yaml.Node) {
	switch {
	case n.Kind != update.Kind:
	case n.Kind == yaml.ScalarNode:
		n.Tag, n.Style = update.Tag, update.Style
	case n.Kind == yaml.MappingNode:
		for _, entry := range document.Pairs(update) {
			if at := document.Get(n, entry.Key); at != nil {
				retag(at, entry.Value)
			}
		}
	}
}
