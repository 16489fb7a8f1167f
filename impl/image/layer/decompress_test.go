package layer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/gzip"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

var errBroken = errors.New("the line is broken")

// packed is content that gzip makes half as large, and what it makes of it.
func packed(t *testing.T, size int) (plain, z []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	plain = make([]byte, size)
	for i := range plain {
		plain[i] = "0123456789abcdef"[random.IntN(16)]
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.HuffmanOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return plain, b.Bytes()
}

func decompress(ctx context.Context, r io.Reader) ([]byte, error) {
	plain, err := layer.Decompress(ctx, r)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(plain)
	return b, errors.Join(err, plain.Close())
}

// Large streams go through igzip(1), small ones and those of a machine without it do
// not: what comes out is the same, and so is the class of what is wrong.
func TestDecompressGzip(t *testing.T) {
	if _, err := exec.LookPath("igzip"); err != nil {
		t.Fatalf("igzip is missing (make setup-build installs Debian's isal): %v", err)
	}
	where := os.Getenv("PATH")
	for _, size := range []int{0, 1000, 1200 << 10} {
		plain, z := packed(t, size)
		for _, program := range []bool{true, false} {
			t.Setenv("PATH", "")
			if program {
				t.Setenv("PATH", where)
			}
			cut := func(n int) []byte { return z[:len(z)-n] }
			spoiled := bytes.Clone(z)
			spoiled[len(z)-6] ^= 1 // of the checksum
			for name, c := range map[string]struct {
				in   io.Reader
				want []byte
				bad  func(error) bool
			}{
				"whole":             {in: bytes.NewReader(z), want: plain},
				"in small pieces":   {in: iotest.HalfReader(bytes.NewReader(z)), want: plain},
				"two members":       {in: bytes.NewReader(bytes.Repeat(z, 2)), want: bytes.Repeat(plain, 2)},
				"cut off":           {in: bytes.NewReader(cut(9)), bad: errdefs.IsInvalidArgument},
				"wrong checksum":    {in: bytes.NewReader(spoiled), bad: errdefs.IsInvalidArgument},
				"a broken source":   {in: io.MultiReader(bytes.NewReader(cut(9)), iotest.ErrReader(errBroken)), bad: func(err error) bool { return errors.Is(err, errBroken) }},
				"broken at its end": {in: io.MultiReader(bytes.NewReader(z), iotest.ErrReader(errBroken)), bad: func(err error) bool { return errors.Is(err, errBroken) }},
			} {
				got, err := decompress(context.Background(), c.in)
				switch {
				case c.bad != nil && (err == nil || !c.bad(err)):
					t.Errorf("igzip %v, %d bytes, %s: error %v", program, size, name, err)
				case c.bad == nil && (err != nil || !bytes.Equal(got, c.want)):
					t.Errorf("igzip %v, %d bytes, %s: %d bytes, %v", program, size, name, len(got), err)
				}
			}
		}
	}
}

// Who loses interest in the middle leaves nothing that runs or reads.
func TestDecompressEnds(t *testing.T) {
	_, z := packed(t, 3<<20)
	for _, cancelled := range []bool{true, false} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		source := &watchedReader{r: bytes.NewReader(z)}
		plain, err := layer.Decompress(ctx, source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(plain, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if cancelled {
			cancel()
			began := time.Now()
			if _, err := io.Copy(io.Discard, plain); !errors.Is(err, context.Canceled) {
				t.Errorf("reading after the end of the context: %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it ended %v after its context", took)
			}
		}
		if err := plain.Close(); err != nil {
			t.Error(err)
		}
		source.closed = true // the race detector sees a read after this, too
	}
}

// watchedReader must not be read once closed.
type watchedReader struct {
	r      io.Reader
	closed bool
}

func (w *watchedReader) Read(p []byte) (int, error) {
	if w.closed {
		panic("read after Close")
	}
	return w.r.Read(p)
}
