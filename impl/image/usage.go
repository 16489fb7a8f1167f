package image

import "github.com/opencontainers/go-digest"

// Usage is what a store holds.
type Usage struct {
	Images, Layers int
	// LayerBytes is the sum of the files' sizes in all layers, BlobBytes that of
	// the compressed layers that are kept.
	LayerBytes, BlobBytes int64
}

// Usage counts from memory.
func (s *Store) Usage() Usage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	u := Usage{Images: len(s.images), Layers: len(s.layers)}
	for _, l := range s.layers {
		u.LayerBytes += l.Size
	}
	counted := map[digest.Digest]bool{} // one blob may be of several layers
	for _, blobs := range s.blobs {
		for _, b := range blobs {
			if !counted[b.Digest] {
				counted[b.Digest] = true
				u.BlobBytes += b.Size
			}
		}
	}
	return u
}
