package conformance

import "github.com/seed-50ced230/berth/conformance/document"

// generatedCases follow from what the document says of an operation beside its
// examples.
func generatedCases(doc *document.Document, operation *document.Operation) []*Case {
	return nil
}
