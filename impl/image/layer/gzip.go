package layer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os/exec"

	"github.com/klauspost/compress/flate"

	"github.com/seed-50ced230/berth/impl/fault"
)

// igzipFrom is how many compressed bytes make it worth while to start igzip(1), which
// then needs a third of the processor time of what exists in Go.
const igzipFrom = 512 << 10

// What RFC 1952 says of a member: how it begins, and the flags that tell what
// follows the ten bytes of its header.
const (
	gzipHeader  = 10
	gzipTrailer = 8
	gzipDeflate = 8

	gzipSum     = 1 << 1
	gzipExtra   = 1 << 2
	gzipName    = 1 << 3
	gzipComment = 1 << 4
)

var gzipMagic = []byte{0x1f, 0x8b}

// newGzip reads members one after another to the end of the stream, as compress/gzip
// of Go does: nothing may follow the last one. Names in headers may have any length,
// and reserved flags mean nothing. Large streams go through igzip(1) where that is
// installed, with the same outcome.
func newGzip(ctx context.Context, d *decompressor, br *bufio.Reader) (io.ReadCloser, error) {
	head, _ := br.Peek(igzipFrom)
	if err := readGzipHeader(br); err != nil {
		return nil, d.blame(err)
	}
	if len(head) == igzipFrom {
		if path, err := exec.LookPath("igzip"); err == nil {
			if p, err := newIgzip(ctx, d.src, br, path); err == nil {
				return p, nil
			}
		}
	}
	z := &gunzip{br: br, inflate: flate.NewReader(br)}
	d.r, d.close = z, z.inflate.Close
	return d, nil
}

var (
	errGzipHeader = errors.New("gzip: invalid header")
	errGzipSum    = errors.New("gzip: invalid checksum")
)

// readGzipHeader reads a member's header; io.EOF if there is not a byte.
func readGzipHeader(br *bufio.Reader) error {
	var sum uint32
	read := func(b []byte) error {
		_, err := io.ReadFull(br, b)
		sum = crc32.Update(sum, crc32.IEEETable, b)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := br.Peek(1); err != nil {
		return err
	}
	var head [gzipHeader]byte
	if err := read(head[:]); err != nil {
		return err
	}
	if !bytes.HasPrefix(head[:], gzipMagic) || head[2] != gzipDeflate {
		return errGzipHeader
	}
	flags := head[3]
	if flags&gzipExtra != 0 {
		var length [2]byte
		if err := read(length[:]); err != nil {
			return err
		}
		if err := read(make([]byte, binary.LittleEndian.Uint16(length[:]))); err != nil {
			return err
		}
	}
	for _, text := range []byte{gzipName, gzipComment} {
		for c := []byte{1}; flags&text != 0 && c[0] != 0; {
			if err := read(c); err != nil {
				return err
			}
		}
	}
	if flags&gzipSum != 0 {
		var want [2]byte
		is := uint16(sum)
		if err := read(want[:]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(want[:]) != is {
			return errGzipHeader
		}
	}
	return nil
}

// gunzip reads in Go, from behind the first header.
type gunzip struct {
	br      *bufio.Reader
	inflate io.ReadCloser
	sum     uint32
	size    uint32 // of the member so far, as the format has it
	err     error
}

func (z *gunzip) Read(p []byte) (n int, err error) {
	for z.err == nil && n == 0 && len(p) > 0 {
		n, z.err = z.inflate.Read(p)
		z.sum = crc32.Update(z.sum, crc32.IEEETable, p[:n])
		z.size += uint32(n)
		if z.err == io.EOF {
			z.err = z.next()
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, z.err
}

// next ends a member and begins the one after it.
func (z *gunzip) next() error {
	var trailer [gzipTrailer]byte
	if _, err := io.ReadFull(z.br, trailer[:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if binary.LittleEndian.Uint32(trailer[:4]) != z.sum || binary.LittleEndian.Uint32(trailer[4:]) != z.size {
		return errGzipSum
	}
	if err := readGzipHeader(z.br); err != nil {
		return err
	}
	z.sum, z.size = 0, 0
	return z.inflate.(flate.Resetter).Reset(z.br, nil)
}

// igzip is the program igzip(1). By itself it takes what follows a member and is no
// other one for nothing, and drops it with all that comes then. So it is given one
// more member, whose content nobody can guess: that comes out at the end, or
// something was dropped.
type igzip struct {
	*program
	mark []byte
	held []byte // the last bytes that came out
}

// newIgzip reads from behind the first header.
func newIgzip(ctx context.Context, src *source, r io.Reader, path string) (io.ReadCloser, error) {
	mark := make([]byte, 16)
	if _, err := rand.Read(mark); err != nil {
		return nil, err
	}
	header := append(bytes.Clone(gzipMagic), gzipDeflate, 0, 0, 0, 0, 0, 0, 255)
	last := append(bytes.Clone(header), 1) // one stored block, the last (RFC 1951, 3.2.4)
	last = binary.LittleEndian.AppendUint16(last, uint16(len(mark)))
	last = binary.LittleEndian.AppendUint16(last, ^uint16(len(mark)))
	last = append(last, mark...)
	last = binary.LittleEndian.AppendUint32(last, crc32.ChecksumIEEE(mark))
	last = binary.LittleEndian.AppendUint32(last, uint32(len(mark)))
	in := io.MultiReader(bytes.NewReader(header), r, bytes.NewReader(last))
	p, err := newProgram(ctx, src, in, path, "--decompress", "--stdout")
	if err != nil {
		return nil, err
	}
	z := &igzip{program: p, mark: mark}
	// Its buffer is larger than the mark; a reader's own may not be.
	return struct {
		io.Reader
		io.Closer
	}{bufio.NewReaderSize(z, 4<<10), z}, nil
}

// Read holds the last bytes back. b is longer than the mark.
func (z *igzip) Read(b []byte) (int, error) {
	for {
		held := copy(b, z.held)
		n, err := z.program.Read(b[held:])
		n += held
		if err == io.EOF && !bytes.Equal(b[:n], z.mark) {
			return 0, fault.Invalid("corrupt compressed data: %w", errGzipHeader)
		}
		keep := min(n, len(z.mark))
		z.held = append(z.held[:0], b[n-keep:n]...)
		if n > keep || err != nil {
			return n - keep, err
		}
	}
}
