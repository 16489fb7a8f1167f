package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// downloads are the layers that are being fetched. Pulls that want the same
// layer from the same registry share one download, which goes on as long as one
// of them reads it. The zero value is ready.
type downloads struct {
	mu sync.Mutex
	m  map[downloadKey]*download
}

// downloadKey has the registry, so that a registry that gives a byte a minute
// holds up no pull from another one.
type downloadKey struct {
	registry string
	digest   digest.Digest
}

// download fetches a blob into a file, which its readers follow.
type download struct {
	s       *Store
	key     downloadKey
	size    int64
	file    *os.File
	cancel  context.CancelFunc
	ended   chan struct{}
	readers int // guarded by downloads.mu

	mu   sync.Mutex
	more sync.Cond
	n    int64 // bytes in the file
	done bool
	err  error // of a download that failed; nil when all is there and verified
}

// join gives a reader of the blob. shared says that the download was there
// before, so that its end may have reasons of somebody else.
func (s *Store) join(ctx context.Context, from Remote, d ocispec.Descriptor, report ProgressFunc) (r *downloadReader, shared bool, err error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, false, fmt.Errorf("layer digest: %w", err)
	}
	key := downloadKey{reference.Domain(from.Name()), d.Digest}
	s.downloads.mu.Lock()
	defer s.downloads.mu.Unlock()
	dl := s.downloads.m[key]
	if shared = dl != nil && dl.size == d.Size; !shared {
		if dl, err = s.newDownload(key, d.Size); err != nil {
			return nil, false, err
		}
		// The download belongs to all its readers, not to the first one's request.
		dctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		dl.cancel = cancel
		if s.downloads.m == nil {
			s.downloads.m = map[downloadKey]*download{}
		}
		s.downloads.m[key] = dl
		go dl.run(dctx, from, d)
	}
	dl.readers++
	r = &downloadReader{dl: dl, ctx: ctx, id: short(d.Digest.Encoded()), report: report}
	r.stop = context.AfterFunc(ctx, dl.wake)
	return r, shared, nil
}

func (s *Store) newDownload(key downloadKey, size int64) (*download, error) {
	f, err := os.CreateTemp(filepath.Join(s.root, blobsDir), ".")
	if err != nil {
		return nil, err
	}
	dl := &download{s: s, key: key, size: size, file: f, ended: make(chan struct{})}
	dl.more.L = &dl.mu
	return dl, nil
}

func (dl *download) run(ctx context.Context, from Remote, d ocispec.Descriptor) {
	defer close(dl.ended)
	defer dl.cancel()
	err := dl.fetch(ctx, from, d)
	if err != nil {
		// Who comes now begins anew.
		dl.s.downloads.forget(dl)
	}
	dl.mu.Lock()
	dl.done, dl.err = true, err
	dl.mu.Unlock()
	dl.more.Broadcast()
}

func (dl *download) fetch(ctx context.Context, from Remote, d ocispec.Descriptor) error {
	body, err := from.Blob(ctx, d)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{dl}, struct{ io.Reader }{body}, make([]byte, 128<<10))
	return err
}

// Write adds to the file and wakes the readers.
func (dl *download) Write(p []byte) (int, error) {
	n, err := dl.file.Write(p)
	dl.mu.Lock()
	dl.n += int64(n)
	dl.mu.Unlock()
	dl.more.Broadcast()
	return n, err
}

func (dl *download) wake() {
	dl.mu.Lock()
	defer dl.mu.Unlock()
	dl.more.Broadcast()
}

func (ds *downloads) forget(dl *download) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.m[dl.key] == dl {
		delete(ds.m, dl.key)
	}
}

// leave takes a reader away; the last one ends the download and removes the file.
func (ds *downloads) leave(dl *download) error {
	ds.mu.Lock()
	dl.readers--
	last := dl.readers == 0
	if last && ds.m[dl.key] == dl {
		delete(ds.m, dl.key)
	}
	ds.mu.Unlock()
	if !last {
		return nil
	}
	dl.cancel()
	<-dl.ended
	return errors.Join(dl.file.Close(), os.Remove(dl.file.Name()))
}

// downloadReader reads a download from its beginning, as far as it is there,
// and waits for more. io.EOF means that the blob is whole and verified. It
// tells progress: of the download as long as that lasts, then of the reading.
type downloadReader struct {
	dl     *download
	ctx    context.Context
	stop   func() bool
	id     string
	report ProgressFunc

	off  int64
	told int64
	all  bool // the end of the download has been told
}

func (r *downloadReader) Read(p []byte) (int, error) {
	have, done, err := r.wait()
	if err != nil {
		return 0, err
	}
	r.tell(have, done)
	if r.off == have {
		return 0, io.EOF
	}
	n, err := r.dl.file.ReadAt(p[:min(int64(len(p)), have-r.off)], r.off)
	r.off += int64(n)
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}

// wait returns when there is something to read or the download has ended.
func (r *downloadReader) wait() (have int64, done bool, err error) {
	dl := r.dl
	dl.mu.Lock()
	defer dl.mu.Unlock()
	for dl.n == r.off && !dl.done && r.ctx.Err() == nil {
		dl.more.Wait()
	}
	if err := r.ctx.Err(); err != nil {
		return 0, false, err
	}
	return dl.n, dl.done, dl.err
}

func (r *downloadReader) tell(have int64, done bool) {
	switch {
	case done && !r.all:
		if r.told < have {
			r.report(Progress{ID: r.id, Status: "Downloading", Current: have, Total: r.dl.size})
		}
		r.all, r.told = true, r.off
		r.report(Progress{ID: r.id, Status: "Verifying Checksum"})
		r.report(Progress{ID: r.id, Status: "Download complete"})
	case !done && have-r.told >= reportEvery:
		r.told = have
		r.report(Progress{ID: r.id, Status: "Downloading", Current: have, Total: r.dl.size})
	case done && r.off-r.told >= reportEvery:
		r.told = r.off
		r.report(Progress{ID: r.id, Status: "Extracting", Current: r.off, Total: r.dl.size})
	}
}

// keep gives the finished download its name in the cache, until the ingest's
// abort at least. Every pull that shared it does so: the first may yet fail.
func (r *downloadReader) keep(in *ingest) error {
	s := r.dl.s
	if s.cache < 0 {
		return nil
	}
	in.mu.Lock()
	in.kept = append(in.kept, r.dl.key.digest)
	in.mu.Unlock()
	err := os.Link(r.dl.file.Name(), s.blobPath(r.dl.key.digest))
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// Close leaves the download.
func (r *downloadReader) Close() error {
	r.stop()
	return r.dl.s.downloads.leave(r.dl)
}
