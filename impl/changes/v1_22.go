package changes

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// execDriver is the name under which containers showed the engine's way of
// running them, while there was a choice of two.
const execDriver = "native-0.2"

// leastKernelMemory is the limit of kernel memory, in bytes, below which
// version 1.22 refuses a container.
const leastKernelMemory = 4 << 20

// Before1_22 gives the API as it was before version 1.22: events of containers and
// images only, the build time in the form of date(1), pulls and pushes that
// survive their client, names that move to another image by force only,
// containers with an execution driver, exec instances that show their whole
// container, networks chosen by their whole name, and no least kernel memory.
func Before1_22(next hub.API) hub.API { return before1_22{next} }

type before1_22 struct{ hub.API }

func (b before1_22) SystemEvents(ctx context.Context, p *hub.SystemEventsParams, out stream.Output) error {
	return b.API.SystemEvents(ctx, p, &rewriter{Output: out, rewrite: legacyEvent})
}

// legacyEvent leaves out what has no legacy form: events of volumes and
// networks have neither status nor id. What an event is about is told by the
// end of a container only, and only with its exit code: the docker command,
// also today's, has no other way to learn how what it ran ended.
func legacyEvent(v any) (any, bool) {
	e, ok := v.(*models.Event)
	if !ok {
		return v, true
	}
	if e.Type != "" && e.Type != "container" && e.Type != "image" {
		return nil, false
	}
	old := *e
	old.Actor = nil
	if e.Actor != nil && e.Status == "die" {
		old.Actor = &models.EventActor{
			ID:         e.Actor.ID,
			Attributes: map[string]string{"exitCode": e.Actor.Attributes["exitCode"]},
		}
	}
	return &old, true
}

// NetworkList takes a whole name where 1.22 takes a part of it, and knows no
// condition on the type.
func (b before1_22) NetworkList(ctx context.Context, p *hub.NetworkListParams) ([]models.Network, error) {
	filters, names := withoutCondition(p.Filters, "type"), conditionValues(p.Filters, "name")
	list, err := b.API.NetworkList(ctx, &hub.NetworkListParams{Filters: filters})
	if err != nil || len(names) == 0 {
		return list, err
	}
	return slices.DeleteFunc(list, func(n models.Network) bool { return !slices.Contains(names, n.Name) }), nil
}

func (b before1_22) SystemVersion(ctx context.Context, p *hub.SystemVersionParams) (*models.Version, error) {
	m, err := b.API.SystemVersion(ctx, p)
	if err != nil {
		return nil, err
	}
	built, err := time.Parse(time.RFC3339Nano, m.BuildTime)
	if err != nil {
		return m, nil // unknown, and then empty: there is nothing to rewrite
	}
	old := *m
	old.BuildTime = built.UTC().Format(time.UnixDate)
	return &old, nil
}

func (b before1_22) ImageCreate(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) error {
	if p.FromImage == "" {
		return b.API.ImageCreate(ctx, p, out) // an import ends with its input
	}
	return b.API.ImageCreate(context.WithoutCancel(ctx), p, &survivor{Output: out})
}

// ImageTag refuses a name that another image has, unless force is given. Newer
// clients do not know the parameter, so that names move freely from 1.22 on.
func (b before1_22) ImageTag(ctx context.Context, p *hub.ImageTagParams) error {
	if !p.Force {
		name := p.Repo
		if p.Tag != "" {
			name += ":" + p.Tag
		}
		owner, err := b.API.ImageInspect(ctx, &hub.ImageInspectParams{Name: name})
		if err == nil {
			image, err := b.API.ImageInspect(ctx, &hub.ImageInspectParams{Name: p.Name})
			if err == nil && image.ID != owner.ID && slices.Contains(owner.RepoTags, tagged(name)) {
				return fault.Conflict("Conflict: Tag %s is already set to image %s, if you want to replace it, please use -f option", tagged(name), owner.ID)
			}
		}
		// Names that cannot be, and images that are not there, are the engine's matter.
	}
	return b.API.ImageTag(ctx, p)
}

// tagged is a name with the tag that it has without one.
func tagged(name string) string {
	if strings.LastIndexByte(name, ':') > strings.LastIndexByte(name, '/') {
		return name
	}
	return name + ":latest"
}

func (b before1_22) ImagePush(ctx context.Context, p *hub.ImagePushParams, out stream.Output) error {
	return b.API.ImagePush(context.WithoutCancel(ctx), p, &rewriter{Output: &survivor{Output: out}, rewrite: withoutResult})
}

// withoutResult leaves out the lines of a push that hold its result and nothing
// to print.
func withoutResult(v any) (any, bool) {
	m, ok := v.(*models.JSONMessage)
	return v, !ok || m.Aux == nil
}

func (b before1_22) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	if h := p.Body.HostConfig; h != nil && h.KernelMemory > 0 && h.KernelMemory < leastKernelMemory {
		h.KernelMemory = leastKernelMemory
	}
	return b.API.ContainerCreate(ctx, p)
}

func (b before1_22) ContainerInspect(ctx context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	m, err := b.API.ContainerInspect(ctx, p)
	if err != nil {
		return nil, err
	}
	old := *m
	old.ExecDriver = execDriver
	return &old, nil
}

func (b before1_22) ExecInspect(ctx context.Context, p *hub.ExecInspectParams) (*models.ExecInspect, error) {
	m, err := b.API.ExecInspect(ctx, p)
	if err != nil {
		return nil, err
	}
	c, err := b.ContainerInspect(ctx, &hub.ContainerInspectParams{Name: m.ContainerID})
	if err != nil {
		return nil, err
	}
	old := *m
	old.Container = &models.ExecContainer{
		State:           c.State,
		ID:              c.ID,
		Created:         c.Created,
		Path:            c.Path,
		Args:            c.Args,
		Config:          c.Config,
		Image:           c.Image,
		NetworkSettings: c.NetworkSettings,
		ResolvConfPath:  c.ResolvConfPath,
		HostnamePath:    c.HostnamePath,
		HostsPath:       c.HostsPath,
		LogPath:         c.LogPath,
		Name:            c.Name,
		Driver:          c.Driver,
		ExecDriver:      c.ExecDriver,
		MountLabel:      c.MountLabel,
		ProcessLabel:    c.ProcessLabel,
		AppArmorProfile: c.AppArmorProfile,
		RestartCount:    c.RestartCount,
		Mounts:          c.Mounts,
	}
	return &old, nil
}
