package grant

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/build"
	"github.com/seed-50ced230/berth/impl/stream"
)

// Images have no owner: what a socket may do with them is said by its operations.

// ImageBuild runs its steps in containers that no setting of the client's opens.
// The engine itself fetches nothing for them: it reaches what containers do not,
// such as the host's own services and the networks of others.
func (l *limited) ImageBuild(ctx context.Context, p *hub.ImageBuildParams, out stream.Output) error {
	if p.Cgroupparent != "" {
		return l.refuse("cgroupparent is not allowed")
	}
	if p.Remote != "" {
		return l.refuse("remote is not allowed: send the files as the request's body")
	}
	fetch := func(address string) error { return l.refuse("ADD of an address is not allowed: fetch it in RUN") }
	return l.engine.ImageBuild(build.WithFetch(ctx, fetch), p, out)
}

func (l *limited) ImageCommit(ctx context.Context, p *hub.ImageCommitParams) (*models.CommitResponse, error) {
	if err := l.within(ctx, &p.Container); err != nil {
		return nil, err
	}
	return l.engine.ImageCommit(ctx, p)
}

func (l *limited) ImageCreate(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) error {
	if p.FromSrc != "" && p.FromSrc != "-" {
		return l.refuse("fromSrc with an address is not allowed: send the archive as the request's body")
	}
	return l.engine.ImageCreate(ctx, p, out)
}

func (l *limited) ImageDelete(ctx context.Context, p *hub.ImageDeleteParams) ([]models.ImageDeleteItem, error) {
	return l.engine.ImageDelete(ctx, p)
}

func (l *limited) ImageGet(ctx context.Context, p *hub.ImageGetParams, out stream.Output) error {
	return l.engine.ImageGet(ctx, p, out)
}

func (l *limited) ImageGetAll(ctx context.Context, p *hub.ImageGetAllParams, out stream.Output) error {
	return l.engine.ImageGetAll(ctx, p, out)
}

func (l *limited) ImageHistory(ctx context.Context, p *hub.ImageHistoryParams) ([]models.ImageHistoryItem, error) {
	return l.engine.ImageHistory(ctx, p)
}

func (l *limited) ImageInspect(ctx context.Context, p *hub.ImageInspectParams) (*models.ImageInspect, error) {
	return l.engine.ImageInspect(ctx, p)
}

func (l *limited) ImageList(ctx context.Context, p *hub.ImageListParams) ([]models.ImageSummary, error) {
	return l.engine.ImageList(ctx, p)
}

func (l *limited) ImageLoad(ctx context.Context, p *hub.ImageLoadParams, out stream.Output) error {
	return l.engine.ImageLoad(ctx, p, out)
}

func (l *limited) ImagePush(ctx context.Context, p *hub.ImagePushParams, out stream.Output) error {
	return l.engine.ImagePush(ctx, p, out)
}

func (l *limited) ImageSearch(ctx context.Context, p *hub.ImageSearchParams) ([]models.SearchResult, error) {
	return l.engine.ImageSearch(ctx, p)
}

func (l *limited) ImageTag(ctx context.Context, p *hub.ImageTagParams) error {
	return l.engine.ImageTag(ctx, p)
}

func (l *limited) SystemAuth(ctx context.Context, p *hub.SystemAuthParams) (*models.AuthResponse, error) {
	return l.engine.SystemAuth(ctx, p)
}

// SystemInfo counts the containers within reach only.
func (l *limited) SystemInfo(ctx context.Context, p *hub.SystemInfoParams) (*models.Info, error) {
	m, err := l.engine.SystemInfo(ctx, p)
	if err != nil {
		return nil, err
	}
	own, err := l.ContainerList(ctx, &hub.ContainerListParams{All: true})
	if err != nil {
		return nil, err
	}
	m.Containers, m.ContainersRunning, m.ContainersPaused, m.ContainersStopped = int64(len(own)), 0, 0, 0
	for _, c := range own {
		switch c.State {
		case "paused":
			m.ContainersPaused++
		case "running", "restarting":
			m.ContainersRunning++
		default:
			m.ContainersStopped++
		}
	}
	return m, nil
}

func (l *limited) SystemPing(ctx context.Context, p *hub.SystemPingParams) (string, error) {
	return l.engine.SystemPing(ctx, p)
}

func (l *limited) SystemVersion(ctx context.Context, p *hub.SystemVersionParams) (*models.Version, error) {
	return l.engine.SystemVersion(ctx, p)
}
