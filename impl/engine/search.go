package engine

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// ImageSearch serves GET /images/search.
func (e *Engine) ImageSearch(ctx context.Context, p *hub.ImageSearchParams) ([]models.SearchResult, error) {
	cred, _ := registry.ParseCredential(p.XRegistryAuth)
	found, err := e.Registry.Search(ctx, p.Term, cred)
	if err != nil {
		return nil, transferError(err)
	}
	list := make([]models.SearchResult, 0, len(found))
	for _, f := range found {
		list = append(list, models.SearchResult{
			Name: f.Name, Description: f.Description, StarCount: f.Stars,
			IsOfficial: f.Official, IsAutomated: f.Automated, IsTrusted: f.Trusted,
		})
	}
	return list, nil
}
