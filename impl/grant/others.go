package grant

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/filter"
	"github.com/seed-50ced230/berth/impl/stream"
)

// narrow adds the grant's labels to the conditions of a list of containers, all of
// which must hold (filter.Conditions.MatchLabels), and has other containers that
// conditions name be within reach. What cannot be read is refused here as the engine
// would refuse it.
func (l *limited) narrow(ctx context.Context, filters string) (string, error) {
	conditions, err := filter.Parse(filters)
	if err != nil {
		return "", err
	}
	for _, key := range []string{"before", "since"} {
		for i := range conditions[key] {
			if err := l.within(ctx, &conditions[key][i]); err != nil {
				return "", err
			}
		}
	}
	for name, value := range l.labels {
		conditions["label"] = append(conditions["label"], name+"="+value)
	}
	text, err := json.Marshal(conditions)
	return string(text), err
}

// network gives the id of a network within reach. Any other is not found.
func (l *limited) network(ctx context.Context, name string) (string, error) {
	m, err := l.engine.NetworkInspect(ctx, &hub.NetworkInspectParams{ID: name})
	if err != nil {
		return "", err
	}
	if !l.covers(m.Labels) {
		return "", &Refusal{fault.NotFound("network %s not found", name)}
	}
	return m.ID, nil
}

// NetworkConnect takes the default networks by name: they share nothing that a
// new container would not have as well.
func (l *limited) NetworkConnect(ctx context.Context, p *hub.NetworkConnectParams) error {
	if err := l.within(ctx, &p.Body.Container); err != nil {
		return err
	}
	if p.ID != "bridge" {
		id, err := l.network(ctx, p.ID)
		if err != nil {
			return err
		}
		p.ID = id
	}
	if p.Body.EndpointConfig != nil {
		if _, err := l.checkLinks(ctx, p.Body.EndpointConfig.Links); err != nil {
			return err
		}
	}
	return l.engine.NetworkConnect(ctx, p)
}

// allowedOptions are those of the bridge driver that concern the new network alone.
var allowedOptions = []string{
	"com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.driver.mtu",
}

func (l *limited) NetworkCreate(ctx context.Context, p *hub.NetworkCreateParams) (m *models.NetworkCreateResponse, err error) {
	if p.Body.Driver != "" && p.Body.Driver != "bridge" {
		return nil, l.refuse("the network driver %s is not allowed", p.Body.Driver)
	}
	for option := range p.Body.Options {
		if !slices.Contains(allowedOptions, option) {
			return nil, l.refuse("the network option %s is not allowed", option)
		}
	}
	// A subnet is a route of the host's: with one of the client's choice the host
	// itself would send to a container what is meant for others.
	if i := p.Body.IPAM; i.Driver != "" && i.Driver != "default" || len(i.Options) > 0 || slices.ContainsFunc(i.Config, chosen) {
		return nil, l.refuse("this IPAM is not allowed: the engine chooses the addresses")
	}
	if p.Body.Labels, err = l.mark(p.Body.Labels); err != nil {
		return nil, err
	}
	return l.engine.NetworkCreate(ctx, p)
}

// chosen says whether a pool has anything of the client's choice; the documents'
// own examples send an empty one.
func chosen(c models.IPAMConfig) bool {
	return c.Subnet != "" || c.IPRange != "" || c.Gateway != "" || len(c.AuxAddress) > 0 || len(c.AuxiliaryAddresses) > 0
}

func (l *limited) NetworkDelete(ctx context.Context, p *hub.NetworkDeleteParams) (err error) {
	if p.ID, err = l.network(ctx, p.ID); err != nil {
		return err
	}
	return l.engine.NetworkDelete(ctx, p)
}

func (l *limited) NetworkDisconnect(ctx context.Context, p *hub.NetworkDisconnectParams) (err error) {
	if err := l.within(ctx, &p.Body.Container); err != nil {
		return err
	}
	if p.ID != "bridge" {
		if p.ID, err = l.network(ctx, p.ID); err != nil {
			return err
		}
	}
	return l.engine.NetworkDisconnect(ctx, p)
}

func (l *limited) NetworkInspect(ctx context.Context, p *hub.NetworkInspectParams) (m *models.Network, err error) {
	if p.ID, err = l.network(ctx, p.ID); err != nil {
		return nil, err
	}
	return l.engine.NetworkInspect(ctx, p)
}

func (l *limited) NetworkList(ctx context.Context, p *hub.NetworkListParams) ([]models.Network, error) {
	all, err := l.engine.NetworkList(ctx, p)
	if err != nil {
		return nil, err
	}
	covered := make([]models.Network, 0, len(all))
	for _, n := range all {
		if l.covers(n.Labels) {
			covered = append(covered, n)
		}
	}
	return covered, nil
}

// volume says whether a volume is within reach. Any other is not found.
func (l *limited) volume(ctx context.Context, name string) (*models.Volume, error) {
	m, err := l.engine.VolumeInspect(ctx, &hub.VolumeInspectParams{Name: name})
	if err != nil {
		return nil, err
	}
	if !l.covers(m.Labels) {
		return nil, &Refusal{fault.NotFound("get %s: no such volume", name)}
	}
	return m, nil
}

// VolumeCreate takes no options: those of the local driver mount what the host has.
func (l *limited) VolumeCreate(ctx context.Context, p *hub.VolumeCreateParams) (m *models.Volume, err error) {
	if p.Body.Driver != "" && p.Body.Driver != "local" {
		return nil, l.refuse("the volume driver %s is not allowed", p.Body.Driver)
	}
	if len(p.Body.DriverOpts) > 0 {
		return nil, l.refuse("DriverOpts are not allowed")
	}
	if p.Body.Labels, err = l.mark(p.Body.Labels); err != nil {
		return nil, err
	}
	return l.engine.VolumeCreate(ctx, p)
}

func (l *limited) VolumeDelete(ctx context.Context, p *hub.VolumeDeleteParams) error {
	if _, err := l.volume(ctx, p.Name); err != nil {
		return err
	}
	return l.engine.VolumeDelete(ctx, p)
}

func (l *limited) VolumeInspect(ctx context.Context, p *hub.VolumeInspectParams) (*models.Volume, error) {
	return l.volume(ctx, p.Name)
}

// VolumeList leaves the plugins' warnings out: they tell of other volumes.
func (l *limited) VolumeList(ctx context.Context, p *hub.VolumeListParams) (*models.VolumeList, error) {
	all, err := l.engine.VolumeList(ctx, p)
	if err != nil {
		return nil, err
	}
	covered := &models.VolumeList{}
	for _, v := range all.Volumes {
		if l.covers(v.Labels) {
			covered.Volumes = append(covered.Volumes, v)
		}
	}
	return covered, nil
}

// SystemEvents tells of containers within reach, of networks and volumes as far as
// such a container comes or goes there, and of images.
func (l *limited) SystemEvents(ctx context.Context, p *hub.SystemEventsParams, out stream.Output) error {
	return l.engine.SystemEvents(ctx, p, &events{Output: out, limited: l, ctx: ctx, own: map[string]bool{}})
}

// events are an output that lets pass what a grant covers.
type events struct {
	stream.Output
	*limited
	ctx context.Context
	own map[string]bool // ids of containers that events told of
}

// Encode sends an event, if it may pass.
func (e *events) Encode(v any) error {
	m, ok := v.(*models.Event)
	if !ok || !e.passes(m) {
		return nil
	}
	return e.Output.Encode(v)
}

func (e *events) passes(m *models.Event) bool {
	if m.Actor == nil {
		return false
	}
	switch m.Type {
	case "image":
		return true
	case "container":
		if !e.covers(m.Actor.Attributes) {
			return false
		}
		e.own[m.Actor.ID] = true
		return true
	}
	id := m.Actor.Attributes["container"]
	if id == "" {
		return false
	}
	if !e.own[id] {
		_, err := e.container(e.ctx, id)
		e.own[id] = err == nil
	}
	return e.own[id]
}
