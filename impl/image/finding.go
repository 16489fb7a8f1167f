package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Kind says what a Finding is about.
type Kind string

// Kinds of findings.
const (
	// Record is an entry of the database that makes no sense.
	Record Kind = "record"
	// Layer is a layer whose files are not what its digest says, or are missing.
	Layer Kind = "layer"
	// Blob is a compressed layer in the cache.
	Blob Kind = "compressed layer"
	// Manifest is what an image was pulled or pushed under.
	Manifest Kind = "manifest of image"
	// Broken is an image that lacks a layer.
	Broken Kind = "image"
	// Container is a writable layer that has nothing whole to stand on.
	Container Kind = "container"
)

// Outcome is what Check did about a finding.
type Outcome string

// Outcomes of findings.
const (
	// Reported means nothing was done: nothing was to be, or nothing can be.
	Reported Outcome = ""
	// Repaired means that what was damaged is whole again.
	Repaired Outcome = "repaired"
	// Discarded means that it was beyond saving and is gone.
	Discarded Outcome = "removed"
)

// Finding is one thing that Check found.
type Finding struct {
	Kind Kind
	// Name is the image's id, the layer's chain id, the blob's digest, the
	// container's id, or the database's bucket and key.
	Name string
	// Images are those that suffer from it.
	Images []digest.Digest
	// Tags are the names of an image of kind Broken.
	Tags []string
	// Err says what is wrong.
	Err     error
	Outcome Outcome

	bucket, key []byte // of a Record
}

// String is one line for a person.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", f.Kind, f.Name)
	if len(f.Tags) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(f.Tags, ", "))
	}
	if len(f.Images) > 0 && f.Kind != Broken {
		var ids []string
		for _, id := range f.Images {
			ids = append(ids, short(id.String()))
		}
		slices.Sort(ids)
		fmt.Fprintf(&b, " of %s", strings.Join(ids, ", "))
	}
	fmt.Fprintf(&b, ": %v", f.Err)
	if f.Outcome != Reported {
		fmt.Fprintf(&b, ": %s", f.Outcome)
	}
	return b.String()
}

// Report is what Check looked at and what it found.
type Report struct {
	Images, Layers, Blobs, Containers int
	// LayerBytes is the sum of the files' sizes in the layers.
	LayerBytes int64
	// Leftovers are paths below the store's root that nothing names. They are no
	// damage: the next Open sweeps them.
	Leftovers []string
	Findings  []Finding
}

// Whole says that nothing is damaged any more. What was repaired or removed is not.
func (r *Report) Whole() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Outcome == Reported })
}
