package image

import (
	"encoding/json"
	"fmt"
	"sort"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// UnmarshalJSON accepts a list, one string, or null.
func (w *Words) UnmarshalJSON(b []byte) error {
	var list []string
	if err := json.Unmarshal(b, &list); err == nil {
		*w = list
		return nil
	}
	var one string
	if err := json.Unmarshal(b, &one); err != nil {
		return fmt.Errorf("neither a list of strings nor a string: %w", err)
	}
	*w = Words{one}
	return nil
}

// parseConfig reads an image configuration and checks what the store relies
// on: well-formed diff ids, of which the chain ids are made.
func parseConfig(raw []byte) (*ConfigFile, error) {
	var c ConfigFile
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fault.Invalid("invalid image configuration: %w", err)
	}
	if c.RootFS == nil {
		return nil, fault.Invalid("invalid image configuration: no rootfs")
	}
	for _, id := range c.RootFS.DiffIDs {
		if err := id.Validate(); err != nil || id.Algorithm() != digest.SHA256 {
			return nil, fault.Invalid("invalid image configuration: diff id %q", id)
		}
	}
	return &c, nil
}

// chainIDs computes the chain id of every layer, lowest first (image-spec,
// config.md: sha256 of the chain below, a space, and the diff id).
func chainIDs(diffs []digest.Digest) []digest.Digest {
	var chains []digest.Digest
	for i, d := range diffs {
		if i > 0 {
			d = digest.FromString(chains[i-1].String() + " " + d.String())
		}
		chains = append(chains, d)
	}
	return chains
}

func topChain(diffs []digest.Digest) digest.Digest {
	if len(diffs) == 0 {
		return ""
	}
	chains := chainIDs(diffs)
	return chains[len(chains)-1]
}

// newImage makes the snapshot of an image without names; sizeImage fills the sizes.
func (s *Store) newImage(id digest.Digest, raw []byte, parent digest.Digest) (*Image, error) {
	c, err := parseConfig(raw)
	if err != nil {
		return nil, err
	}
	return &Image{ID: id, Raw: raw, ConfigFile: *c, Parent: parent, Top: topChain(c.RootFS.DiffIDs)}, nil
}

// sizeImage sums up the layers. The caller holds writing or mu.
func (s *Store) sizeImage(img *Image) {
	shared := map[digest.Digest]bool{}
	if p := s.images[img.Parent]; p != nil {
		for _, c := range chainIDs(p.RootFS.DiffIDs) {
			shared[c] = true
		}
	}
	img.Size, img.VirtualSize, img.Damaged = 0, 0, nil
	for _, c := range chainIDs(img.RootFS.DiffIDs) {
		l := s.layers[c]
		if l == nil {
			img.Damaged = fault.Internal("layer %s of image %s is missing", c, short(img.ID.String()))
			continue
		}
		if l.damaged != nil {
			img.Damaged = fault.Internal("layer %s of image %s: %w", c, short(img.ID.String()), l.damaged)
		}
		img.VirtualSize += l.Size
		if !shared[c] {
			img.Size += l.Size
		}
	}
}

// nameImages writes Tags and RepoDigests of the given images anew. They must
// not be published yet.
func (s *Store) nameImages(images map[digest.Digest]*Image) {
	for _, img := range images {
		img.Tags, img.RepoDigests = nil, nil
	}
	for name, id := range s.tags {
		if img := images[id]; img != nil {
			img.Tags = append(img.Tags, familiar(name))
		}
	}
	for name, id := range s.digests {
		if img := images[id]; img != nil {
			img.RepoDigests = append(img.RepoDigests, familiar(name))
		}
	}
	for _, img := range images {
		sort.Strings(img.Tags)
		sort.Strings(img.RepoDigests)
	}
}

// publish replaces the snapshots of images whose names or parents changed.
// The caller holds mu for writing.
func (s *Store) publishLocked(ids ...digest.Digest) {
	fresh := map[digest.Digest]*Image{}
	for _, id := range ids {
		if img := s.images[id]; img != nil {
			c := *img
			fresh[id] = &c
		}
	}
	s.nameImages(fresh)
	for id, img := range fresh {
		s.sizeImage(img)
		s.images[id] = img
	}
}
