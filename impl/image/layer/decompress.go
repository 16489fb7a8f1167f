package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Decompress recognizes gzip, bzip2, xz and zstd by their first bytes and gives
// the bytes inside; anything else passes through. Corrupt data is an error of
// class invalid argument; errors of r stay what they are. Close releases the
// decompressor, not r.
func Decompress(ctx context.Context, r io.Reader) (io.ReadCloser, error) {
	src := &source{r: r}
	br := bufio.NewReaderSize(src, 64<<10)
	magic, err := br.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	d := &decompressor{src: src, close: func() error { return nil }}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, d.blame(err)
		}
		d.r, d.close = z, z.Close
	case bytes.HasPrefix(magic, []byte("BZh")):
		d.r = bzip2.NewReader(br)
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, d.blame(err)
		}
		d.r, d.close = z, func() error { z.Close(); return nil }
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return newXZ(ctx, br)
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

// xz is a running xz(1), which is twice as fast as what exists in Go.
type xz struct {
	io.Reader
	cmd    *exec.Cmd
	cancel context.CancelFunc
	stderr bytes.Buffer
	done   bool
	result error
}

func newXZ(ctx context.Context, r io.Reader) (*xz, error) {
	ctx, cancel := context.WithCancel(ctx)
	x := &xz{cmd: exec.CommandContext(ctx, "xz", "--decompress", "--stdout", "--quiet", "--memlimit-decompress=256MiB"), cancel: cancel}
	x.cmd.Stdin, x.cmd.Stderr = r, &x.stderr
	out, err := x.cmd.StdoutPipe()
	if err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		cancel()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, fault.Unavailable("the archive is xz-compressed and xz(1) is not installed")
		}
		return nil, fmt.Errorf("start xz: %w", err)
	}
	x.Reader = out
	return x, nil
}

func (x *xz) Read(p []byte) (int, error) {
	n, err := x.Reader.Read(p)
	if err == io.EOF && n == 0 {
		if werr := x.wait(); werr != nil {
			return 0, werr
		}
	}
	return n, err
}

func (x *xz) wait() error {
	if !x.done {
		x.done = true
		if err := x.cmd.Wait(); err != nil {
			x.result = fault.Invalid("read xz: %s: %w", bytes.TrimSpace(x.stderr.Bytes()), err)
		}
	}
	return x.result
}

// Close ends xz(1) if it still runs.
func (x *xz) Close() error {
	x.cancel()
	x.wait()
	return nil
}
