package engine

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

// filters are the conditions of a list or of the event stream: a set of values
// for each key, sorted and without doubles. Values of one key are alternatives
// unless the key's documentation says otherwise; all keys must match.
type filters map[string][]string

// parseFilters reads the query parameter filters: a JSON object whose members
// are lists of values, {"status":["exited"]}, or, as newer clients send them,
// objects with the values as keys, {"status":{"exited":true}}. An empty text is
// no condition at all. Class InvalidArgument for anything else.
func parseFilters(s string) (filters, error) {
	if s == "" {
		return filters{}, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s), &members); err != nil {
		return nil, fault.Invalid("Invalid filters: %w", err)
	}
	f := make(filters, len(members))
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
			f[key] = values
		}
	}
	return f, nil
}

// only refuses keys that are not among the known ones; class InvalidArgument.
func (f filters) only(known ...string) error {
	for key := range f {
		if !slices.Contains(known, key) {
			return fault.Invalid("Invalid filter '%s'", key)
		}
	}
	return nil
}

// boolean gives the value of a key that is true or false, nil without the key.
// Both at once is no condition either.
func (f filters) boolean(key string) (*bool, error) {
	var value *bool
	for _, text := range f[key] {
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

// match says whether one of the candidates is one of the key's values. Without
// the key everything matches.
func (f filters) match(key string, candidates ...string) bool {
	values, ok := f[key]
	if !ok {
		return true
	}
	return slices.ContainsFunc(candidates, func(c string) bool { return slices.Contains(values, c) })
}

// matchPart says whether one of the key's values is a part of the candidate.
func (f filters) matchPart(key, candidate string) bool {
	values, ok := f[key]
	return !ok || slices.ContainsFunc(values, func(v string) bool { return strings.Contains(candidate, v) })
}

// matchLabels says whether labels fulfil all values of the key "label", each
// the name of a label or name=value.
func (f filters) matchLabels(labels map[string]string) bool {
	for _, condition := range f["label"] {
		name, want, exact := strings.Cut(condition, "=")
		if got, ok := labels[name]; !ok || (exact && got != want) {
			return false
		}
	}
	return true
}
