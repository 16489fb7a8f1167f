package grant

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/stream"
)

// Images have no owner: what a socket may do with them is said by its operations.

// ImageBuild runs its steps in containers that no setting of the client's opens.
func (l *limited) ImageBuild(ctx context.Context, p *hub.ImageBuildParams, out stream.Output) error {
	if p.Cgroupparent != "" {
		return l.refuse("cgroupparent is not allowed")
	}
	return l.engine.ImageBuild(ctx, p, out)
}

func (l *limited) ImageCommit(ctx context.Context, p *hub.ImageCommitParams) (*models.CommitResponse, error) {
	if err := l.within(ctx, &p.Container); err != nil {
		return nil, err
	}
	return l.engine.ImageCommit(ctx, p)
}

func (l *limited) ImageCreate(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) error {
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

func (l *limited) SystemInfo(ctx context.Context, p *hub.SystemInfoParams) (*models.Info, error) {
	return l.engine.SystemInfo(ctx, p)
}

func (l *limited) SystemPing(ctx context.Context, p *hub.SystemPingParams) (string, error) {
	return l.engine.SystemPing(ctx, p)
}

func (l *limited) SystemVersion(ctx context.Context, p *hub.SystemVersionParams) (*models.Version, error) {
	return l.engine.SystemVersion(ctx, p)
}
