package engine

import (
	"context"
	"fmt"
	"maps"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/image"
)

// ImageTag serves POST /images/(name)/tag. A name that another image has moves.
// The parameter force means something before v1.22 only, see impl/changes.
func (e *Engine) ImageTag(ctx context.Context, p *hub.ImageTagParams) error {
	name, err := e.Images.Tag(ctx, p.Name, p.Repo, p.Tag)
	if err != nil {
		return err
	}
	img, err := e.Images.Get(name)
	if err != nil {
		return fmt.Errorf("tag an image: %w", err) // removed right away
	}
	e.imageEvent("tag", img.ID, name, labelsOf(img))
	return nil
}

// ImageDelete serves DELETE /images/(name).
func (e *Engine) ImageDelete(ctx context.Context, p *hub.ImageDeleteParams) ([]models.ImageDeleteItem, error) {
	var labels map[string]string
	if img, err := e.Images.Get(p.Name); err == nil {
		labels = labelsOf(img)
	}
	removed, err := e.Images.Remove(ctx, p.Name, image.RemoveOptions{Force: p.Force, NoPrune: p.Noprune}, e.imageUsers)
	list := make([]models.ImageDeleteItem, 0, len(removed))
	for _, r := range removed {
		list = append(list, models.ImageDeleteItem{Untagged: r.Untagged, Deleted: r.Deleted})
		if r.Image == "" {
			continue // a layer
		}
		if r.Image != removed[0].Image {
			labels = nil // a parent that was pruned
		}
		if r.Untagged != "" {
			e.imageEvent("untag", r.Image, r.Image.String(), labels)
		} else {
			e.imageEvent("delete", r.Image, r.Image.String(), nil)
		}
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// imageUsers lists the containers of an image.
func (e *Engine) imageUsers(id digest.Digest) []image.User {
	var users []image.User
	for _, c := range e.containers.List() {
		if r := c.Record(); r.Image == id {
			users = append(users, image.User{ID: r.ID, Running: r.State.Active()})
		}
	}
	return users
}

// imageEvent tells that something happened to an image. name is the reference
// that the action was about, or the id where there was none.
func (e *Engine) imageEvent(action string, id digest.Digest, name string, labels map[string]string) {
	attributes := maps.Clone(labels)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["name"] = name
	e.Events.Publish(events.Event{Type: events.Image, Action: action, ID: id.String(), Attributes: attributes})
}

func labelsOf(img *image.Image) map[string]string {
	if img.Config == nil {
		return nil
	}
	return img.Config.Labels
}
