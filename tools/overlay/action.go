package overlay

import (
	"slices"
	"strconv"
	"strings"

	lib "github.com/speakeasy-api/openapi-overlay/pkg/overlay"
	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// Action is what one action of an overlay was and did.
type Action struct {
	Number      int      // 1-based position in the overlay
	Target      string   // JSONPath
	Description string   // the change in the overlay's own words
	Changes     []string // x-change: ids of the documented changes, "v1.19-01"
	Remove      bool
	// Operations are the operationIds of the operations that the action
	// reaches, directly or through definitions, sorted.
	Operations []string
	// Undocumented is x-undocumented: why the action makes a change that
	// the reference does not list.
	Undocumented string
	// ExamplesOnly is set when the action's target is inside x-examples or
	// its update holds nothing else.
	ExamplesOnly bool
	// Touched holds the pointers of matched places as keys from the root,
	// ["paths", "/info", "get", …]; list items by their index.
	Touched [][]string

	update     *yaml.Node
	parameters []string // names of the parameters that it matched
}

func describe(a lib.Action) Action {
	d := Action{Target: a.Target, Description: a.Description, Remove: a.Remove}
	switch v := a.Extensions["x-change"].(type) {
	case string:
		d.Changes = []string{v}
	case []any:
		for _, id := range v {
			if s, ok := id.(string); ok {
				d.Changes = append(d.Changes, s)
			}
		}
	}
	if s, ok := a.Extensions["x-undocumented"].(string); ok {
		d.Undocumented = s
	}
	if !a.Remove {
		d.update = &a.Update
		pairs := document.Pairs(&a.Update)
		d.ExamplesOnly = len(pairs) == 1 && pairs[0].Key == "x-examples"
	}
	return d
}

// touch adds the places of the matched nodes and the operations that they
// reach in the document as it stands.
func (a *Action) touch(root *yaml.Node, nodes []*yaml.Node) {
	places := find(root, nodes)
	for _, n := range nodes {
		if name := document.Text(n, "name"); name != "" {
			a.parameters = append(a.parameters, name)
		}
	}
	if a.update != nil {
		var deep [][]string
		for _, place := range places {
			deep = append(deep, deepen(place, a.update)...)
		}
		places = deep
	}
	a.Touched = places
	inExamples := len(places) > 0
	for _, place := range places {
		inExamples = inExamples && slices.Contains(place, "x-examples")
	}
	a.ExamplesOnly = a.ExamplesOnly || inExamples
	a.reach(root)
}

// reach adds the operations to which the matched places belong in the document
// as it stands.
func (a *Action) reach(root *yaml.Node) {
	for _, place := range a.Touched {
		for _, id := range reached(root, place) {
			if !slices.Contains(a.Operations, id) {
				a.Operations = append(a.Operations, id)
			}
		}
	}
	slices.Sort(a.Operations)
}

// deepen follows an update that starts high up, at $.paths or $.definitions,
// down to the operations and definitions that it holds.
func deepen(place []string, update *yaml.Node) [][]string {
	enough := 3
	if len(place) > 0 && place[0] != "paths" {
		enough = 2
	}
	if len(place) >= enough || update.Kind != yaml.MappingNode || len(update.Content) == 0 {
		return [][]string{place}
	}
	var places [][]string
	for _, entry := range document.Pairs(update) {
		next := append(append([]string{}, place...), entry.Key)
		places = append(places, deepen(next, entry.Value)...)
	}
	return places
}

// find returns the places of the nodes in the tree.
func find(root *yaml.Node, nodes []*yaml.Node) [][]string {
	wanted := map[*yaml.Node]bool{}
	for _, n := range nodes {
		wanted[n] = true
	}
	var places [][]string
	var walk func(n *yaml.Node, place []string)
	walk = func(n *yaml.Node, place []string) {
		if wanted[n] {
			places = append(places, append([]string{}, place...))
		}
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i+1], append(place, n.Content[i].Value))
			}
			return
		}
		for i, child := range n.Content {
			walk(child, append(place, strconv.Itoa(i)))
		}
	}
	walk(root, nil)
	return places
}

// reached returns the operations to which a place belongs.
func reached(root *yaml.Node, place []string) []string {
	if len(place) < 2 {
		return nil
	}
	var ids []string
	for _, op := range document.Operations(root) {
		switch place[0] {
		case "paths":
			if op.Path == place[1] && (len(place) < 3 || op.Node == document.Get(root, place[:3]...) || place[2] == "parameters") {
				ids = append(ids, op.ID)
			}
		case "definitions":
			for _, name := range document.Definitions(root, op.Node) {
				if name == place[1] {
					ids = append(ids, op.ID)
					break
				}
			}
		}
	}
	return ids
}

// Names returns every name that the action mentions: the steps of the places
// that it matched, the members of its update, and the names of the parameters
// that it adds.
func (a Action) Names() map[string]bool {
	names := map[string]bool{}
	for _, place := range a.Touched {
		for _, step := range place {
			names[step] = true
		}
	}
	for _, name := range a.parameters {
		names[name] = true
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for _, entry := range document.Pairs(n) {
			if entry.Key == "x-examples" {
				continue
			}
			names[entry.Key] = true
			if entry.Key == "name" && entry.Value.Kind == yaml.ScalarNode {
				names[entry.Value.Value] = true
			}
			if ref := document.Reference(document.Mapping(entry), "definitions"); ref != "" {
				names[ref] = true
			}
			walk(entry.Value)
		}
		for _, item := range document.Items(n) {
			walk(item)
		}
	}
	if a.update != nil {
		walk(a.update)
	}
	return names
}

// Shapes reports whether the action's update holds anything else than members for
// which skip holds.
func (a Action) Shapes(skip func(key string) bool) bool {
	var shapes func(n *yaml.Node, names bool) bool
	shapes = func(n *yaml.Node, names bool) bool {
		switch n.Kind {
		case yaml.MappingNode:
			for _, entry := range document.Pairs(n) {
				if !names && skip(entry.Key) {
					continue
				}
				if shapes(entry.Value, entry.Key == "properties" || entry.Key == "definitions") {
					return true
				}
			}
			return false
		case yaml.SequenceNode:
			for _, item := range n.Content {
				if shapes(item, false) {
					return true
				}
			}
			return false
		}
		return true
	}
	if a.update == nil {
		return false
	}
	for _, place := range a.Touched {
		for i, step := range place {
			if strings.HasPrefix(step, "x-") || i == len(place)-1 && skip(step) {
				return false
			}
		}
	}
	return shapes(a.update, false)
}
