package engine

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/image"
)

// ImageCommit serves POST /commit. What the body leaves out of the image's
// configuration comes from the container's.
func (e *Engine) ImageCommit(ctx context.Context, p *hub.ImageCommitParams) (*models.CommitResponse, error) {
	ref, err := importName(p.Repo, p.Tag)
	if err != nil {
		return nil, err
	}
	c, err := e.containers.Get(p.Container)
	if err != nil {
		return nil, err
	}
	r := c.Record()
	if err := checkAlive(r, "committed"); err != nil {
		return nil, err
	}
	config := &models.ContainerConfig{}
	if p.Body != nil {
		config = configOf(&models.ContainerCreateRequest{ContainerConfig: *p.Body})
	}
	before := imageConfig(r.Config)
	mergeImage(config, before)
	if p.Pause && r.State.Status == container.Running {
		if err := e.ContainerPause(ctx, &hub.ContainerPauseParams{Name: c.ID}); err != nil {
			return nil, err
		}
		defer e.resumeAfterCommit(context.WithoutCancel(ctx), c)
	}
	img, err := e.Images.Commit(ctx, c.ID, image.CommitOptions{
		Ref:             ref,
		Author:          p.Author,
		Comment:         p.Comment,
		Container:       c.ID,
		ContainerConfig: before,
		Config:          imageConfig(config),
		Changes:         p.Changes,
		DockerVersion:   e.Version,
	})
	if err != nil {
		return nil, err
	}
	if ref != "" {
		e.imageEvent("tag", img.ID, ref, labelsOf(img))
	}
	e.publish(r, "commit", map[string]string{"comment": p.Comment})
	return &models.CommitResponse{ID: img.ID.String()}, nil
}

// resumeAfterCommit ends the pause that a commit made, if nobody else has ended
// it or the container meanwhile.
func (e *Engine) resumeAfterCommit(ctx context.Context, c *container.Container) {
	if c.Record().State.Status != container.Paused {
		return
	}
	if err := e.ContainerUnpause(ctx, &hub.ContainerUnpauseParams{Name: c.ID}); err != nil {
		if c.Record().State.Status == container.Paused {
			e.Logger.Error("a container stays paused after a commit", "container", c.ID, "error", err)
		}
	}
}
