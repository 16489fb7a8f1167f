// Package image stores images and the writable layers of containers.
//
// An image is a JSON configuration (its sha256 is the image's id) on a chain
// of layers. A layer lives on disk as a directory in overlayfs's own form,
// beside the tar-split metadata that gives its tar back byte for byte; the
// chain id (the digest over all diff ids up to it, image-spec config.md)
// names it. Everything else is records in one bbolt file.
//
// A write goes in this order: files, syncfs, one bbolt transaction. A
// directory that no record names is what a crash left behind, and Open sweeps
// it. Nothing is visible before its transaction.
//
// All methods of Store may be called from several goroutines. Reads (Get,
// List, History, Writable) are served from memory.
package image

import (
	"log/slog"
)

// Options tune a store; the zero value is good.
type Options struct {
	// MaxLayerBytes is the most file bytes one layer may unpack to (sparse
	// holes count as written bytes). 0 means DefaultMaxLayerBytes.
	MaxLayerBytes int64
	// MaxLayerEntries is the most entries one layer may have. 0 means
	// DefaultMaxLayerEntries.
	MaxLayerEntries int64
	// Logger receives what no caller can be told (sweeping, damaged layers).
	// nil means slog.Default().
	Logger *slog.Logger
}

// Limits of a layer when Options does not say otherwise.
const (
	DefaultMaxLayerBytes   = 100 << 30
	DefaultMaxLayerEntries = 10_000_000
)
