package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
)

// Step is a requirement whose answers differ between two versions that follow
// one another.
type Step struct {
	// Requirement is operationId/name, the part of a case's id that the versions
	// share.
	Requirement string `json:"requirement"`
	// From and To are versions.
	From string `json:"from"`
	To   string `json:"to"`
	// Differences are of To ("here") against From ("there").
	Differences []Finding `json:"differences"`
	// Changes are the documented changes of To that touch the operation.
	Changes []string `json:"changes,omitempty"`
	// Unexplained are the differences that no document explains: those of a field
	// that both documents describe alike, and others of an operation that no
	// change of To touches.
	Unexplained []Finding `json:"unexplained,omitempty"`
}

// Axis sets each requirement beside itself over the versions. changes gives the
// documented changes of an operation in a version.
func Axis(results []*Result, changes func(operation, version string) []string) []Step {
	byRequirement := map[string][]*Result{}
	var order []string
	for _, result := range results {
		if len(result.Answers) == 0 || result.Verdict != Pass && result.Verdict != Fail {
			continue // a refusal to do it at all says nothing of the version
		}
		requirement := result.Operation.ID + "/" + result.Name
		if byRequirement[requirement] == nil {
			order = append(order, requirement)
		}
		byRequirement[requirement] = append(byRequirement[requirement], result)
	}
	var steps []Step
	for _, requirement := range order {
		group := byRequirement[requirement]
		slices.SortStableFunc(group, func(a, b *Result) int { return CompareVersions(a.Document.Version, b.Document.Version) })
		for i := 1; i < len(group); i++ {
			from, to := group[i-1], group[i]
			var differences []Finding
			for n := range min(len(from.Answers), len(to.Answers)) {
				differences = append(differences, to.Answers[n].Differences(from.Answers[n])...)
			}
			differences = slices.DeleteFunc(differences, func(f Finding) bool {
				return f.Rule == "shape" && incidental(from, f.Path) && incidental(to, f.Path)
			})
			if len(differences) == 0 {
				continue
			}
			step := Step{
				Requirement: requirement, From: from.Document.Version, To: to.Document.Version, Differences: differences,
				Changes: changes(to.Operation.ID, to.Document.Version),
			}
			for _, difference := range differences {
				explained := len(step.Changes) > 0
				if difference.Rule == "shape" && !reviewed(requirement, step.To) {
					explained = !slices.Equal(described(from.Document, from.Operation, difference.Path), described(to.Document, to.Operation, difference.Path))
				}
				if !explained {
					step.Unexplained = append(step.Unexplained, difference)
				}
			}
			steps = append(steps, step)
		}
	}
	return steps
}

// reviewed are the steps whose answers differ in fields that both documents
// describe alike, because a change of the version has the fields filled.
func reviewed(requirement, to string) bool {
	switch requirement + " " + to {
	case "ContainerCreate/create 1.22":
		return true // v1.22-10: the example asks for weights of devices, which earns a warning where the kernel has none
	case "ContainerInspect/recorded-inspect-running 1.21":
		return true // the world of the recording mounts a volume from v1.21-02 on, and a directory of the host before
	case "ContainerStats/recorded-stats-once 1.19":
		return true // v1.19-02: one sample instead of a stream
	}
	return false
}

// incidental says whether a path is a property that the messages of a stream may
// have or not: which of them come is a matter of time.
func incidental(result *Result, path string) bool {
	inside, ofMessage := strings.CutPrefix(path, "[].")
	name, _, _ := strings.Cut(strings.ReplaceAll(inside, "[]", "."), ".")
	if !ofMessage {
		return false
	}
	for _, status := range result.Operation.Statuses() {
		response, _ := result.Operation.Response(status)
		if status >= http.StatusMultipleChoices || response.Schema == nil {
			continue
		}
		// The schema of a stream is that of a message.
		resolved, _, _ := result.Document.ResolveMarked(response.Schema)
		if property := resolved.Properties[name]; property != nil {
			_, _, omitEmpty := result.Document.ResolveMarked(property)
			return omitEmpty
		}
	}
	return false
}

// described is what a document says of a field of an operation's answers, where
// the field is the path of a shape: for every answer that has it, and for each
// step of the path, its type and whether it may be null or left out, and is documented. Nothing if
// the document does not have the field.
func described(doc *document.Document, operation *document.Operation, path string) []string {
	var all []string
	for _, status := range operation.Statuses() {
		response, _ := operation.Response(status)
		if status >= http.StatusMultipleChoices || response.Schema == nil {
			continue
		}
		// A stream of objects has the schema of one of them.
		for _, inside := range []string{path, strings.TrimPrefix(strings.TrimPrefix(path, "[]"), ".")} {
			if said, ok := describedIn(doc, response.Schema, inside); ok {
				all = append(all, said)
				break
			}
		}
	}
	return all
}

func describedIn(doc *document.Document, schema *document.Schema, path string) (string, bool) {
	said := ""
	for step := range strings.SplitSeq(strings.ReplaceAll(path, "[]", ".[]"), ".") {
		resolved, nullable, omitEmpty := doc.ResolveMarked(schema)
		said += fmt.Sprintf("/%s,%t,%t,%t", resolved.Type, nullable, omitEmpty, schema.Undocumented != "")
		switch {
		case step == "":
			continue
		case step == "[]":
			schema = resolved.Items
		case resolved.Properties[step] != nil:
			schema = resolved.Properties[step]
		default:
			schema = resolved.AdditionalProperties
		}
		if schema == nil {
			return "", false
		}
	}
	resolved, nullable, omitEmpty := doc.ResolveMarked(schema)
	return said + fmt.Sprintf("/%s,%t,%t,%t", resolved.Type, nullable, omitEmpty, schema.Undocumented != ""), true
}
