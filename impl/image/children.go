package image

import (
	"sort"

	"github.com/opencontainers/go-digest"
)

// Children returns the images whose parent is id (empty: those without one),
// newest first. A builder looks among them for a step that was taken before.
func (s *Store) Children(id digest.Digest) []*Image {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*Image
	for _, img := range s.images {
		if img.Parent == id {
			out = append(out, img)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i].Created, out[j].Created
		if a != nil && b != nil && !a.Equal(*b) {
			return a.After(*b)
		}
		if (a == nil) != (b == nil) {
			return b == nil
		}
		return out[i].ID < out[j].ID
	})
	return out
}
