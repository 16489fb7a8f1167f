package conformance

import (
	"net/http"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// ownCases are the cases of operations that the document describes without an
// example.
func ownCases(doc *document.Document, operation *document.Operation) []*Case {
	if operation.ID != "ContainerArchiveInfo" {
		return nil
	}
	return []*Case{
		newCase(Case{
			Name: "archive-info", Document: doc, Operation: operation,
			Requirement: "HEAD of a path tells in a header what GET would archive, without a body.",
			Source:      operation.Description,
			run:         runArchiveInfo,
		}, "own"),
	}
}

func runArchiveInfo(r *Run) {
	r.containerCreated()
	r.phase = request
	response := r.send(wire.Request{
		Method: http.MethodHead,
		Target: r.target("/containers/"+r.values["container"]+"/archive", query("path", "/root/hello")),
	})
	r.phase = check
	r.compareStatus(response.Status, response.Body, http.StatusOK)
	if len(response.Body) > 0 {
		r.finding("body", "", "there is one: %s", excerpt(response.Body))
	}
	r.comparePathStat(response.Header, "hello")
}
