package build

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"testing"
)

// BenchmarkLargeContext builds an image of one file of 256 MiB that the client sends.
func BenchmarkLargeContext(b *testing.B) {
	const size = 256 << 20
	p := newPlace(b)
	b.SetBytes(size)
	for b.Loop() {
		r, w := io.Pipe()
		go func() {
			t := tar.NewWriter(w)
			text := "FROM busybox\nCOPY large /large\n"
			_ = t.WriteHeader(&tar.Header{Name: "Dockerfile", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
			_, _ = io.WriteString(t, text)
			_ = t.WriteHeader(&tar.Header{Name: "large", Typeflag: tar.TypeReg, Mode: 0o644, Size: size})
			chunk := bytes.Repeat([]byte("pattern"), 1<<20/7+1)[:1<<20]
			for range size / len(chunk) {
				if _, err := t.Write(chunk); err != nil {
					break
				}
			}
			w.CloseWithError(t.Close())
		}()
		if _, err := p.build(&Request{Context: r, Remove: true, NoCache: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCachedBuild builds what was built before.
func BenchmarkCachedBuild(b *testing.B) {
	p := newPlace(b)
	var text bytes.Buffer
	fmt.Fprint(&text, "FROM busybox\nCOPY Dockerfile /copied\n")
	for i := range 8 {
		fmt.Fprintf(&text, "ENV K%d=v\n", i)
	}
	files := contextOf(b, text.String())
	if _, err := p.build(&Request{Context: bytes.NewReader(files), Remove: true}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.build(&Request{Context: bytes.NewReader(files), Remove: true}); err != nil {
			b.Fatal(err)
		}
	}
	if p.hits() != 9 {
		b.Errorf("%d steps were cached:\n%s", p.hits(), p.said.String())
	}
}

// BenchmarkManyFiles builds an image of 20,000 small files.
func BenchmarkManyFiles(b *testing.B) {
	p := newPlace(b)
	entries := []entry{}
	for i := range 20_000 {
		entries = append(entries, entry{name: fmt.Sprintf("many/%d/%d", i%100, i), body: fmt.Sprintf("file %d\n", i)})
	}
	files := contextOf(b, "FROM busybox\nCOPY many /many\n", entries...)
	for b.Loop() {
		if _, err := p.build(&Request{Context: bytes.NewReader(files), Remove: true, NoCache: true}); err != nil {
			b.Fatal(err)
		}
	}
}
