package build

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

// download fetches an address for ADD. The file is root's alone (mode 0600) and
// bears the date that the server gives (Dockerfile reference, "ADD").
func (s *session) download(ctx context.Context, address, dest string) (source, error) {
	u, err := url.Parse(address)
	if err != nil {
		return source{}, fault.Invalid("ADD failed: %w", err)
	}
	name := baseOf(u.Path)
	if name == "" || strings.HasSuffix(u.Path, "/") {
		if strings.HasSuffix(dest, "/") {
			return source{}, fault.Invalid("cannot determine filename from url: %s", u.Redacted())
		}
		name = "download"
	}
	resp, err := s.fetch(ctx, address, "ADD failed")
	if err != nil {
		return source{}, err
	}
	defer resp.Body.Close()
	dir, err := os.MkdirTemp(s.dir, "download")
	if err != nil {
		return source{}, err
	}
	t, err := openTree(dir)
	if err != nil {
		return source{}, err
	}
	src := source{in: t, path: "file", name: name}
	if err = s.save(ctx, t, src.path, resp); err == nil {
		if src.info, err = t.Lstat(src.path); err == nil {
			src.sum, err = checksum(ctx, t, src.path, name, src.info)
		}
	}
	if err != nil {
		return source{}, errors.Join(err, t.Close())
	}
	return src, nil
}

func (s *session) save(ctx context.Context, t *tree, name string, resp *http.Response) error {
	f, err := t.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	body := &download{ReadCloser: resp.Body, total: resp.ContentLength, report: s.progress("Downloading"), left: s.limits.ContextBytes}
	_, err = io.Copy(f, &contextReader{ctx, body})
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if at, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		return t.Chtimes(name, at, at)
	}
	return nil
}
