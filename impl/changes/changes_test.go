package changes_test

import (
	"context"
	"net/http"
	"reflect"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/changes"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// engine answers as version 1.23 and remembers what it was asked.
type engine struct {
	hub.Unimplemented
	inspect *models.ContainerInspect
	network *models.NetworkCreateRequest
	shares  int64
}

func (e *engine) ContainerInspect(context.Context, *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	return e.inspect, nil
}

func (e *engine) ExecInspect(context.Context, *hub.ExecInspectParams) (*models.ExecInspect, error) {
	return &models.ExecInspect{ID: "e", ContainerID: "c"}, nil
}

func (e *engine) ExecStart(context.Context, *hub.ExecStartParams, http.ResponseWriter, *http.Request) error {
	return fault.Conflict("Container c is paused, unpause the container before exec")
}

func (e *engine) NetworkCreate(_ context.Context, p *hub.NetworkCreateParams) (*models.NetworkCreateResponse, error) {
	e.network = p.Body
	return &models.NetworkCreateResponse{}, nil
}

func (e *engine) ContainerStart(_ context.Context, p *hub.ContainerStartParams) error {
	e.shares = p.Body.CPUShares
	return nil
}

func (e *engine) ContainerStats(_ context.Context, _ *hub.ContainerStatsParams, out stream.Output) error {
	return out.Encode(&models.Stats{Networks: map[string]models.StatsNetwork{
		"eth0": {RxBytes: 1, TxBytes: 2, RxDropped: 3}, "eth1": {RxBytes: 10, TxBytes: 20, RxDropped: 30},
	}})
}

// at stacks the changes as the generated table of versions does.
func at(e hub.API) map[string]hub.API {
	v22 := changes.Before1_23(e)
	v21 := changes.Before1_22(v22)
	v20 := changes.Before1_21(v21)
	v19 := changes.Before1_20(v20)
	return map[string]hub.API{"1.23": e, "1.22": v22, "1.21": v21, "1.20": v20, "1.19": v19, "1.18": changes.Before1_19(v19)}
}

// sink takes encoded values.
type sink struct {
	stream.Output
	values []any
}

func (s *sink) Encode(v any) error {
	s.values = append(s.values, v)
	return nil
}

// TestAnswersAreNotChanged: the engine's answer may be shared with requests of
// other versions.
func TestAnswersAreNotChanged(t *testing.T) {
	fresh := func() *models.ContainerInspect {
		return &models.ContainerInspect{
			ID: "c", Config: &models.ContainerConfig{}, HostConfig: &models.HostConfig{Memory: 1, VolumeDriver: "d"},
			Mounts: []models.MountPoint{{Source: "/s", Destination: "/d", RW: true}},
		}
	}
	e := &engine{inspect: fresh()}
	for version, api := range at(e) {
		if _, err := api.ContainerInspect(t.Context(), &hub.ContainerInspectParams{}); err != nil {
			t.Fatal(err)
		}
		if _, err := api.ExecInspect(t.Context(), &hub.ExecInspectParams{}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(e.inspect, fresh()) {
			t.Fatalf("version %s changed the engine's own answer: %+v", version, e.inspect)
		}
	}
}

func TestExecInspectShowsContainer(t *testing.T) {
	e := &engine{inspect: &models.ContainerInspect{ID: "c", Mounts: []models.MountPoint{{Source: "/s", Destination: "/d"}}}}
	for version, api := range at(e) {
		m, err := api.ExecInspect(t.Context(), &hub.ExecInspectParams{})
		if err != nil {
			t.Fatal(err)
		}
		if shows := m.Container != nil; shows != (version < "1.22") {
			t.Errorf("%s: shows its container: %t", version, shows)
		}
		if m.Container != nil && (m.Container.Volumes["/d"] == "/s") != (version < "1.20") {
			t.Errorf("%s: volumes %v", version, m.Container.Volumes)
		}
	}
}

func TestStats(t *testing.T) {
	want := models.StatsNetwork{RxBytes: 11, TxBytes: 22, RxDropped: 33}
	for version, api := range at(&engine{}) {
		out := &sink{}
		if err := api.ContainerStats(t.Context(), &hub.ContainerStatsParams{}, out); err != nil {
			t.Fatal(err)
		}
		if got := out.values[0].(*models.Stats).Network; (got == want) != (version < "1.21") {
			t.Errorf("%s: %+v", version, got)
		}
	}
}

func TestRequests(t *testing.T) {
	e := &engine{}
	for version, api := range at(e) {
		err := api.ExecStart(t.Context(), &hub.ExecStartParams{}, nil, nil)
		if errdefs.IsInvalidArgument(err) != (version < "1.21") || err.Error() != "Container c is paused, unpause the container before exec" {
			t.Errorf("%s: exec in a paused container: %v", version, err)
		}
		body := &models.NetworkCreateRequest{Options: map[string]string{"com.docker.network.enable_ipv6": "true"}}
		if _, err := api.NetworkCreate(t.Context(), &hub.NetworkCreateParams{Body: body}); err != nil {
			t.Fatal(err)
		}
		if e.network.EnableIPv6 != (version < "1.23") {
			t.Errorf("%s: IPv6: %t", version, e.network.EnableIPv6)
		}
		for given, old := range map[int64]int64{0: 0, 1: 2, 512: 512, 1 << 20: 1 << 18} {
			want := given
			if version < "1.19" {
				want = old
			}
			if err := api.ContainerStart(t.Context(), &hub.ContainerStartParams{Body: &models.HostConfig{CPUShares: given}}); err != nil || e.shares != want {
				t.Errorf("%s: %d CPU shares are %d, wanted %d (%v)", version, given, e.shares, want, err)
			}
		}
	}
}
