package runtime

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

// Whatever the pace of either side, the bytes come out in order.
func TestSpoolOrder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := newSpool(t.TempDir(), 64<<20)
		var in, out bytes.Buffer
		for range 200 {
			chunk := make([]byte, r.IntN(64<<10))
			for i := range chunk {
				chunk[i] = byte(r.Uint32())
			}
			in.Write(chunk)
			if _, err := s.Write(chunk); err != nil {
				t.Fatal(err)
			}
			for out.Len() < in.Len() && r.IntN(3) > 0 {
				n, err := io.CopyN(&out, s, int64(min(r.IntN(100<<10)+1, in.Len()-out.Len())))
				if err != nil {
					t.Fatal(n, err)
				}
			}
		}
		s.end(io.EOF)
		if _, err := io.Copy(&out, s); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(in.Bytes(), out.Bytes()) {
			t.Fatalf("seed %d: %d bytes in, %d out", seed, in.Len(), out.Len())
		}
		s.close()
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after close: %v", err)
		}
	}
}

func TestSpoolLimit(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(dir, 1<<20)
	defer s.close()
	chunk := make([]byte, 128<<10)
	n := 0
	for ; n < 100; n++ {
		if _, err := s.Write(chunk); err != nil {
			break
		}
	}
	if kept := int64(n * len(chunk)); kept < 1<<20 || kept > 1<<20+spoolMemory {
		t.Errorf("kept %d bytes", kept)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("files with names: %v, %v", names, err)
	}
}
