// Package grant says what the clients of a socket may do: which operations,
// and on which containers, networks and volumes. What a grant does not name is
// refused.
//
// Operations are known by the operationIds of the documents, so that a grant
// means the same at every version, with or without a version in the path. A grant
// with labels wraps the engine: see [Grant.Limit].
package grant

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/spec"
)

// Documents is the word that allows the documents themselves (/swagger.json,
// /swagger.yaml), which are no operation of the API.
const Documents = "Documents"

// Grant is what the clients of one socket may do. It does not change.
type Grant struct {
	name       string
	operations map[string]bool
	labels     map[string]string
}

// New makes a grant; name is the socket's in messages. allow holds operationIds,
// tags of the documents (all operations with the tag at any version) and the word
// [Documents], in any case. labels are name=value, of which a container has to have
// all; without any, no object is out of reach.
func New(name string, allow, labels []string) (*Grant, error) {
	known, err := vocabulary()
	if err != nil {
		return nil, err
	}
	g := &Grant{name: name, operations: map[string]bool{}, labels: map[string]string{}}
	if len(allow) == 0 {
		return nil, errors.New("nothing is allowed; give operations or tags with allow=")
	}
	for _, word := range allow {
		operations, ok := known[strings.ToLower(word)]
		if !ok {
			return nil, fmt.Errorf("allow=%s: neither an operationId nor a tag of the documents", word)
		}
		for _, id := range operations {
			g.operations[id] = true
		}
	}
	for _, l := range labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("label=%s: use label=NAME=VALUE", l)
		}
		if slices.Contains(facts, key) {
			return nil, fmt.Errorf("label=%s: events have a fact of their own with this name; choose another label", l)
		}
		if other, ok := g.labels[key]; ok && other != value {
			return nil, fmt.Errorf("label=%s: no container can have %s=%s, too", l, key, other)
		}
		g.labels[key] = value
	}
	return g, nil
}

// facts are the attributes of events that are no labels (impl/engine, events):
// there they stand in the labels' place.
var facts = []string{"image", "name", "oldName", "exitCode", "signal", "comment", "height", "width", "container", "type", "driver"}

// vocabulary gives the operations behind each word of a grant, in lower case.
func vocabulary() (map[string][]string, error) {
	sets := map[string]map[string]bool{}
	add := func(word, id string) {
		word = strings.ToLower(word)
		if sets[word] == nil {
			sets[word] = map[string]bool{}
		}
		sets[word][id] = true
	}
	add(Documents, Documents)
	for _, version := range spec.Versions() {
		text, _ := spec.Document(version)
		var document struct {
			Paths map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal(text, &document); err != nil {
			return nil, fmt.Errorf("document of %s: %w", version, err)
		}
		for _, item := range document.Paths {
			for method, raw := range item {
				if method == "parameters" {
					continue
				}
				var operation struct {
					ID   string `json:"operationId"`
					Tags []string
				}
				if err := json.Unmarshal(raw, &operation); err != nil {
					return nil, fmt.Errorf("document of %s: %w", version, err)
				}
				add(operation.ID, operation.ID)
				for _, tag := range operation.Tags {
					add(tag, operation.ID)
				}
			}
		}
	}
	words := make(map[string][]string, len(sets))
	for word, ids := range sets {
		words[word] = slices.Sorted(maps.Keys(ids))
	}
	return words, nil
}

// Name is the socket's name.
func (g *Grant) Name() string { return g.name }

// Operations are the allowed ones, sorted.
func (g *Grant) Operations() []string { return slices.Sorted(maps.Keys(g.operations)) }

// Check refuses an operation that is not allowed. Class PermissionDenied, a
// [Refusal].
func (g *Grant) Check(operation string) error {
	if g.operations[operation] {
		return nil
	}
	return &Refusal{fault.Forbidden("%s is not allowed on the socket %s", operation, g.name)}
}

// Refusal is an error that comes of a grant and not of the engine. Its class is
// that of the error inside.
type Refusal struct{ Err error }

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the error with its class.
func (r *Refusal) Unwrap() error { return r.Err }

func (g *Grant) refuse(format string, args ...any) error {
	return &Refusal{fault.Forbidden("%s (socket %s is limited to containers with %s)", fmt.Sprintf(format, args...), g.name, g.conditions())}
}

// conditions are the labels as text, sorted.
func (g *Grant) conditions() string {
	var list []string
	for key, value := range g.labels {
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// covers says whether an object with these labels is within reach.
func (g *Grant) covers(labels map[string]string) bool {
	for key, value := range g.labels {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// mark gives labels the grant's own. A label that says something else is refused.
func (g *Grant) mark(labels map[string]string) (map[string]string, error) {
	marked := make(map[string]string, len(labels)+len(g.labels))
	maps.Copy(marked, labels)
	for key, value := range g.labels {
		if got, ok := marked[key]; ok && got != value {
			return nil, g.refuse("label %s=%s is not allowed", key, got)
		}
		marked[key] = value
	}
	return marked, nil
}
