// Package filter reads the query parameter filters of lists and of the event stream
// (v1.18 reference, "List containers" and on). Whoever acts on conditions before the
// engine does, as a limited socket, reads them as the engine does.
package filter

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Conditions are those of a list or of the event stream: a set of values for each key,
// sorted and without doubles. Values of one key are alternatives unless the key's
// documentation says otherwise; all keys must match. As JSON they are what Parse reads.
type Conditions map[string][]string

// Parse reads the parameter: a JSON object whose members are lists of values,
// {"status":["exited"]}, or, as newer clients send them, objects with the values as
// keys, {"status":{"exited":true}}. An empty text is no condition at all. Class
// InvalidArgument for anything else.
func Parse(s string) (Conditions, error) {
	if s == "" {
		return Conditions{}, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &members); err != nil {
		return nil, fault.Invalid("Invalid filters: %w", err)
	}
	c := make(Conditions, len(members))
	for key, raw := range members {
		var values []string
		if err := json.Unmarshal(raw, &values); err != nil {
			var set map[string]bool
			if json.Unmarshal(raw, &set) != nil {
				return nil, fault.Invalid("Invalid filters: the values of '%s' are neither a list of texts nor an object of values that are true: %w", key, err)
			}
			for v := range set {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		if values = slices.Compact(values); len(values) > 0 {
			c[key] = values
		}
	}
	return c, nil
}

// Only refuses keys that are not among the known ones; class InvalidArgument.
func (c Conditions) Only(known ...string) error {
	for key := range c {
		if !slices.Contains(known, key) {
			return fault.Invalid("Invalid filter '%s'", key)
		}
	}
	return nil
}

// Boolean gives the value of a key that is true or false, nil without the key.
// Both at once is no condition either.
func (c Conditions) Boolean(key string) (*bool, error) {
	var value *bool
	for _, text := range c[key] {
		var b bool
		switch strings.ToLower(text) {
		case "true", "1":
			b = true
		case "false", "0":
		default:
			return nil, fault.Invalid("Invalid filter '%s=%s'", key, text)
		}
		if value != nil && *value != b {
			return nil, nil
		}
		value = &b
	}
	return value, nil
}

// Match says whether one of the candidates is one of the key's values. Without
// the key everything matches.
func (c Conditions) Match(key string, candidates ...string) bool {
	values, ok := c[key]
	if !ok {
		return true
	}
	return slices.ContainsFunc(candidates, func(v string) bool { return slices.Contains(values, v) })
}

// MatchPart says whether one of the key's values is a part of the candidate.
func (c Conditions) MatchPart(key, candidate string) bool {
	values, ok := c[key]
	return !ok || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(candidate, v) })
}

// MatchLabels says whether labels fulfil all values of the key "label", each
// the name of a label or name=value.
func (c Conditions) MatchLabels(labels map[string]string) bool {
	for _, condition := range c["label"] {
		name, want, exact := strings.Cut(condition, "=")
		if got, ok := labels[name]; !ok || (exact && got != want) {
			return false
		}
	}
	return true
}
