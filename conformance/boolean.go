package conformance

import (
	"fmt"

	"github.com/seed-50ced230/berth/conformance/document"
)

// booleanCases ask with the words that booleans have in queries, for each boolean
// parameter of an operation: 1 and 0 must differ in what the parameter does, a
// word that is no boolean counts as the first, none as the second.
func booleanCases(doc *document.Document, operation *document.Operation) []*Case {
	var cases []*Case
	for _, parameter := range operation.Parameters {
		if parameter.In != "query" || parameter.Type != "boolean" {
			continue
		}
		arrange := observer(operation.ID, parameter.Name)
		if arrange == nil {
			continue // TestEveryBooleanIsObserved
		}
		labels := []string{}
		if isStreamed(operation) {
			labels = append(labels, "stream")
		}
		cases = append(cases, newCase(Case{
			Name: "boolean-" + parameter.Name, Document: doc, Operation: operation,
			Requirement: fmt.Sprintf("%s is false for 0 and none, true for 1 and any other word, and what it does shows.", parameter.Name),
			Source:      "parameters of " + operation.ID, Labels: labels,
			run: func(r *Run) { runBoolean(r, parameter.Name, arrange) },
		}, "parameter"))
	}
	return cases
}

// arrangement builds a situation, and returns what makes one request with a word
// for the parameter and tells what could be seen of its effect.
type arrangement func(*Run) func(word string) any

func runBoolean(r *Run, name string, arrange arrangement) {
	observe := arrange(r)
	seen := map[string]any{}
	for _, word := range []string{"1", "certainly", "0", "none"} {
		seen[word] = observe(word)
	}
	// The words are set beside one another here, not over the versions.
	r.answers = nil
	if text(seen["1"]) == text(seen["0"]) && !withoutEffect(r.Operation.ID, name, r.Document.Version) {
		r.finding("effect", name, "1 and 0 do the same: %s", text(seen["1"]))
	}
	r.equal("value", name+"=certainly", seen["certainly"], seen["1"])
	r.equal("value", name+"=none", seen["none"], seen["0"])
}

// withoutEffect says whether no one can tell the values of a parameter apart.
func withoutEffect(operation, parameter, version string) bool {
	switch operation + " " + parameter {
	case "ImageTag force":
		return CompareVersions(version, "1.22") >= 0 // see uncovered.yaml
	case "ImageList digests":
		return true // engines always show the digests; what the parameter chose was the client's form
	}
	return false
}

// observer returns the arrangement for a boolean parameter, nil if there is none.
func observer(operation, parameter string) arrangement {
	switch operation {
	case "ContainerLogs", "ContainerAttach", "ContainerAttachWebsocket":
		return outputObserver(operation, parameter)
	case "ImageBuild":
		return buildObserver(parameter)
	case "ImageDelete", "ImageList", "ImageLoad", "ImageTag":
		return imageObserver(operation, parameter)
	}
	switch operation + " " + parameter {
	case "ContainerList all":
		return observeListAll
	case "ContainerList size":
		return observeListSize
	case "ContainerInspect size":
		return observeInspectSize
	case "ContainerStats stream":
		return observeStatsStream
	case "ContainerDelete force":
		return observeDeleteForce
	case "ContainerDelete v":
		return observeDeleteVolumes
	case "ContainerDelete link":
		return observeDeleteLink
	case "ImageCommit pause":
		return observeCommitPause
	case "PutContainerArchive noOverwriteDirNonDir":
		return observeNoOverwrite
	}
	return nil
}
