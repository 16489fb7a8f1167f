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
