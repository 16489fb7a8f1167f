package image

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// Writable is the layer a container writes to, above the layers of its image.
// Its paths are valid until RemoveWritable.
type Writable struct {
	// ID is the container's id.
	ID string
	// Image is the image below; empty for a container made from nothing.
	Image digest.Digest
	// Lower are the directories below, topmost first, as overlayfs wants them:
	// the init layer, then the image's layers.
	Lower []string
	// Upper and Work are overlayfs's upperdir and workdir.
	Upper, Work string
	// Target is an empty directory in which the engine may mount the tree.
	Target string
	// Created is the time of NewWritable.
	Created time.Time
}

// Change is one line of GET /containers/(id)/changes.
type Change struct {
	// Path is absolute, inside the container.
	Path string
	// Kind is 0 for modified, 1 for added, 2 for deleted.
	Kind int
}
