package api_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/spec"
)

// labelled is an engine in which every object is there and has the same labels. It
// implements nothing else: what reaches it is 501.
type labelled struct {
	hub.Unimplemented
	labels map[string]string
}

func (e labelled) ContainerInspect(context.Context, *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	return &models.ContainerInspect{ID: "0123", Config: &models.ContainerConfig{Labels: e.labels}}, nil
}

func (e labelled) ExecInspect(context.Context, *hub.ExecInspectParams) (*models.ExecInspect, error) {
	return &models.ExecInspect{ContainerID: "0123"}, nil
}

func (e labelled) NetworkInspect(context.Context, *hub.NetworkInspectParams) (*models.Network, error) {
	return &models.Network{ID: "0123", Labels: e.labels}, nil
}

func (e labelled) VolumeInspect(context.Context, *hub.VolumeInspectParams) (*models.Volume, error) {
	return &models.Volume{Labels: e.labels}, nil
}

// everything is what a grant allows all of.
var everything = []string{"Containers", "Images", "Networks", "Volumes", "Misc"}

// TestLimitedDoorOfEveryOperation calls every operation at every version on objects of
// others. What is about an object is refused, and what reaches the engine is known.
func TestLimitedDoorOfEveryOperation(t *testing.T) {
	d := serveThrough(t, labelled{labels: map[string]string{"a": "other"}}, api.Options{}, granted(t, []string{"a=b"}, everything...))
	of, _ := documented(t)
	reached := map[string]bool{}
	for _, version := range spec.Versions() {
		for c, op := range of[version] {
			response, text := d.send(t, op.request(t, c.method, "/v"+version+c.path))
			switch response.StatusCode {
			case http.StatusNotImplemented:
				reached[op.ID] = true
			case http.StatusNotFound, http.StatusForbidden:
			default:
				t.Errorf("%s at %s: %d %q", op.ID, version, response.StatusCode, text)
			}
		}
	}
	// Of images there is no owner, and lists leave out what is of others.
	common := []string{
		"ContainerCreate", "ContainerList", "ImageBuild", "ImageCreate", "ImageDelete", "ImageGet", "ImageGetAll", "ImageHistory", "ImageInspect",
		"ImageList", "ImageLoad", "ImagePush", "ImageSearch", "ImageTag", "NetworkCreate", "NetworkList", "SystemAuth", "SystemEvents", "SystemInfo",
		"SystemPing", "SystemVersion", "VolumeCreate", "VolumeList",
	}
	if got := slices.Sorted(maps.Keys(reached)); !slices.Equal(got, common) {
		t.Errorf("reached: %v, wanted %v", got, common)
	}
}

// TestLimitedDoorOfAnyBody sends every operation bodies that lack what it is about.
func TestLimitedDoorOfAnyBody(t *testing.T) {
	d := serveThrough(t, labelled{labels: map[string]string{"a": "b"}}, api.Options{}, granted(t, []string{"a=b"}, everything...))
	of, _ := documented(t)
	for _, body := range []string{"", "null", "{}", "[]", `{"HostConfig":null,"NetworkingConfig":null,"EndpointConfig":null,"IPAM":null,"Labels":null}`, `{"NetworkingConfig":{}}`} {
		for _, version := range spec.Versions() {
			for c, op := range of[version] {
				r := op.request(t, c.method, "/v"+version+c.path)
				r, err := http.NewRequestWithContext(t.Context(), c.method, r.URL.String(), strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/json")
				if response, text := d.send(t, r); response.StatusCode == http.StatusInternalServerError {
					t.Errorf("%s at %s with %q: %s", op.ID, version, body, text)
				}
			}
		}
	}
	if strings.Contains(d.log.String(), "panic") {
		t.Error(d.log)
	}
}
