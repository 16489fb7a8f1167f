package engine

import (
	"context"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/filter"
	"github.com/seed-50ced230/berth/impl/image"
)

// ImageList serves GET /images/json.
func (e *Engine) ImageList(_ context.Context, p *hub.ImageListParams) ([]models.ImageSummary, error) {
	conditions, err := filter.Parse(p.Filters)
	if err != nil {
		return nil, err
	}
	if err := conditions.Only("dangling", "label", "before", "since"); err != nil {
		return nil, err
	}
	selection := image.Filter{All: p.All, Name: p.Filter, Labels: conditions["label"]}
	if selection.Dangling, err = conditions.Boolean("dangling"); err != nil {
		return nil, err
	}
	if selection.Before, err = e.imageIn(conditions, "before"); err != nil {
		return nil, err
	}
	if selection.Since, err = e.imageIn(conditions, "since"); err != nil {
		return nil, err
	}
	images, err := e.Images.List(selection)
	if err != nil {
		return nil, err
	}
	list := make([]models.ImageSummary, 0, len(images))
	for _, img := range images {
		list = append(list, imageSummary(img))
	}
	return list, nil
}

// imageIn gives the one image that a condition names.
func (e *Engine) imageIn(c filter.Conditions, key string) (digest.Digest, error) {
	switch refs := c[key]; len(refs) {
	case 0:
		return "", nil
	case 1:
		img, err := e.Images.Get(refs[0])
		if err != nil {
			return "", err
		}
		return img.ID, nil
	default:
		return "", fault.Invalid("Invalid filter '%s': one image is possible, not %d", key, len(refs))
	}
}

func imageSummary(img *image.Image) models.ImageSummary {
	m := models.ImageSummary{
		ID:          img.ID.String(),
		ParentID:    img.Parent.String(),
		RepoTags:    img.Tags,
		RepoDigests: img.RepoDigests,
		Size:        img.Size,
		VirtualSize: img.VirtualSize,
	}
	if len(m.RepoTags) == 0 && len(m.RepoDigests) == 0 {
		// Clients print one line per entry, so that an image without any
		// would not be seen.
		m.RepoTags = []string{"<none>:<none>"}
		m.RepoDigests = []string{"<none>@<none>"}
	}
	if img.Created != nil {
		m.Created = img.Created.Unix()
	}
	if img.Config != nil {
		m.Labels = img.Config.Labels
	}
	return m
}

// ImageInspect serves GET /images/(name)/json.
func (e *Engine) ImageInspect(_ context.Context, p *hub.ImageInspectParams) (*models.ImageInspect, error) {
	img, err := e.Images.Lookup(p.Name)
	if err != nil {
		return nil, err
	}
	m := &models.ImageInspect{
		ID:              img.ID.String(),
		Parent:          img.Parent.String(),
		Comment:         img.Comment,
		Created:         "0001-01-01T00:00:00Z",
		Container:       img.Container,
		ContainerConfig: configModel(img.ContainerConfig),
		DockerVersion:   img.DockerVersion,
		Author:          img.Author,
		Config:          configModel(img.Config),
		Architecture:    img.Architecture,
		Os:              img.OS,
		Size:            img.Size,
		VirtualSize:     img.VirtualSize,
		RepoTags:        append([]string{}, img.Tags...),
		RepoDigests:     append([]string{}, img.RepoDigests...),
		GraphDriver:     &models.GraphDriverData{Name: driverName},
		RootFS:          models.RootFS{Type: "layers"},
	}
	if img.Created != nil {
		m.Created = stamp(*img.Created)
	}
	if n := len(img.History); m.Comment == "" && n > 0 {
		m.Comment = img.History[n-1].Comment
	}
	if img.RootFS != nil {
		for _, id := range img.RootFS.DiffIDs {
			m.RootFS.Layers = append(m.RootFS.Layers, id.String())
		}
	}
	return m, nil
}

// ImageHistory serves GET /images/(name)/history.
func (e *Engine) ImageHistory(_ context.Context, p *hub.ImageHistoryParams) ([]models.ImageHistoryItem, error) {
	steps, err := e.Images.History(p.Name)
	if err != nil {
		return nil, err
	}
	list := make([]models.ImageHistoryItem, 0, len(steps))
	for _, s := range steps {
		item := models.ImageHistoryItem{ID: s.ID, CreatedBy: s.CreatedBy, Tags: s.Tags, Size: s.Size, Comment: s.Comment}
		if !s.Created.IsZero() {
			item.Created = s.Created.Unix()
		}
		list = append(list, item)
	}
	return list, nil
}
