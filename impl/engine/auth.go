package engine

import (
	"context"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// SystemAuth serves POST /auth. Nothing is kept: clients send the credentials,
// or the token of this answer, with every request that needs them.
func (e *Engine) SystemAuth(ctx context.Context, p *hub.SystemAuthParams) (*models.AuthResponse, error) {
	if p.Body == nil {
		p.Body = &models.AuthConfig{}
	}
	identity, err := e.Registry.Login(ctx, p.Body.Serveraddress, credentialOf(p.Body))
	if err != nil {
		return nil, transferError(err)
	}
	return &models.AuthResponse{Status: registry.LoginSucceeded, IdentityToken: identity}, nil
}
