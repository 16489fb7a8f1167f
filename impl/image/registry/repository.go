package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	oras "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Media types of manifests, by those who defined them.
const (
	TypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	TypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	TypeDockerConfig   = "application/vnd.docker.container.image.v1+json"
	TypeDockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	TypeSchema1        = "application/vnd.docker.distribution.manifest.v1+json"
	TypeSchema1Signed  = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

var manifestTypes = []string{
	TypeDockerManifest, TypeDockerList, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, TypeSchema1Signed, TypeSchema1,
}

// maxManifest bounds manifests, configurations and lists, as registries do.
const maxManifest = 4 << 20

// Repository is one repository of a registry. It may be used by several goroutines.
type Repository struct {
	repo  *remote.Repository
	named reference.Named
	stall time.Duration
	close func()
}

// patience is how many stall times a small document may take in all.
const patience = 2

// errSlow says that a registry took too long for a small document.
var errSlow = fault.Unavailable("the registry takes too long to answer")

// slow replaces the error of a request that a deadline of ours has ended.
func slow(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errSlow) {
		return errSlow
	}
	return err
}

// Name is the repository's name.
func (r *Repository) Name() reference.Named { return r.named }

// Close drops idle connections.
func (r *Repository) Close() { r.close() }

// Manifest fetches a manifest by tag or digest. The descriptor's digest is that
// of the body, whatever the registry says; a digest that was asked for must match.
func (r *Repository) Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	// A registry that gives a byte now and then is not waited for.
	ctx, cancel := context.WithTimeoutCause(ctx, patience*r.stall, errSlow)
	defer cancel()
	desc, body, err := r.repo.Manifests().FetchReference(ctx, ref)
	if err != nil {
		return desc, nil, r.mapError(ref, slow(ctx, err))
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err != nil {
		return desc, nil, r.mapError(ref, slow(ctx, err))
	}
	// oras cuts a body off at the limit when it had to compute the digest itself.
	if len(raw) > maxManifest || desc.Size > maxManifest {
		return desc, nil, fault.Invalid("manifest %s is larger than %d bytes", ref, maxManifest)
	}
	payload := raw
	if desc.MediaType == TypeSchema1Signed || desc.MediaType == TypeSchema1 {
		if payload, err = unsigned(raw); err != nil {
			return desc, nil, err
		}
	}
	desc.Digest, desc.Size = digest.FromBytes(payload), int64(len(raw))
	if want, err := digest.Parse(ref); err == nil {
		if want.Algorithm().FromBytes(payload) != want {
			return desc, nil, fault.Invalid("manifest verification failed for digest %s", want)
		}
		desc.Digest = want
	}
	return desc, raw, nil
}

// Document fetches a small blob whole, verified.
func (r *Repository) Document(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > maxManifest || desc.Size < 0 {
		return nil, fault.Invalid("%s is larger than %d bytes", desc.Digest, maxManifest)
	}
	rc, err := r.Blob(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

// Tags lists the repository's tags.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience*r.stall, errSlow)
	defer cancel()
	var tags []string
	err := r.repo.Tags(ctx, "", func(page []string) error {
		tags = append(tags, page...)
		if len(tags) > 100_000 {
			return fault.Invalid("more than 100000 tags")
		}
		return nil
	})
	if err != nil {
		return nil, r.mapError("", slow(ctx, err))
	}
	return tags, nil
}

// Has says whether the registry has a blob in this repository.
func (r *Repository) Has(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	ok, err := r.repo.Blobs().Exists(ctx, desc)
	if err != nil {
		return false, r.mapError(desc.Digest.String(), err)
	}
	return ok, nil
}

// Size asks for the size of a blob.
func (r *Repository) Size(ctx context.Context, d digest.Digest) (int64, error) {
	desc, err := r.repo.Blobs().Resolve(ctx, d.String())
	if err != nil {
		return 0, r.mapError(d.String(), err)
	}
	return desc.Size, nil
}

// errNoMount stops oras from uploading what could not be mounted.
var errNoMount = errors.New("no cross-repository mount")

// Mount asks the registry to take the blob over from another of its
// repositories; false when it does not.
func (r *Repository) Mount(ctx context.Context, desc ocispec.Descriptor, from string) (bool, error) {
	mounter, ok := r.repo.Blobs().(oras.Mounter)
	if !ok {
		return false, nil
	}
	err := mounter.Mount(ctx, desc, from, func() (io.ReadCloser, error) { return nil, errNoMount })
	if errors.Is(err, errNoMount) || errors.Is(err, errdef.ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		// A registry may refuse the other repository: then the blob is uploaded.
		var resp *errcode.ErrorResponse
		if errors.As(err, &resp) {
			return false, nil
		}
		return false, r.mapError(desc.Digest.String(), err)
	}
	return true, nil
}

// PushBlob uploads a blob; body must give exactly desc.Size bytes.
func (r *Repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	// Hidden behind a plain Reader, so that http does not close or rewind it.
	if err := r.repo.Blobs().Push(ctx, desc, struct{ io.Reader }{body}); err != nil {
		return r.mapError(desc.Digest.String(), err)
	}
	return nil
}

// PushManifest uploads a manifest and gives it the tag.
func (r *Repository) PushManifest(ctx context.Context, desc ocispec.Descriptor, raw []byte, tag string) error {
	if err := r.repo.Manifests().PushReference(ctx, desc, strings.NewReader(string(raw)), tag); err != nil {
		return r.mapError(tag, err)
	}
	return nil
}

// mapError gives an answer of the registry its class. ref is what was asked for.
func (r *Repository) mapError(ref string, err error) error {
	var resp *errcode.ErrorResponse
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return r.notFound(ref)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fault.Unauthorized("unauthorized: authentication required")
	case errors.As(err, &resp):
		text := http.StatusText(resp.StatusCode)
		if len(resp.Errors) > 0 {
			text = words(resp.Errors[0])
		}
		switch resp.StatusCode {
		case http.StatusUnauthorized:
			if len(resp.Errors) == 0 {
				text = "unauthorized: authentication required"
			}
			return fault.Unauthorized("%s", text)
		case http.StatusForbidden:
			return fault.Forbidden("%s", text)
		case http.StatusNotFound:
			return r.notFound(ref)
		}
		return fault.Unavailable("received unexpected HTTP status: %d %s", resp.StatusCode, text)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case classified(err):
		return err
	default:
		return fault.Unavailable("%w", err)
	}
}

// words is a registry's error as Docker prints it, without the detail.
func words(e errcode.Error) string {
	text := strings.ToLower(strings.ReplaceAll(e.Code, "_", " "))
	if e.Message != "" {
		text += ": " + e.Message
	}
	return oneLine(text)
}

// classified says whether the error has a class already.
func classified(err error) bool {
	return errdefs.IsInvalidArgument(err) || errdefs.IsNotFound(err) || errdefs.IsUnauthorized(err) || errdefs.IsPermissionDenied(err) || errdefs.IsUnavailable(err)
}

func (r *Repository) notFound(ref string) error {
	name := reference.Path(r.named)
	switch {
	case strings.Contains(ref, ":"):
		name += "@" + ref
	case ref != "":
		name += ":" + ref
	}
	return fault.NotFound("Error: image %s not found", name)
}
