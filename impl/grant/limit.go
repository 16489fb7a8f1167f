package grant

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/stream"
)

// Limit gives the engine as the grant's clients see it: without labels the
// engine itself, else one in which
//
//   - only containers, networks and volumes with the labels exist, and no events
//     of others;
//   - what is created gets the labels;
//   - nothing that is created reaches beyond its container: no host paths, devices,
//     namespaces, capabilities or log drivers of the host, and no volume, network
//     or container without the labels;
//   - images are common to all, as they are to all containers.
//
// Names are checked by the id behind them, and the engine is given the id, so
// that renaming something in between leads nowhere.
func (g *Grant) Limit(engine hub.API) hub.API {
	if len(g.labels) == 0 {
		return engine
	}
	return &limited{g, engine}
}

// limited is an engine behind a grant. It embeds no interface: an operation
// that is new must be thought about, or nothing compiles.
type limited struct {
	*Grant
	engine hub.API
}

var _ hub.API = (*limited)(nil)

// container gives the id of a container within reach. Any other is not found,
// in the engine's words.
func (l *limited) container(ctx context.Context, name string) (id string, err error) {
	m, err := l.engine.ContainerInspect(ctx, &hub.ContainerInspectParams{Name: name})
	if errdefs.IsInvalidArgument(err) {
		return l.beginning(ctx, name, err)
	}
	if err != nil {
		return "", err
	}
	if m.Config == nil || !l.covers(m.Config.Labels) {
		return "", &Refusal{fault.NotFound("No such container: %s", name)}
	}
	return m.ID, nil
}

// beginning gives the id of the one container within reach that begins with
// what is ambiguous to the engine. That there are others is not told.
func (l *limited) beginning(ctx context.Context, name string, ambiguous error) (string, error) {
	own, err := l.engine.ContainerList(ctx, &hub.ContainerListParams{All: true})
	if err != nil {
		return "", err
	}
	var found []string
	for _, c := range own {
		if l.covers(c.Labels) && strings.HasPrefix(c.ID, name) {
			found = append(found, c.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", &Refusal{fault.NotFound("No such container: %s", name)}
	case 1:
		return found[0], nil
	}
	return "", ambiguous
}

// within replaces a container's name by its id if it is within reach.
func (l *limited) within(ctx context.Context, name *string) error {
	id, err := l.container(ctx, *name)
	if err == nil {
		*name = id
	}
	return err
}

func (l *limited) ContainerArchive(ctx context.Context, p *hub.ContainerArchiveParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerArchive(ctx, p, w, r)
}

func (l *limited) ContainerArchiveInfo(ctx context.Context, p *hub.ContainerArchiveInfoParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerArchiveInfo(ctx, p, w, r)
}

func (l *limited) ContainerAttach(ctx context.Context, p *hub.ContainerAttachParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerAttach(ctx, p, w, r)
}

func (l *limited) ContainerAttachWebsocket(ctx context.Context, p *hub.ContainerAttachWebsocketParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerAttachWebsocket(ctx, p, w, r)
}

func (l *limited) ContainerChanges(ctx context.Context, p *hub.ContainerChangesParams) ([]models.ContainerChange, error) {
	if err := l.within(ctx, &p.Name); err != nil {
		return nil, err
	}
	return l.engine.ContainerChanges(ctx, p)
}

func (l *limited) ContainerCopy(ctx context.Context, p *hub.ContainerCopyParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerCopy(ctx, p, w, r)
}

func (l *limited) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (m *models.ContainerCreateResponse, err error) {
	if p.Body.Labels, err = l.mark(p.Body.Labels); err != nil {
		return nil, err
	}
	if d := p.Body.VolumeDriver; d != "" && d != "local" {
		return nil, l.refuse("the volume driver %s is not allowed", d)
	}
	if err := l.checkHost(ctx, p.Body.HostConfig); err != nil {
		return nil, err
	}
	if c := p.Body.NetworkingConfig; c != nil {
		if c.EndpointsConfig, err = l.checkEndpoints(ctx, c.EndpointsConfig); err != nil {
			return nil, err
		}
	}
	m, err = l.engine.ContainerCreate(ctx, p)
	return m, l.hideOwner(ctx, p.Name, err)
}

// hideOwner keeps the id of a container out of reach to itself: a name that is
// taken says whose it is.
func (l *limited) hideOwner(ctx context.Context, name string, err error) error {
	if !errdefs.IsConflict(err) || name == "" {
		return err
	}
	name = "/" + strings.TrimPrefix(name, "/") // no id begins like that
	m, other := l.engine.ContainerInspect(ctx, &hub.ContainerInspectParams{Name: name})
	if other == nil && (m.Config == nil || !l.covers(m.Config.Labels)) {
		return &Refusal{fault.Conflict("Conflict. The name %q is already in use.", name)}
	}
	return err
}

// ContainerDelete removes a container or, with link, the link container/alias.
func (l *limited) ContainerDelete(ctx context.Context, p *hub.ContainerDeleteParams) error {
	if p.Link {
		parent, _, _ := strings.Cut(strings.TrimPrefix(p.Name, "/"), "/")
		if _, err := l.container(ctx, parent); err != nil {
			return err
		}
	} else if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerDelete(ctx, p)
}

func (l *limited) ContainerExec(ctx context.Context, p *hub.ContainerExecParams) (*models.ExecCreateResponse, error) {
	if err := l.within(ctx, &p.Name); err != nil {
		return nil, err
	}
	if p.Body.Privileged {
		return nil, l.refuse("Privileged is not allowed")
	}
	return l.engine.ContainerExec(ctx, p)
}

func (l *limited) ContainerExport(ctx context.Context, p *hub.ContainerExportParams, out stream.Output) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerExport(ctx, p, out)
}

func (l *limited) ContainerInspect(ctx context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	if err := l.within(ctx, &p.Name); err != nil {
		return nil, err
	}
	return l.engine.ContainerInspect(ctx, p)
}

func (l *limited) ContainerKill(ctx context.Context, p *hub.ContainerKillParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerKill(ctx, p)
}

// ContainerList counts its limit among the containers within reach only.
func (l *limited) ContainerList(ctx context.Context, p *hub.ContainerListParams) ([]models.ContainerSummary, error) {
	for _, other := range []*string{&p.Before, &p.Since} {
		if *other == "" {
			continue
		}
		if err := l.within(ctx, other); err != nil {
			return nil, err
		}
	}
	var err error
	if p.Filters, err = l.narrow(ctx, p.Filters); err != nil {
		return nil, err
	}
	all, err := l.engine.ContainerList(ctx, p)
	if err != nil {
		return nil, err
	}
	covered := make([]models.ContainerSummary, 0, len(all))
	for _, c := range all {
		if l.covers(c.Labels) {
			c.Names = l.ownNames(ctx, c.Names)
			covered = append(covered, c)
		}
	}
	return covered, nil
}

// ownNames leaves out links, /container/alias, of containers out of reach.
func (l *limited) ownNames(ctx context.Context, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		parent, _, link := strings.Cut(strings.TrimPrefix(name, "/"), "/")
		if !link {
			return false
		}
		_, err := l.container(ctx, parent)
		return err != nil
	})
}

func (l *limited) ContainerLogs(ctx context.Context, p *hub.ContainerLogsParams, out stream.Output) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerLogs(ctx, p, out)
}

func (l *limited) ContainerPause(ctx context.Context, p *hub.ContainerPauseParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerPause(ctx, p)
}

func (l *limited) ContainerRename(ctx context.Context, p *hub.ContainerRenameParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.hideOwner(ctx, p.NewName, l.engine.ContainerRename(ctx, p))
}

func (l *limited) ContainerResize(ctx context.Context, p *hub.ContainerResizeParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerResize(ctx, p)
}

func (l *limited) ContainerRestart(ctx context.Context, p *hub.ContainerRestartParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerRestart(ctx, p)
}

// ContainerStart may bring a new HostConfig, which is checked as at creation.
func (l *limited) ContainerStart(ctx context.Context, p *hub.ContainerStartParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	if err := l.checkHost(ctx, p.Body); err != nil {
		return err
	}
	return l.engine.ContainerStart(ctx, p)
}

func (l *limited) ContainerStats(ctx context.Context, p *hub.ContainerStatsParams, out stream.Output) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerStats(ctx, p, out)
}

func (l *limited) ContainerStop(ctx context.Context, p *hub.ContainerStopParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerStop(ctx, p)
}

func (l *limited) ContainerTop(ctx context.Context, p *hub.ContainerTopParams) (*models.ContainerTopResponse, error) {
	if err := l.within(ctx, &p.Name); err != nil {
		return nil, err
	}
	return l.engine.ContainerTop(ctx, p)
}

func (l *limited) ContainerUnpause(ctx context.Context, p *hub.ContainerUnpauseParams) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerUnpause(ctx, p)
}

func (l *limited) ContainerUpdate(ctx context.Context, p *hub.ContainerUpdateParams) (*models.ContainerUpdateResponse, error) {
	if err := l.within(ctx, &p.Name); err != nil {
		return nil, err
	}
	return l.engine.ContainerUpdate(ctx, p)
}

func (l *limited) ContainerWait(ctx context.Context, p *hub.ContainerWaitParams, out stream.Output) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.ContainerWait(ctx, p, out)
}

// command says whether an exec instance is one of a container within reach.
func (l *limited) command(ctx context.Context, id string) error {
	m, err := l.engine.ExecInspect(ctx, &hub.ExecInspectParams{ID: id})
	if err != nil {
		return err
	}
	if _, err := l.container(ctx, m.ContainerID); err != nil {
		if errdefs.IsNotFound(err) {
			err = &Refusal{fault.NotFound("No such exec instance '%s' found in daemon", id)}
		}
		return err
	}
	return nil
}

func (l *limited) ExecInspect(ctx context.Context, p *hub.ExecInspectParams) (*models.ExecInspect, error) {
	if err := l.command(ctx, p.ID); err != nil {
		return nil, err
	}
	return l.engine.ExecInspect(ctx, p)
}

func (l *limited) ExecResize(ctx context.Context, p *hub.ExecResizeParams) error {
	if err := l.command(ctx, p.ID); err != nil {
		return err
	}
	return l.engine.ExecResize(ctx, p)
}

func (l *limited) ExecStart(ctx context.Context, p *hub.ExecStartParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.command(ctx, p.ID); err != nil {
		return err
	}
	return l.engine.ExecStart(ctx, p, w, r)
}

func (l *limited) PutContainerArchive(ctx context.Context, p *hub.PutContainerArchiveParams, w http.ResponseWriter, r *http.Request) error {
	if err := l.within(ctx, &p.Name); err != nil {
		return err
	}
	return l.engine.PutContainerArchive(ctx, p, w, r)
}
