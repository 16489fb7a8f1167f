package image

import (
	"runtime"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// isOurPlatform says whether programs for p run here. No platform means any.
func isOurPlatform(p *ocispec.Platform) bool {
	return p == nil || p.OS == "linux" && p.Architecture == runtime.GOARCH
}
