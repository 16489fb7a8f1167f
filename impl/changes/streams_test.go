package changes_test

import (
	"context"
	"slices"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// library has two images and tells of one container, one image, a volume and
// a network.
type library struct {
	hub.Unimplemented
	tagged int
	quiet  bool
}

func (l *library) ImageInspect(_ context.Context, p *hub.ImageInspectParams) (*models.ImageInspect, error) {
	switch p.Name {
	case "a", "a:latest":
		return &models.ImageInspect{ID: "sha256:a", RepoTags: []string{"a:latest"}}, nil
	case "b", "b:latest", "host:5000/b:v1":
		return &models.ImageInspect{ID: "sha256:b", RepoTags: []string{"b:latest", "host:5000/b:v1"}}, nil
	}
	return nil, fault.NotFound("No such image: %s", p.Name)
}

func (l *library) ImageTag(context.Context, *hub.ImageTagParams) error {
	l.tagged++
	return nil
}

func (l *library) ImageLoad(_ context.Context, p *hub.ImageLoadParams, out stream.Output) error {
	l.quiet = p.Quiet
	return out.Encode(&models.JSONMessage{Stream: "Loaded image: a:latest\n"})
}

func (l *library) SystemEvents(_ context.Context, _ *hub.SystemEventsParams, out stream.Output) error {
	for _, e := range []*models.Event{
		{Type: "image", Status: "tag", Action: "tag", Actor: &models.EventActor{ID: "i"}},
		{Type: "volume", Action: "mount", Actor: &models.EventActor{ID: "v"}},
		{Type: "network", Action: "connect", Actor: &models.EventActor{ID: "n"}},
		{Type: "container", Status: "start", Action: "start", Actor: &models.EventActor{ID: "c"}},
		{Type: "container", Status: "die", Action: "die", Actor: &models.EventActor{
			ID: "c", Attributes: map[string]string{"exitCode": "7", "name": "web"},
		}},
	} {
		if err := out.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// Before 1.22 a name moves from one image to another with force only.
func TestForceOfTag(t *testing.T) {
	for _, c := range []struct {
		name     string
		p        hub.ImageTagParams
		conflict bool
	}{
		{"a new name", hub.ImageTagParams{Name: "a", Repo: "new", Tag: "v1"}, false},
		{"its own name", hub.ImageTagParams{Name: "a", Repo: "a"}, false},
		{"another's name", hub.ImageTagParams{Name: "a", Repo: "b"}, true},
		{"another's name with tag", hub.ImageTagParams{Name: "a", Repo: "b", Tag: "latest"}, true},
		{"another's name with host", hub.ImageTagParams{Name: "a", Repo: "host:5000/b", Tag: "v1"}, true},
		{"another's name by force", hub.ImageTagParams{Name: "a", Repo: "b", Force: true}, false},
		{"an image that is not there", hub.ImageTagParams{Name: "nope", Repo: "b"}, false},
	} {
		l := &library{}
		for version, api := range at(l) {
			l.tagged = 0
			p := c.p
			err := api.ImageTag(t.Context(), &p)
			want := c.conflict && version < "1.22"
			if errdefs.IsConflict(err) != want || (l.tagged == 0) != want {
				t.Errorf("%s at %s: %v, asked the engine %d times", c.name, version, err, l.tagged)
			}
		}
	}
}

func TestLoadIsSilent(t *testing.T) {
	l := &library{}
	for version, api := range at(l) {
		out := &sink{}
		if err := api.ImageLoad(t.Context(), &hub.ImageLoadParams{}, out); err != nil {
			t.Fatal(err)
		}
		if silent := len(out.values) == 0 && l.quiet; silent != (version < "1.23") {
			t.Errorf("%s: %v", version, out.values)
		}
	}
}

// Before 1.22 there are events of containers and images only, and only the end
// of a container carries a fact, its exit code.
func TestEvents(t *testing.T) {
	for version, api := range at(&library{}) {
		out := &sink{}
		if err := api.SystemEvents(t.Context(), &hub.SystemEventsParams{}, out); err != nil {
			t.Fatal(err)
		}
		var got, actors []string
		for _, v := range out.values {
			e := v.(*models.Event)
			got = append(got, e.Action)
			if e.Actor != nil {
				actors = append(actors, e.Action)
			}
			if e.Action == "die" && (e.Actor.Attributes["exitCode"] != "7" || (e.Actor.Attributes["name"] == "web") != (version >= "1.22")) {
				t.Errorf("%s: die of %v", version, e.Actor)
			}
		}
		want, wantActors := []string{"tag", "mount", "connect", "start", "die"}, []string{"tag", "mount", "connect", "start", "die"}
		if version < "1.22" {
			want, wantActors = []string{"tag", "start", "die"}, []string{"die"}
		}
		if !slices.Equal(got, want) || !slices.Equal(actors, wantActors) {
			t.Errorf("%s: events %v, with an actor %v", version, got, actors)
		}
	}
}
