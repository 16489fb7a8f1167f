package image

import (
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// parseName parses a repository name with an optional tag or digest as Docker
// does: lower case, docker.io and library/ by default, no 64 hex digits (which
// would be an id). Errors are of class invalid argument with Docker's text.
func parseName(name string) (reference.Named, error) {
	if host, _, ok := strings.Cut(name, "/"); ok && !strings.ContainsAny(host, ".:") && strings.ToLower(host) != host {
		// The parser takes it for a registry's host; no client can then use the name.
		return nil, fault.Invalid("invalid reference format: repository name must be lowercase")
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err == nil {
		return named, CheckName(named)
	}
	if isHexID(name) {
		return nil, fault.Invalid("Invalid repository name (%s), cannot specify 64-byte hexadecimal strings", name)
	}
	if lower := strings.ToLower(name); lower != name {
		if _, err := reference.ParseNormalizedNamed(lower); err == nil {
			return nil, fault.Invalid("invalid reference format: repository name must be lowercase")
		}
	}
	return nil, fault.Invalid("invalid reference format")
}

// CheckName refuses a repository whose short name is another one's: of
// docker.io/a.example/b that is a.example/b, which is found, and given the credentials
// of docker.io, at another registry.
func CheckName(named reference.Named) error {
	again, err := reference.ParseNormalizedNamed(reference.FamiliarName(named))
	if err != nil || again.Name() != named.Name() {
		return fault.Invalid("invalid reference format: the repository %s would be known as %s, which is one of another registry", named.Name(), reference.FamiliarName(named))
	}
	return nil
}

// ParseTag parses the name to give to an image: a repository name, with a tag
// in it or beside it; latest when neither has one. The familiar form comes
// back ("busybox:latest"). A digest in the name is refused.
func ParseTag(name, tag string) (string, error) {
	named, err := parseTagged(name, tag)
	if err != nil {
		return "", err
	}
	return reference.FamiliarString(named), nil
}

func parseTagged(name, tag string) (reference.NamedTagged, error) {
	named, err := parseName(name)
	if err != nil {
		return nil, err
	}
	if _, ok := named.(reference.Digested); ok {
		return nil, fault.Invalid("refusing to create a tag with a digest reference")
	}
	if tag != "" {
		tagged, err := reference.WithTag(reference.TrimNamed(named), tag)
		if err != nil {
			return nil, fault.Invalid("invalid tag format")
		}
		return tagged, nil
	}
	return reference.TagNameOnly(named).(reference.NamedTagged), nil
}

// isHexID says whether s is a full id without its algorithm.
func isHexID(s string) bool { return len(s) == 64 && isHex(s) }

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// familiar shortens a canonical name: docker.io/library/a:b to a:b.
func familiar(canonical string) string {
	named, err := reference.ParseNormalizedNamed(canonical)
	if err != nil {
		return canonical
	}
	return reference.FamiliarString(named)
}

// short is the abbreviation of an id that messages use.
func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	if len(id) > 12 {
		id = id[:12]
	}
	return id
}

// isIDOf says whether ref names the image by id or a prefix of it.
func isIDOf(id digest.Digest, ref string) bool {
	return strings.HasPrefix(id.String(), ref) || strings.HasPrefix(id.Encoded(), ref)
}
