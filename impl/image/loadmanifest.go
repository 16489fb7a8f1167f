package image

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// manifestItem is an image in manifest.json, which docker save writes since 1.10.
type manifestItem struct {
	Config   string
	RepoTags []string
	Layers   []string
	Parent   digest.Digest `json:",omitempty"`
}

func (a *archive) loadManifest(ctx context.Context) ([]Loaded, error) {
	var items []manifestItem
	if err := json.Unmarshal(a.document("manifest.json"), &items); err != nil {
		return nil, fault.Invalid("invalid manifest.json: %w", err)
	}
	var loaded []Loaded
	parents := map[*Image]digest.Digest{}
	for _, item := range items {
		raw := a.document(item.Config)
		if raw == nil {
			return nil, fault.Invalid("configuration %q is not in the archive", item.Config)
		}
		img, err := a.stackImage(ctx, raw, item.Layers)
		if err != nil {
			return nil, err
		}
		if item.Parent != "" {
			parents[img] = item.Parent
		}
		l := Loaded{ID: img.ID}
		for _, t := range item.RepoTags {
			name, err := a.tag(t, "", img.ID)
			if err != nil {
				return nil, err
			}
			l.Refs = append(l.Refs, name)
		}
		loaded = append(loaded, l)
	}
	for img, parent := range parents {
		if p := a.in.lookup(parent); p != nil && p.isParentOf(img) {
			img.Parent = parent
		}
	}
	return loaded, nil
}

// stackImage stacks the named layers and adds the image with that configuration.
func (a *archive) stackImage(ctx context.Context, raw []byte, layers []string) (*Image, error) {
	c, err := parseConfig(raw)
	if err != nil {
		return nil, err
	}
	if len(c.RootFS.DiffIDs) != len(layers) {
		return nil, fault.Invalid("invalid manifest, layers length mismatch: expected %d, got %d", len(layers), len(c.RootFS.DiffIDs))
	}
	chain := digest.Digest("")
	for i, name := range layers {
		if chain, err = a.stackLayer(ctx, chain, name, c.RootFS.DiffIDs[i]); err != nil {
			return nil, err
		}
	}
	return a.in.image(raw, "")
}

func (a *archive) tag(name, tag string, id digest.Digest) (string, error) {
	tagged, err := parseTagged(name, tag)
	if err != nil {
		return "", fmt.Errorf("name %q: %w", name, err)
	}
	a.in.tags[tagged.String()] = id
	return familiar(tagged.String()), nil
}

// lookup finds an image of this ingest or of the store.
func (in *ingest) lookup(id digest.Digest) *Image {
	for _, img := range in.images {
		if img.ID == id {
			return img
		}
	}
	in.s.mu.RLock()
	defer in.s.mu.RUnlock()
	return in.s.images[id]
}

// isParentOf says whether child can have been made from img: it has its layers
// and history, and at least one step more.
func (img *Image) isParentOf(child *Image) bool {
	n, m := len(img.RootFS.DiffIDs), len(img.History)
	if n > len(child.RootFS.DiffIDs) || m >= len(child.History) {
		return false
	}
	return slices.Equal(img.RootFS.DiffIDs, child.RootFS.DiffIDs[:n]) &&
		slices.EqualFunc(img.History, child.History[:m], func(a, b History) bool {
			return a.CreatedBy == b.CreatedBy && a.Comment == b.Comment && a.EmptyLayer == b.EmptyLayer && dateOf(a.Created).Equal(dateOf(b.Created))
		})
}
