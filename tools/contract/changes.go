package contract

import (
	"slices"
	"strings"
)

// Change is one row of changes.json: one change between two versions, as the
// overlays say it.
type Change struct {
	Version     string   `json:"version"`                // that brought it: "1.19"
	IDs         []string `json:"ids"`                    // documented changes that it is, "v1.19-03"; none for what the reference does not list
	Description string   `json:"description"`            // own words
	Operations  []string `json:"operations"`             // operationIds that it touches
	Targets     []string `json:"targets,omitempty"`      // JSONPath of the overlay's actions
	Shapeless   string   `json:"shapeless,omitempty"`    // why the documents do not show it
	Unlisted    string   `json:"undocumented,omitempty"` // why it is here though the reference does not list it
}

// Changes returns every change, in the order of versions and overlays; actions
// of one overlay with the same ids and description are one change. Actions
// that only change examples are none.
func (c *Contract) Changes() []Change {
	changes := []Change{}
	for _, v := range c.Versions {
		at := map[string]int{}
		for _, a := range v.Actions {
			if a.ExamplesOnly {
				continue
			}
			key := strings.Join(a.Changes, " ") + "\n" + a.Description
			i, ok := at[key]
			if !ok {
				i = len(changes)
				at[key] = i
				changes = append(changes, Change{Version: v.Number, IDs: append([]string{}, a.Changes...), Description: a.Description, Operations: []string{}, Unlisted: a.Undocumented})
			}
			row := &changes[i]
			row.Targets = append(row.Targets, a.Target)
			for _, op := range a.Operations {
				if !slices.Contains(row.Operations, op) {
					row.Operations = append(row.Operations, op)
				}
			}
		}
		for _, s := range c.Shapeless {
			if strings.HasPrefix(s.ID, "v"+v.Number+"-") {
				changes = append(changes, Change{Version: v.Number, IDs: []string{s.ID}, Description: s.Description, Operations: append([]string{}, s.Operations...), Shapeless: s.Reason})
			}
		}
	}
	return changes
}
