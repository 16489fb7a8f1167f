package image

import (
	"sort"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Get finds an image by name ("busybox", "busybox:latest", "a@sha256:…"), by
// its id with or without "sha256:", or by a unique prefix of it. A name wins
// over an id prefix. When there is none the error is of class not found with
// the text "No such image: NAME:TAG".
func (s *Store) Get(ref string) (*Image, error) {
	img, err := s.find(ref)
	if err == nil && img == nil {
		return nil, notFound(ref)
	}
	return img, err
}

// notFound has the text of Docker Engine: the default tag is added to a name.
func notFound(ref string) error {
	if named, err := reference.ParseNormalizedNamed(ref); err == nil && !isIDForm(ref) {
		ref = reference.FamiliarString(reference.TagNameOnly(named))
	}
	return fault.NotFound("No such image: %s", ref)
}

// Lookup is Get with the text that GET /images/(name)/json gives: the name as
// the client wrote it, without the default tag.
func (s *Store) Lookup(ref string) (*Image, error) {
	img, err := s.find(ref)
	if err == nil && img == nil {
		return nil, fault.NotFound("No such image: %s", ref)
	}
	return img, err
}

// isIDForm says whether ref can only be an id: "sha256:…" or 64 hex digits.
func isIDForm(ref string) bool {
	return isHexID(ref) || strings.HasPrefix(ref, "sha256:") && isHex(ref[len("sha256:"):])
}

// find returns nil without error when there is no such image.
func (s *Store) find(ref string) (*Image, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.findLocked(ref)
}

func (s *Store) findLocked(ref string) (*Image, error) {
	hex := strings.TrimPrefix(ref, "sha256:")
	if isHexID(hex) {
		return s.images[digest.Digest("sha256:"+hex)], nil
	}
	if isIDForm(ref) {
		return s.byPrefixLocked(ref)
	}
	named, err := parseName(ref)
	if err != nil {
		return nil, err
	}
	if id, ok := s.byNameLocked(named); ok {
		return s.images[id], nil
	}
	if isHex(ref) {
		return s.byPrefixLocked(ref)
	}
	return nil, nil
}

// byNameLocked resolves a name. A tag that is an id prefix of an image of the
// same repository is accepted too ("busybox:fa9c9930bf2d"), as Docker does.
func (s *Store) byNameLocked(named reference.Named) (digest.Digest, bool) {
	if canonical, ok := named.(reference.Canonical); ok {
		id, ok := s.digests[canonicalKey(canonical)]
		return id, ok
	}
	tagged := reference.TagNameOnly(named).(reference.NamedTagged)
	if id, ok := s.tags[tagged.String()]; ok {
		return id, true
	}
	if tag := tagged.Tag(); isHex(tag) {
		img, err := s.byPrefixLocked(tag)
		if err != nil || img == nil {
			return "", false
		}
		for name, id := range s.tags {
			if id == img.ID && strings.HasPrefix(name, tagged.Name()+":") {
				return id, true
			}
		}
	}
	return "", false
}

// canonicalKey is the key of a digest reference; a tag beside the digest is ignored.
func canonicalKey(c reference.Canonical) string { return c.Name() + "@" + c.Digest().String() }

// byPrefixLocked finds the image whose id starts with the hex digits.
func (s *Store) byPrefixLocked(prefix string) (*Image, error) {
	hex := strings.TrimPrefix(prefix, "sha256:")
	var found *Image
	for id, img := range s.images {
		if strings.HasPrefix(id.Encoded(), hex) {
			if found != nil {
				return nil, fault.NotFound("Multiple IDs found with provided prefix: %s", prefix)
			}
			found = img
		}
	}
	return found, nil
}

// usable is Get for operations that need the image's files.
func (s *Store) usable(ref string) (*Image, error) {
	img, err := s.Get(ref)
	if err != nil {
		return nil, err
	}
	if img.Damaged != nil {
		return nil, img.Damaged
	}
	return img, nil
}

// Count returns the number of images, intermediate ones included.
func (s *Store) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.images)
}

// childrenLocked returns the ids of the images whose parent is id, sorted.
func (s *Store) childrenLocked(id digest.Digest) []digest.Digest {
	var out []digest.Digest
	for _, img := range s.images {
		if img.Parent == id {
			out = append(out, img.ID)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// History returns the steps of an image, newest first.
func (s *Store) History(ref string) ([]HistoryEntry, error) {
	img, err := s.Get(ref)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	chains := chainIDs(img.RootFS.DiffIDs)
	steps := img.History
	if len(steps) == 0 {
		// An image without history still has its layers.
		for range chains {
			steps = append(steps, History{Created: img.Created})
		}
	}
	var out []HistoryEntry
	layers := 0
	for _, h := range steps {
		e := HistoryEntry{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment, Created: dateOf(h.Created)}
		if !h.EmptyLayer {
			if layers >= len(chains) {
				return nil, fault.Internal("image %s has more steps than layers", short(img.ID.String()))
			}
			if l := s.layers[chains[layers]]; l != nil {
				e.Size = l.Size
			}
			layers++
		}
		out = append([]HistoryEntry{e}, out...)
	}
	// The image and its parents are lines of this list, one each.
	at := img
	for i := range out {
		if at == nil {
			break
		}
		out[i].ID, out[i].Tags = at.ID.String(), at.Tags
		at = s.images[at.Parent]
	}
	return out, nil
}

func dateOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
