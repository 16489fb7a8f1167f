package image

import (
	"context"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Tag names the image ref as name ("repo", "repo:tag"; tag overrides when not
// empty). A name that another image has moves. It returns the familiar name.
func (s *Store) Tag(ctx context.Context, ref, name, tag string) (string, error) {
	tagged, err := parseTagged(name, tag)
	if err != nil {
		return "", err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	img, err := s.Get(ref)
	if err != nil {
		return "", err
	}
	key := tagged.String()
	old := s.tags[key]
	if old != img.ID {
		if err := s.transact(change{tags: map[string]digest.Digest{key: img.ID}}); err != nil {
			return "", err
		}
		s.mu.Lock()
		s.tags[key] = img.ID
		s.publishLocked(img.ID, old)
		s.mu.Unlock()
	}
	return reference.FamiliarString(tagged), nil
}
