package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/conformance/document"
)

// Case is one requirement at one version.
type Case struct {
	// ID is v1.NN/operationId/name and unique.
	ID string
	// Name is the last part of ID.
	Name      string
	Document  *document.Document
	Operation *document.Operation
	// Example is the documented exchange, nil for a case made of the rest of the
	// document.
	Example *document.Example
	// Requirement says in a sentence what must hold, and Source where the
	// document says it.
	Requirement string
	Source      string
	Labels      []string
	Level       Level

	run func(*Run)
}

// Level says how binding a requirement is.
type Level string

const (
	// Must is what the API's documents say.
	Must Level = "MUST"
	// Should is what they leave open: statuses that the reference does not list,
	// the words of errors.
	Should Level = "SHOULD"
)

// Cases makes the cases of the documents, in their order.
func Cases(documents []*document.Document) []*Case {
	var cases []*Case
	for _, doc := range documents {
		for _, operation := range doc.Operations {
			for _, example := range operation.Examples {
				cases = append(cases, exampleCase(doc, operation, example))
			}
			cases = append(cases, ownCases(doc, operation)...)
			cases = append(cases, leaveCases(doc, operation)...)
			cases = append(cases, slowCases(doc, operation)...)
			cases = append(cases, generatedCases(doc, operation)...)
			cases = append(cases, fieldCases(doc, operation)...)
			cases = append(cases, parameterCases(doc, operation)...)
			cases = append(cases, booleanCases(doc, operation)...)
			cases = append(cases, invalidCases(doc, operation)...)
			cases = append(cases, formerCases(doc, operation)...)
			cases = append(cases, networkCases(doc, operation)...)
			cases = append(cases, recordedCases(doc, operation)...)
		}
	}
	labelChanges(cases)
	return cases
}

func exampleCase(doc *document.Document, operation *document.Operation, example *document.Example) *Case {
	return newCase(Case{
		Name: example.Name, Document: doc, Operation: operation, Example: example,
		Requirement: fmt.Sprintf("%s %s answers as the documented example does.", operation.Method, operation.Path),
		Source:      example.Source,
		Labels:      exampleLabels(operation, example),
		run:         runExample,
	}, "example")
}

// newCase fills in what follows from the rest.
func newCase(c Case, kind string) *Case {
	if c.Level == "" {
		c.Level = Must
	}
	c.ID = fmt.Sprintf("v%s/%s/%s", c.Document.Version, c.Operation.ID, c.Name)
	labels := []string{"v" + c.Document.Version, c.Operation.ID, c.Operation.Tag(), kind}
	c.Labels = append(labels, c.Labels...)
	return &c
}

// exampleLabels are the labels by which a run may leave cases out: what a case
// needs of the machine, and whether it uses names that the user may have.
func exampleLabels(operation *document.Operation, example *document.Example) []string {
	var labels []string
	if example.Response.Stream != "" || example.Request.Stream != "" {
		labels = append(labels, "stream")
	}
	if isDestructive(operation) {
		labels = append(labels, "destructive")
	}
	needs := func(words ...string) bool {
		return slices.ContainsFunc(example.Preconditions, func(precondition string) bool {
			return slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(precondition, word) })
		})
	}
	if needs("registry", "image-with-digest") {
		labels = append(labels, "needs:registry")
	}
	if operation.Tag() == "Networks" || needs("network") {
		labels = append(labels, "needs:network")
	}
	if slices.Contains([]string{"ContainerStats", "ContainerUpdate", "ContainerPause", "ContainerUnpause"}, operation.ID) {
		labels = append(labels, "needs:cgroup")
	}
	return labels
}

// isDestructive says whether an operation removes or ends something, or uses a
// name that the document prescribes and the user of the daemon may have taken.
func isDestructive(operation *document.Operation) bool {
	if operation.Method == "DELETE" {
		return true
	}
	return slices.Contains([]string{
		"ContainerCreate", "ContainerRename", "ContainerKill", "ContainerStop", "ContainerRestart",
		"ImageTag", "ImageCommit",
	}, operation.ID)
}
