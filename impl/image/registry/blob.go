package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/seed-50ced230/berth/impl/fault"
)

// attempts bounds how often a download is taken up again without progress.
const attempts = 5

// Blob downloads a blob. A connection that breaks or gives nothing for the
// stall time is made again where it stopped. The reader's io.EOF means that
// size and digest are right; otherwise reading ends with an error.
func (r *Repository) Blob(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, fault.Invalid("invalid digest %q: %w", desc.Digest, err)
	}
	if desc.Size < 0 {
		return nil, fault.Invalid("invalid size %d of %s", desc.Size, desc.Digest)
	}
	b := &blob{ctx: ctx, r: r, desc: desc, check: desc.Digest.Verifier()}
	if err := b.open(); err != nil { // an early error is better than a late one
		return nil, r.mapError(desc.Digest.String(), err)
	}
	return b, nil
}

type blob struct {
	ctx     context.Context
	r       *Repository
	desc    ocispec.Descriptor
	check   digest.Verifier
	n       int64 // bytes given out
	tries   int   // since the last byte
	noRange bool  // the registry did not go on in the middle

	body   io.ReadCloser
	cancel context.CancelFunc
	alarm  *time.Timer
	done   bool
}

// open connects, at the place where the last connection ended.
func (b *blob) open() error {
	ctx, cancel := context.WithCancel(b.ctx)
	fetch := b.fetch
	if b.n > 0 && !b.noRange {
		fetch = b.resume
	}
	body, at, err := fetch(ctx)
	if err != nil {
		cancel()
		return err
	}
	b.body, b.cancel = body, cancel
	b.alarm = time.AfterFunc(b.r.stall, cancel)
	if at == b.n {
		return nil
	}
	if _, err = io.CopyN(io.Discard, watched{b}, b.n); err != nil {
		b.hangUp()
	}
	return err
}

// fetch asks for the whole blob.
func (b *blob) fetch(ctx context.Context) (io.ReadCloser, int64, error) {
	body, err := b.r.repo.Blobs().Fetch(ctx, b.desc)
	return body, 0, err
}

// resume asks for what is missing and says where the body begins: a registry that knows
// no ranges sends the blob from its start. (A Seek of what Fetch gave would have asked
// for all of it first.)
func (b *blob) resume(ctx context.Context) (body io.ReadCloser, at int64, err error) {
	ref := b.r.repo.Reference
	scheme := "https"
	if b.r.repo.PlainHTTP {
		scheme = "http"
	}
	url := fmt.Sprintf("%s://%s/v2/%s/blobs/%s", scheme, ref.Host(), ref.Repository, b.desc.Digest)
	req, err := http.NewRequestWithContext(auth.AppendRepositoryScope(ctx, ref, auth.ActionPull), http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.n))
	resp, err := b.r.repo.Client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return resp.Body, 0, nil
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.n)):
		return resp.Body, b.n, nil
	}
	discard(resp)
	return nil, 0, fault.Unavailable("asked for the bytes from %d on, the registry answered %s", b.n, resp.Status)
}

// watched resets the alarm as long as something comes.
type watched struct{ b *blob }

func (w watched) Read(p []byte) (int, error) {
	n, err := w.b.body.Read(p)
	if n > 0 {
		w.b.alarm.Reset(w.b.r.stall)
	}
	return n, err
}

func (b *blob) hangUp() {
	if b.body != nil {
		b.alarm.Stop()
		b.cancel()
		b.body.Close()
		b.body = nil
	}
}

func (b *blob) Read(p []byte) (int, error) {
	for {
		if b.n == b.desc.Size {
			return 0, b.finish()
		}
		if err := b.ctx.Err(); err != nil {
			return 0, err
		}
		var err error
		if b.body == nil {
			err = b.open()
		}
		if err == nil {
			var n int
			n, err = watched{b}.Read(p[:min(int64(len(p)), b.desc.Size-b.n)])
			if n > 0 {
				b.check.Write(p[:n])
				b.n += int64(n)
				b.tries = 0
				return n, nil
			}
			if err == nil {
				continue
			}
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
		}
		if werr := b.again(err); werr != nil {
			return 0, werr
		}
	}
}

// again prepares the next attempt, or gives up with the reason of the last.
func (b *blob) again(err error) error {
	resumed := b.n > 0 && b.tries > 0
	b.hangUp()
	if cerr := b.ctx.Err(); cerr != nil {
		return cerr
	}
	if resumed {
		b.noRange = true
	}
	if b.tries++; b.tries > attempts {
		return b.r.mapError(b.desc.Digest.String(), fmt.Errorf("download of %s broke off after %d of %d bytes: %w", b.desc.Digest, b.n, b.desc.Size, err))
	}
	select {
	case <-time.After(time.Duration(b.tries*b.tries) * 100 * time.Millisecond):
		return nil
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}

func (b *blob) finish() error {
	b.hangUp()
	if !b.done && !b.check.Verified() {
		return fault.Invalid("filesystem layer verification failed for digest %s", b.desc.Digest)
	}
	b.done = true
	return io.EOF
}

// Close ends the download.
func (b *blob) Close() error {
	b.hangUp()
	return nil
}
