package image

import (
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// ParsePull parses what to pull: a repository, with the tag or digest in the
// name or beside it; the one beside wins over one in the name. ref is empty
// when there is neither: all tags are meant. A name with both a tag and a
// digest means the digest.
func ParsePull(name, tag string) (repository reference.Named, ref string, err error) {
	named, err := parseName(name)
	if err != nil {
		return nil, "", err
	}
	repository = reference.TrimNamed(named)
	if tag != "" {
		if d, err := digest.Parse(tag); err == nil {
			return repository, d.String(), nil
		}
		if _, err := reference.WithTag(repository, tag); err != nil {
			return nil, "", fault.Invalid("invalid tag format")
		}
		return repository, tag, nil
	}
	if digested, ok := named.(reference.Digested); ok {
		return repository, digested.Digest().String(), nil
	}
	if tagged, ok := named.(reference.Tagged); ok {
		return repository, tagged.Tag(), nil
	}
	return repository, "", nil
}

// CanPush says why there is nothing to push under a name, before a registry is
// asked; nil when there is.
func (s *Store) CanPush(repository reference.Named, tag string) error {
	_, err := s.pushTags(reference.TrimNamed(repository), tag)
	return err
}

// pushTags lists the canonical names to push: one tag of the repository, or all.
func (s *Store) pushTags(name reference.Named, tag string) ([]string, error) {
	if tag == "" {
		if tags := s.tagsOf(name.Name()); len(tags) > 0 {
			return tags, nil
		}
		return nil, fault.NotFound("Repository does not exist: %s", reference.FamiliarName(name))
	}
	tagged, err := reference.WithTag(name, tag)
	if err != nil {
		return nil, fault.Invalid("invalid tag format")
	}
	if tags := s.tagsOf(tagged.String()); len(tags) > 0 {
		return tags, nil
	}
	if len(s.tagsOf(name.Name())) > 0 {
		return nil, fault.NotFound("tag does not exist: %s:%s", reference.FamiliarName(name), tag)
	}
	return nil, fault.NotFound("Repository does not exist: %s", reference.FamiliarName(name))
}
