package image

import (
	"path"
	"sort"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Filter selects images for List. The zero value selects what GET
// /images/json lists without parameters.
type Filter struct {
	// All lists intermediate images (untagged parents of others) too.
	All bool
	// Name is a repository name, with or without tag, or a glob of one. An
	// image that matches is listed with the matching names only.
	Name string
	// Dangling selects images without (true) or with (false) a name.
	Dangling *bool
	// Labels are "key" or "key=value", all of which must match.
	Labels []string
	// Before and Since are images: only older or newer ones are listed.
	Before, Since digest.Digest
}

// List returns the images that f selects, newest first, images of one second by id.
func (s *Store) List(f Filter) ([]*Image, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	before, since := s.images[f.Before], s.images[f.Since]
	parents := map[digest.Digest]bool{}
	for _, img := range s.images {
		parents[img.Parent] = true
	}
	var out []*Image
	for _, img := range s.images {
		if before != nil && !dateOf(img.Created).Before(dateOf(before.Created)) ||
			since != nil && !dateOf(img.Created).After(dateOf(since.Created)) {
			continue
		}
		if !img.hasLabels(f.Labels) {
			continue
		}
		named := len(img.Tags)+len(img.RepoDigests) > 0
		switch {
		case f.Dangling != nil && *f.Dangling && (named || parents[img.ID]):
			continue
		case f.Dangling != nil && !*f.Dangling && !named:
			continue
		case !named && parents[img.ID] && !f.All:
			continue
		}
		if f.Name != "" {
			if img = img.matching(f.Name); img == nil {
				continue
			}
		}
		out = append(out, img)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := dateOf(out[i].Created).Unix(), dateOf(out[j].Created).Unix()
		if a != b {
			return a > b
		}
		return out[i].ID < out[j].ID
	})
	return out, nil
}

func (img *Image) hasLabels(want []string) bool {
	for _, w := range want {
		key, value, exact := strings.Cut(w, "=")
		if img.Config == nil {
			return false
		}
		got, ok := img.Config.Labels[key]
		if !ok || exact && got != value {
			return false
		}
	}
	return true
}

// matching returns the image with only the names that match pattern: a full
// name with tag, or a glob (path.Match) of the repository.
func (img *Image) matching(pattern string) *Image {
	c := *img
	c.Tags, c.RepoDigests = nil, nil
	exact := ""
	if named, err := reference.ParseNormalizedNamed(pattern); err == nil {
		if tagged, ok := named.(reference.NamedTagged); ok {
			exact = reference.FamiliarString(tagged)
		}
	}
	match := func(name string) bool {
		if exact != "" {
			return name == exact
		}
		repo, _ := splitName(name)
		ok, err := path.Match(pattern, repo)
		return err == nil && ok
	}
	for _, t := range img.Tags {
		if match(t) {
			c.Tags = append(c.Tags, t)
		}
	}
	for _, d := range img.RepoDigests {
		if match(d) {
			c.RepoDigests = append(c.RepoDigests, d)
		}
	}
	if len(c.Tags)+len(c.RepoDigests) == 0 {
		return nil
	}
	return &c
}

// splitName cuts a familiar name into its repository and its tag or digest.
func splitName(name string) (repo, rest string) {
	if repo, dgst, ok := strings.Cut(name, "@"); ok {
		return repo, dgst
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	return name, ""
}
