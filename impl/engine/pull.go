package engine

import (
	"context"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/stream"
)

// pull serves POST /images/create with fromImage. What fails before the
// registry has shown the manifest gives a status, later failures a line.
func (e *Engine) pull(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) error {
	named, ref, err := image.ParsePull(p.FromImage, p.Tag)
	if err != nil {
		return err
	}
	// A malformed header is nobody's, as engines of these versions have it.
	cred, _ := registry.ParseCredential(p.XRegistryAuth)
	lines := &progressLines{out: out}
	var done []image.Pulled
	hosts := e.Registry.Hosts(named)
	for i, host := range hosts {
		last := i == len(hosts)-1
		who := registry.Credential{}
		if last {
			who = cred
		}
		lines.first = nil // of a mirror that failed
		done, err = e.pullFrom(ctx, host, named, ref, who, lines.write)
		if err == nil || last || lines.begun() || ctx.Err() != nil {
			break
		}
		e.Logger.Info("a registry mirror does not have it", "mirror", host, "repository", named.Name(), "error", err)
	}
	for _, got := range done {
		e.transferEvent("pull", got.Ref, reference.FamiliarName(named))
	}
	return pullError(err)
}

func (e *Engine) pullFrom(ctx context.Context, host string, named reference.Named, ref string, cred registry.Credential, progress image.ProgressFunc) ([]image.Pulled, error) {
	repo, err := e.Registry.OpenAt(ctx, host, named, cred)
	if err != nil {
		return nil, err
	}
	defer repo.Close()
	return e.Images.Pull(ctx, repo, ref, progress)
}

// pullError gives a registry's refusal the class that a pull documents: 404 is
// "repository does not exist or no read access", and a registry that cannot be
// reached is a server's error.
func pullError(err error) error {
	switch {
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err):
		return fault.NotFound("%w", err)
	case errdefs.IsUnavailable(err):
		return fault.Internal("Error while pulling image: %w", err)
	default:
		return err
	}
}

// transferEvent tells that an image came from or went to a registry. Unlike
// with other actions the object is the reference (v1.22 reference, "Monitor
// Docker's events", example).
func (e *Engine) transferEvent(action, ref, repository string) {
	attributes := map[string]string{"name": repository}
	if img, err := e.Images.Get(ref); err == nil {
		for k, v := range labelsOf(img) {
			attributes[k] = v
		}
		attributes["name"] = repository
	}
	e.Events.Publish(events.Event{Type: events.Image, Action: action, ID: ref, Attributes: attributes})
}

// progressLines writes a transfer's progress, but keeps the first line back
// until a second one shows that the registry lets us in: before that an error
// has a status.
type progressLines struct {
	out   stream.Output
	first *image.Progress
	open  bool
}

func (l *progressLines) begun() bool { return l.open }

// write is an image.ProgressFunc. A client that is gone shows in the
// operation's context, so errors are not looked at.
func (l *progressLines) write(p image.Progress) {
	if !l.open {
		if l.first == nil {
			l.first = &p
			return
		}
		l.open = true
		_ = l.out.Encode(transferMessage(*l.first, true))
	}
	_ = l.out.Encode(transferMessage(p, false))
}

// transferMessage is a line of a pull or push. Lines about the whole have no
// progress.
func transferMessage(p image.Progress, head bool) *models.JSONMessage {
	if head || p.ID == "" {
		return &models.JSONMessage{Status: p.Status, ID: p.ID}
	}
	return progressMessage(p)
}

// isDigest says whether a reference's last part is a digest and no tag.
func isDigest(ref string) bool {
	_, err := digest.Parse(ref)
	return err == nil
}
