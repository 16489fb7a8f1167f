package layer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A recipe is a zstd stream (which carries its own checksum) of records:
//
//	'S' length bytes            bytes of the tar, as they were
//	'F' size crc length name    size bytes of the file name, with their CRC-32C
//	'M' length name             what lay at name until here is now kept/<n>,
//	                            n counting from 0
//	'E'                         the end; a recipe without it is cut off
//
// Numbers are uvarints, the CRC is four bytes, big endian. Names are real paths
// below the layer's directory, without links.
const (
	recBytes = 'S'
	recFile  = 'F'
	recMoved = 'M'
	recEnd   = 'E'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maxRecord bounds one record's name, against damaged recipes.
const maxRecord = 1 << 20

type recipeWriter struct {
	z   *zstd.Encoder
	buf *bufio.Writer
	num [binary.MaxVarintLen64]byte
}

func newRecipeWriter(w io.Writer) (*recipeWriter, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(256<<10))
	if err != nil {
		return nil, err
	}
	return &recipeWriter{z: z, buf: bufio.NewWriterSize(z, 64<<10)}, nil
}

func (w *recipeWriter) uvarint(n uint64) {
	w.buf.Write(w.num[:binary.PutUvarint(w.num[:], n)])
}

// bytes adds raw bytes of the tar. Errors of the writer stick in bufio and come
// out of close.
func (w *recipeWriter) bytes(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	w.buf.WriteByte(recBytes)
	w.uvarint(uint64(len(b)))
	_, err := w.buf.Write(b)
	return err
}

func (w *recipeWriter) file(name string, size int64, crc uint32) error {
	w.buf.WriteByte(recFile)
	w.uvarint(uint64(size))
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc)
	w.buf.Write(sum[:])
	w.uvarint(uint64(len(name)))
	_, err := w.buf.WriteString(name)
	return err
}

func (w *recipeWriter) moved(name string) error {
	w.buf.WriteByte(recMoved)
	w.uvarint(uint64(len(name)))
	_, err := w.buf.WriteString(name)
	return err
}

func (w *recipeWriter) close(ok bool) error {
	if ok {
		w.buf.WriteByte(recEnd)
	}
	return errors.Join(w.buf.Flush(), w.z.Close())
}

// recipeRecord is one record; payload is valid until the next call of next.
type recipeRecord struct {
	kind byte
	name string
	size int64
	crc  uint32
}

type recipeReader struct {
	z   *zstd.Decoder
	buf *bufio.Reader
}

func newRecipeReader(r io.Reader) (*recipeReader, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, err
	}
	return &recipeReader{z: z, buf: bufio.NewReaderSize(z, 64<<10)}, nil
}

func (r *recipeReader) close() { r.z.Close() }

// next reads a record's head. After recBytes the caller reads size bytes from
// r.buf; every other record is complete.
func (r *recipeReader) next() (rec recipeRecord, err error) {
	defer func() {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			err = fmt.Errorf("read layer recipe: %w", err)
		}
	}()
	if rec.kind, err = r.buf.ReadByte(); err != nil {
		return rec, err
	}
	switch rec.kind {
	case recEnd:
		return rec, nil
	case recBytes:
		rec.size, err = r.number()
		return rec, err
	case recFile:
		if rec.size, err = r.number(); err != nil {
			return rec, err
		}
		var sum [4]byte
		if _, err = io.ReadFull(r.buf, sum[:]); err != nil {
			return rec, err
		}
		rec.crc = binary.BigEndian.Uint32(sum[:])
		rec.name, err = r.string()
		return rec, err
	case recMoved:
		rec.name, err = r.string()
		return rec, err
	default:
		return rec, fmt.Errorf("unknown record %q", rec.kind)
	}
}

func (r *recipeReader) number() (int64, error) {
	n, err := binary.ReadUvarint(r.buf)
	if err == nil && n > 1<<62 {
		err = errors.New("number out of range")
	}
	return int64(n), err
}

func (r *recipeReader) string() (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	if n > maxRecord {
		return "", errors.New("name too long")
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r.buf, b)
	return string(b), err
}
