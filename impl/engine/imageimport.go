package engine

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/distribution/reference"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/stream"
)

// ImageCreate serves POST /images/create: an import with fromSrc, a pull with
// fromImage.
func (e *Engine) ImageCreate(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) error {
	switch {
	case p.FromImage != "" && p.FromSrc != "":
		return fault.Invalid("fromImage and fromSrc cannot be given together")
	case p.FromImage != "":
		return e.pull(ctx, p, out)
	case p.FromSrc == "":
		return fault.Invalid("one of fromImage and fromSrc is required")
	}
	ref, err := importName(p.Repo, p.Tag)
	if err != nil {
		return err
	}
	source, err := e.importSource(ctx, p, out)
	if err != nil {
		return err
	}
	defer source.Close()
	img, err := e.Images.Import(ctx, source, image.ImportOptions{
		Ref:           ref,
		Source:        p.FromSrc,
		Message:       p.Message,
		Changes:       p.Changes,
		DockerVersion: e.Version,
	})
	if err != nil {
		return err
	}
	if ref != "" {
		e.imageEvent("tag", img.ID, ref, labelsOf(img))
	}
	e.imageEvent("import", img.ID, img.ID.String(), labelsOf(img))
	return status(out, "%s", img.ID)
}

// importName is the name for an imported image; empty for none. The tag may be
// part of repo (v1.21 and later), but not given twice.
func importName(repo, tag string) (string, error) {
	if repo == "" {
		return "", nil
	}
	if tag != "" {
		if named, err := reference.ParseNormalizedNamed(repo); err == nil && !reference.IsNameOnly(named) {
			return "", fault.Invalid("the repository %s has a tag already; the parameter tag cannot be given too", repo)
		}
	}
	return image.ParseTag(repo, tag)
}

// importSource opens what fromSrc names: the request's body or an address.
func (e *Engine) importSource(ctx context.Context, p *hub.ImageCreateParams, out stream.Output) (io.ReadCloser, error) {
	if p.FromSrc == "-" {
		if p.Body == nil {
			return nil, fault.Invalid("fromSrc=- needs the archive in the body")
		}
		return p.Body, nil
	}
	u, err := url.Parse(p.FromSrc)
	if err == nil && u.Scheme == "" {
		u, err = url.Parse("http://" + strings.TrimPrefix(p.FromSrc, "//"))
	}
	if err != nil {
		return nil, fault.Invalid("fromSrc: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.Invalid("fromSrc: %s is no HTTP address", u.Redacted())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault.Invalid("fromSrc: %w", err)
	}
	if err := status(out, "Downloading from %s", u.Redacted()); err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fault.Internal("download: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fault.Internal("download from %s: the server answered %s", u.Redacted(), resp.Status)
	}
	return &download{ReadCloser: resp.Body, total: max(0, resp.ContentLength), report: progressTo(out)}, nil
}

// download tells how far a download is.
type download struct {
	io.ReadCloser
	n, told, total int64
	report         image.ProgressFunc
}

// reportEvery is the number of bytes between two lines of progress.
const reportEvery = 1 << 20

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.n += int64(n)
	if d.n-d.told >= reportEvery || err == io.EOF && d.n > d.told {
		d.told = d.n
		d.report(image.Progress{Status: "Importing", Current: d.n, Total: d.total})
	}
	return n, err
}
