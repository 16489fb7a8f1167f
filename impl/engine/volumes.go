package engine

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/filter"
	"github.com/seed-50ced230/berth/impl/volume"
)

// VolumeList serves GET /volumes.
func (e *Engine) VolumeList(ctx context.Context, p *hub.VolumeListParams) (*models.VolumeList, error) {
	conditions, err := filter.Parse(p.Filters)
	if err != nil {
		return nil, err
	}
	if err := conditions.Only("dangling", "name", "driver"); err != nil {
		return nil, err
	}
	dangling, err := conditions.Boolean("dangling")
	if err != nil {
		return nil, err
	}
	volumes, warnings := e.Volumes.List(ctx)
	m := &models.VolumeList{Warnings: warnings}
	for _, v := range volumes {
		if dangling != nil && *dangling != (len(v.Users) == 0) ||
			!conditions.MatchPart("name", v.Name) || !conditions.Match("driver", v.Driver) {
			continue
		}
		m.Volumes = append(m.Volumes, volumeModel(v))
	}
	return m, nil
}

func volumeModel(v volume.Volume) models.Volume {
	return models.Volume{Name: v.Name, Driver: v.Driver, Mountpoint: v.Mountpoint, Labels: v.Labels}
}

// VolumeCreate serves POST /volumes/create. A volume that is there already, just
// as asked for, is given.
func (e *Engine) VolumeCreate(ctx context.Context, p *hub.VolumeCreateParams) (*models.Volume, error) {
	v, created, err := e.Volumes.Create(ctx, volume.Spec{
		Name: p.Body.Name, Driver: p.Body.Driver, Options: p.Body.DriverOpts, Labels: p.Body.Labels,
	})
	if err != nil {
		return nil, err
	}
	if created {
		e.volumeEvent(v.Name, "create", map[string]string{"driver": v.Driver})
	}
	m := volumeModel(v)
	return &m, nil
}

// VolumeInspect serves GET /volumes/(name).
func (e *Engine) VolumeInspect(ctx context.Context, p *hub.VolumeInspectParams) (*models.Volume, error) {
	v, err := e.Volumes.Inspect(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	m := volumeModel(v)
	if m.Labels == nil {
		m.Labels = map[string]string{} // only the list shows null
	}
	return &m, nil
}

// VolumeDelete serves DELETE /volumes/(name).
func (e *Engine) VolumeDelete(ctx context.Context, p *hub.VolumeDeleteParams) error {
	v, err := e.Volumes.Inspect(ctx, p.Name)
	if err != nil {
		return err
	}
	if err := e.Volumes.Remove(ctx, p.Name, e.nameOrID); err != nil {
		return err
	}
	e.volumeEvent(v.Name, "destroy", map[string]string{"driver": v.Driver})
	return nil
}

// nameOrID names a container in a message.
func (e *Engine) nameOrID(id string) string {
	if name := e.ContainerName(id); name != "" {
		return name
	}
	return id
}
