package image

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/fault"
)

// schema1Manifest is a manifest of registries before 2.3: layers and v1
// configurations, newest first.
type schema1Manifest struct {
	FSLayers []struct {
		BlobSum digest.Digest `json:"blobSum"`
	} `json:"fsLayers"`
	History []struct {
		V1Compatibility string `json:"v1Compatibility"`
	} `json:"history"`
}

// schema1 brings in an image of the old form. Its configuration is made of the
// newest v1 one as on load of an old archive, so the id is Docker's.
func (p *pull) schema1(ctx context.Context, raw []byte) (*Image, error) {
	var m schema1Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fault.Invalid("invalid manifest: %w", err)
	}
	if len(m.FSLayers) == 0 || len(m.FSLayers) != len(m.History) {
		return nil, fault.Invalid("invalid manifest: %d layers, %d histories", len(m.FSLayers), len(m.History))
	}
	rootfs := RootFS{Type: "layers"}
	var steps []History
	chain := digest.Digest("")
	known := map[digest.Digest]*unpacked{}
	for i := len(m.FSLayers) - 1; i >= 0; i-- {
		var v struct {
			v1Image
			Throwaway bool `json:"throwaway"`
		}
		if err := json.Unmarshal([]byte(m.History[i].V1Compatibility), &v); err != nil {
			return nil, fault.Invalid("invalid manifest history: %w", err)
		}
		steps = append(steps, History{
			Created: &v.Created, Author: v.Author, CreatedBy: strings.Join(v.ContainerConfig.Cmd, " "), Comment: v.Comment, EmptyLayer: v.Throwaway,
		})
		if v.Throwaway {
			continue
		}
		sum := m.FSLayers[i].BlobSum
		if err := sum.Validate(); err != nil {
			return nil, fault.Invalid("invalid manifest: layer with digest %q: %w", sum, err)
		}
		u := known[sum]
		if u == nil {
			p.progress(Progress{ID: short(sum.Encoded()), Status: "Pulling fs layer"})
			var err error
			if u, err = p.layerOfUnknownSize(ctx, sum); err != nil {
				return nil, err
			}
			known[sum] = u
		}
		rootfs.DiffIDs = append(rootfs.DiffIDs, u.res.DiffID)
		var err error
		if chain, err = p.in.stack(ctx, chain, u); err != nil {
			return nil, err
		}
		p.progress(Progress{ID: short(sum.Encoded()), Status: "Pull complete"})
	}
	newest := []byte(m.History[0].V1Compatibility)
	var v v1Image
	if err := json.Unmarshal(newest, &v); err != nil {
		return nil, fault.Invalid("invalid manifest history: %w", err)
	}
	config, err := configFromV1(newest, v, rootfs, steps)
	if err != nil {
		return nil, err
	}
	return p.in.image(config, "")
}

// layerOfUnknownSize asks for the size first: schema 1 does not tell it.
func (p *pull) layerOfUnknownSize(ctx context.Context, sum digest.Digest) (*unpacked, error) {
	size, err := p.from.Size(ctx, sum)
	if err != nil {
		return nil, err
	}
	return p.layer(ctx, ocispec.Descriptor{Digest: sum, Size: size})
}
