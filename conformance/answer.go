package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// Answer is what an answer looks like without ids, times and other values, so
// that it can be set beside that of another version or of another daemon.
type Answer struct {
	Status int `json:"status"`
	// Media is the type without parameters.
	Media string `json:"media"`
	// Headers are the names, sorted, without those that the transport chooses.
	Headers []string `json:"headers"`
	// Shape is the kinds of value at each path of a JSON body; nil for others.
	Shape map[string][]string `json:"shape,omitempty"`
}

func answerOf(status int, header http.Header, body []byte) Answer {
	a := Answer{Status: status, Media: wire.MediaType(header)}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if !slices.Contains(ownHeaders, name) {
			a.Headers = append(a.Headers, name)
		}
	}
	if a.Media != "application/json" || len(body) == 0 {
		return a
	}
	value, err := wire.DecodeJSON(body)
	if err != nil {
		lines, err := wire.DecodeLines(strings.NewReader(string(body)))
		if err != nil {
			return a
		}
		value = lines
	}
	shape := map[string]map[string]bool{}
	shapeOf(value, "", shape)
	a.Shape = map[string][]string{}
	for at, kinds := range shape {
		a.Shape[at] = slices.Sorted(maps.Keys(kinds))
	}
	return a
}

// Differences says how an answer differs from another one, in words of the one
// as it is and the other as it was.
func (a Answer) Differences(other Answer) []Finding {
	var found []Finding
	note := func(rule, path, format string, arguments ...any) {
		found = append(found, Finding{Rule: rule, Path: path, Text: fmt.Sprintf(format, arguments...)})
	}
	if a.Status != other.Status {
		note("status", "", "%d beside %d", a.Status, other.Status)
	}
	if a.Media != other.Media {
		note("content-type", "", "%q beside %q", a.Media, other.Media)
	}
	for _, name := range a.Headers {
		if !slices.Contains(other.Headers, name) {
			note("header", name, "only here")
		}
	}
	for _, name := range other.Headers {
		if !slices.Contains(a.Headers, name) {
			note("header", name, "only there")
		}
	}
	if (a.Shape == nil) != (other.Shape == nil) || a.Status != other.Status {
		return found // different things, which status and type tell
	}
	for _, at := range slices.Sorted(maps.Keys(a.Shape)) {
		if _, both := other.Shape[at]; !both && !enclosed(a.Shape, other.Shape, at) {
			note("shape", at, "only here (%s)", strings.Join(a.Shape[at], " or "))
		} else if both && !alike(at, a.Shape[at], other.Shape[at]) {
			note("shape", at, "%s beside %s", strings.Join(a.Shape[at], " or "), strings.Join(other.Shape[at], " or "))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(other.Shape)) {
		if _, both := a.Shape[at]; !both && !enclosed(other.Shape, a.Shape, at) {
			note("shape", at, "only there (%s)", strings.Join(other.Shape[at], " or "))
		}
	}
	return found
}

// enclosed says whether a path is on one side only because what it lies in is
// there only, or is empty on the other side.
func enclosed(own, other map[string][]string, at string) bool {
	for i := len(at) - 1; i > 0; i-- {
		if at[i] != '.' && at[i] != '[' {
			continue
		}
		kinds, there := other[at[:i]]
		if !there {
			return true
		}
		if !slices.Contains(kinds, "object") && !slices.Contains(kinds, "list") {
			return true
		}
	}
	return at != "" && slices.ContainsFunc(other[""], func(kind string) bool { return strings.HasPrefix(kind, "empty") }) && len(own) > 0
}

// alike says whether two sets of kinds at a path share one, and say the same of
// null. Below a list they may differ in null alone: which objects there were
// decides.
func alike(at string, a, b []string) bool {
	if !strings.Contains(at, "[]") && slices.Equal(a, []string{"null"}) != slices.Equal(b, []string{"null"}) {
		return false
	}
	return shareKind(a, b)
}
