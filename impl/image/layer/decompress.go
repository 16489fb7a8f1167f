package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"fmt"
	"io"
	"os/exec"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Decompress recognizes gzip, bzip2, xz and zstd by their first bytes and gives
// the bytes inside; anything else passes through. Corrupt data is an error of
// class invalid argument; errors of r stay what they are. Close releases the
// decompressor, not r.
func Decompress(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	src := &source{r: r}
	br := bufio.NewReaderSize(src, igzipFrom)
	magic, err := br.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	d := &decompressor{src: src, close: func() error { return nil }}
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		return newGzip(ctx, d, br)
	case bytes.HasPrefix(magic, []byte("BZh")):
		d.r = bzip2.NewReader(br)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, d.blame(err)
		}
		d.r, d.close = z, func() error { z.Close(); return nil }
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return newXZ(ctx, src, br)
	default:
		return io.NopCloser(br), nil
	}
	return d, nil
}

// source remembers whether an error came from the stream itself.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

type decompressor struct {
	r     io.Reader
	src   *source
	close func() error
}

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = d.blame(err)
	}
	return n, err
}

// blame tells corrupt data from a broken stream.
func (d *decompressor) blame(err error) error {
	if d.src.err != nil {
		return d.src.err
	}
	return fault.Invalid("corrupt compressed data: %w", err)
}

func (d *decompressor) Close() error { return d.close() }

// newXZ reads through xz(1), which is twice as fast as what exists in Go.
func newXZ(ctx context.Context, src *source, br *bufio.Reader) (io.ReadCloser, error) {
	path, err := exec.LookPath("xz")
	if err != nil {
		return nil, fault.Unavailable("the archive is xz-compressed and xz(1) is not installed")
	}
	p, err := newProgram(ctx, src, br, path, "--decompress", "--stdout", "--quiet", "--memlimit-decompress=256MiB")
	if err != nil {
		return nil, fmt.Errorf("start xz: %w", err)
	}
	return p, nil
}
