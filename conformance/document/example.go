package document

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Example is a documented exchange with the values that a suite may choose
// itself taken out: wherever "{name}" stands, the document had the placeholder's
// value.
type Example struct {
	// Name is unique in the operation.
	Name string `json:"name"`
	// Source is section, title and number of the example in the API's reference.
	Source string `json:"source"`
	// Preconditions are names of fixtures that must exist before the request.
	Preconditions []string               `json:"preconditions"`
	Placeholders  map[string]Placeholder `json:"placeholders"`
	Request       ExampleRequest         `json:"request"`
	Response      ExampleResponse        `json:"response"`
	// Mended says what was malformed in the documented exchange.
	Mended string `json:"mended"`
}

// Placeholder is a value of an example that a suite replaces by its own.
type Placeholder struct {
	// Value is the literal of the documented exchange.
	Value string `json:"value"`
	// Kind says what it stands for: container-id, image-name, unix-time, …
	Kind string `json:"kind"`
}

// ExampleRequest is what the client sends. Method and path come from the
// operation.
type ExampleRequest struct {
	Path map[string]string `json:"path"`
	// Query values are strings, or lists of strings for repeated parameters.
	Query   map[string]any    `json:"query"`
	Headers map[string]string `json:"headers"`
	// Body is JSON, nil if the request has none.
	Body any `json:"body"`
	// Stream is "tar" for a body that the suite makes up.
	Stream   string `json:"stream"`
	Describe string `json:"describe"`
}

// ExampleResponse is what the server answers.
type ExampleResponse struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	// Body is JSON, nil if the answer has none.
	Body any    `json:"body"`
	Text string `json:"text"`
	// Stream is multiplexed, raw, json-lines, tar or none.
	Stream string `json:"stream"`
	// Events are the documented lines of a json-lines stream.
	Events []any `json:"events"`
}

// PlaceholderNames lists the names in alphabetical order.
func (e *Example) PlaceholderNames() []string {
	return slices.Sorted(maps.Keys(e.Placeholders))
}

// Expand replaces every "{name}" in every string of a JSON value by what
// values holds; names that values lacks stay. The argument is left alone.
func Expand(value any, values map[string]string) any {
	switch value := value.(type) {
	case string:
		return ExpandString(value, values)
	case []any:
		list := make([]any, len(value))
		for i, item := range value {
			list[i] = Expand(item, values)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, item := range value {
			object[ExpandString(key, values)] = Expand(item, values)
		}
		return object
	default:
		return value
	}
}

// ExpandString is Expand for one string.
func ExpandString(text string, values map[string]string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// Mentions says whether "{name}" occurs anywhere in a JSON value.
func Mentions(value any, name string) bool {
	raw, err := json.Marshal(value)
	return err == nil && strings.Contains(string(raw), "{"+name+"}")
}
