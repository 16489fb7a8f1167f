package layer

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

const chunkSize = 256 << 10

// feed reads a stream ahead in a goroutine of its own, and hashes it there,
// while its reader writes files: the two halves of unpacking each keep one
// processor busy.
type feed struct {
	ctx    context.Context
	chunks chan []byte
	free   chan []byte
	stop   chan struct{}
	wg     sync.WaitGroup

	cur  []byte // unread rest of the current chunk
	full []byte // the current chunk, to give back
	err  error  // why the stream ended; valid once chunks is closed
	sum  hash.Hash
	n    int64
}

// newFeed starts reading r. More than limit bytes are an error.
func newFeed(ctx context.Context, r io.Reader, limit int64) *feed {
	f := &feed{ctx: ctx, chunks: make(chan []byte, 3), free: make(chan []byte, 4), stop: make(chan struct{}), sum: sha256.New()}
	for range cap(f.free) {
		f.free <- nil // made when it is needed: most layers are small
	}
	f.wg.Go(func() {
		defer close(f.chunks)
		for {
			var buf []byte
			select {
			case buf = <-f.free:
			case <-f.stop:
				f.err = errors.New("stopped")
				return
			case <-ctx.Done():
				f.err = ctx.Err()
				return
			}
			if buf == nil {
				buf = make([]byte, chunkSize)
			}
			n, err := fill(r, buf[:chunkSize])
			f.n += int64(n)
			if f.n > limit {
				f.err = fault.Invalid("layer is larger than the limit of %d bytes", limit)
				return
			}
			if n > 0 {
				f.sum.Write(buf[:n])
				select {
				case f.chunks <- buf[:n]:
				case <-f.stop:
					f.err = errors.New("stopped")
					return
				}
			}
			if err != nil {
				f.err = err
				return
			}
		}
	})
	return f
}

// Read gives the next bytes in order.
func (f *feed) Read(p []byte) (int, error) {
	if len(f.cur) == 0 {
		if f.full != nil {
			f.free <- f.full[:chunkSize]
			f.full = nil
		}
		if err := f.ctx.Err(); err != nil {
			return 0, err
		}
		chunk, ok := <-f.chunks
		if !ok {
			return 0, f.err
		}
		f.cur, f.full = chunk, chunk
	}
	n := copy(p, f.cur)
	f.cur = f.cur[n:]
	return n, nil
}

// close stops the goroutine and waits for it; nobody reads the stream after.
func (f *feed) close() {
	close(f.stop)
	f.wg.Wait()
}

// digest is the digest of the whole stream. Valid after Read returned io.EOF.
func (f *feed) digest() digest.Digest {
	return digest.NewDigest(digest.SHA256, f.sum)
}

// fill is io.ReadFull, but keeps the error of r: a short stream is an error
// only if r says so.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}
