package engine

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/stream"
)

// ImagePush serves POST /images/(name)/push.
func (e *Engine) ImagePush(ctx context.Context, p *hub.ImagePushParams, out stream.Output) error {
	named, tag, err := image.ParsePull(p.Name, p.Tag)
	if err != nil {
		return err
	}
	if isDigest(tag) {
		return fault.Invalid("cannot push a digest reference")
	}
	// A malformed header is nobody's, as engines of these versions have it. The
	// documents' own examples have no header at all.
	cred, ok := registry.ParseCredential(p.XRegistryAuth)
	if !ok && p.Body != nil {
		cred = credentialOf(p.Body)
	}
	if err := e.Images.CanPush(named, tag); err != nil {
		return err
	}
	repo, err := e.Registry.Open(ctx, named, cred)
	if err != nil {
		return transferError(err)
	}
	defer repo.Close()
	lines := &progressLines{out: out}
	done, err := e.Images.Push(ctx, repo, tag, lines.write)
	for _, got := range done {
		result := &models.PushResult{Tag: got.Tag, Digest: got.Digest.String(), Size: got.Size}
		_ = out.Encode(&models.JSONMessage{ProgressDetail: &models.ProgressDetail{}, Aux: result})
		e.transferEvent("push", reference.FamiliarName(named)+":"+got.Tag, reference.FamiliarName(named))
	}
	return transferError(err)
}

// transferError makes a registry that cannot be reached a server's error.
func transferError(err error) error {
	if errdefs.IsUnavailable(err) {
		return fault.Internal("%w", err)
	}
	return err
}

func credentialOf(m *models.AuthConfig) registry.Credential {
	return registry.MakeCredential(m.Username, m.Password, m.Auth, m.Identitytoken, m.Registrytoken)
}
