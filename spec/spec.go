// Package spec holds the contract that berth serves: one Swagger 2.0 document
// per version of the API and the changes between them.
//
// The documents are rendered (make spec) from v1.18.yaml and overlays/; each
// is complete in itself.
package spec

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed v1.18.json v1.19.json v1.20.json v1.21.json v1.22.json v1.23.json changes.json
var files embed.FS

// Versions returns the versions that have a document, oldest first: "1.18" to
// "1.23".
func Versions() []string {
	return []string{"1.18", "1.19", "1.20", "1.21", "1.22", "1.23"}
}

// Document returns the Swagger 2.0 document of a version as indented JSON. ok
// is false if there is none. The bytes are the caller's.
func Document(version string) (document []byte, ok bool) {
	document, err := files.ReadFile("v" + version + ".json")
	return document, err == nil
}

// Change is one change between two versions.
type Change struct {
	// Version is the one that brought the change, "1.19".
	Version string `json:"version"`
	// IDs name the changes as the API's change list counts them, "v1.19-03"
	// for the third line of 1.19; empty for a change that the list lacks.
	IDs []string `json:"ids"`
	// Description says in a sentence what changed.
	Description string `json:"description"`
	// Operations are the operationIds of the operations that differ.
	Operations []string `json:"operations"`
	// Targets are JSONPath expressions for the places that differ in the
	// documents; empty for a change without a shape.
	Targets []string `json:"targets,omitempty"`
	// Shapeless says why the documents do not show the change.
	Shapeless string `json:"shapeless,omitempty"`
	// Undocumented says why there is a change that the list lacks.
	Undocumented string `json:"undocumented,omitempty"`
}

// Changes returns every change, oldest first, in the order of the overlays.
func Changes() ([]Change, error) {
	raw, err := files.ReadFile("changes.json")
	if err != nil {
		return nil, fmt.Errorf("read the embedded changes: %w", err)
	}
	var changes []Change
	if err := json.Unmarshal(raw, &changes); err != nil {
		return nil, fmt.Errorf("decode the embedded changes: %w", err)
	}
	return changes, nil
}
