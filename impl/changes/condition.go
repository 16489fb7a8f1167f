package changes

import (
	"encoding/json"
	"maps"
	"slices"
)

// Conditions are a JSON object from a key to a list of values or to an object with
// the values as keys. What is neither is the engine's to refuse.

// withoutCondition is the conditions without those of a key.
func withoutCondition(conditions, key string) string {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(conditions), &members) != nil || members[key] == nil {
		return conditions
	}
	delete(members, key)
	rest, err := json.Marshal(members)
	if err != nil {
		return conditions
	}
	return string(rest)
}

// conditionValues are the values of a key, nil without any.
func conditionValues(conditions, key string) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(conditions), &members) != nil {
		return nil
	}
	var values []string
	if json.Unmarshal(members[key], &values) == nil {
		return values
	}
	var set map[string]bool
	if json.Unmarshal(members[key], &set) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(set))
}
