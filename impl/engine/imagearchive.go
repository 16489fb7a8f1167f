package engine

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/stream"
)

// ImageGet serves GET /images/(name)/get.
func (e *Engine) ImageGet(ctx context.Context, p *hub.ImageGetParams, out stream.Output) error {
	return e.Images.Save(ctx, out, []string{p.Name})
}

// ImageGetAll serves GET /images/get.
func (e *Engine) ImageGetAll(ctx context.Context, p *hub.ImageGetAllParams, out stream.Output) error {
	return e.Images.Save(ctx, out, p.Names)
}

// ImageLoad serves POST /images/load. As the archive is read while the progress
// is told, an archive that proves bad late ends in an error line.
func (e *Engine) ImageLoad(ctx context.Context, p *hub.ImageLoadParams, out stream.Output) error {
	var progress image.ProgressFunc
	if !p.Quiet {
		progress = progressTo(out)
	}
	loaded, err := e.Images.Load(ctx, p.Body, progress)
	if err != nil {
		return err
	}
	for _, img := range loaded {
		if len(img.Refs) == 0 {
			if err := say(out, "Loaded image ID: %s\n", img.ID); err != nil {
				return err
			}
		}
		for _, ref := range img.Refs {
			if err := say(out, "Loaded image: %s\n", ref); err != nil {
				return err
			}
		}
	}
	return nil
}
