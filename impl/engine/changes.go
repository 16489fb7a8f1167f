package engine

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/stream"
)

// ContainerChanges serves GET /containers/(id or name)/changes.
func (e *Engine) ContainerChanges(ctx context.Context, p *hub.ContainerChangesParams) ([]models.ContainerChange, error) {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return nil, err
	}
	if err := checkAlive(c.Record(), "compared with its image"); err != nil {
		return nil, err
	}
	changes, err := e.Images.Changes(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	var list []models.ContainerChange
	for _, change := range changes {
		list = append(list, models.ContainerChange{Path: change.Path, Kind: int64(change.Kind)})
	}
	return list, nil
}

// ContainerExport serves GET /containers/(id or name)/export: the container's
// tree as a tar, volumes left out.
func (e *Engine) ContainerExport(ctx context.Context, p *hub.ContainerExportParams, out stream.Output) error {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return err
	}
	if err := checkAlive(c.Record(), "exported"); err != nil {
		return err
	}
	if err := e.Images.Export(ctx, c.ID, out); err != nil {
		return err
	}
	e.publish(c.Record(), "export", nil)
	return nil
}
