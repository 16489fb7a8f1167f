package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-50ced230/berth/impl/image/testimage"
)

// benchImage has layers of files of mixed sizes, 64 MiB in all.
func benchImage(tag string) testimage.Image {
	random := rand.New(rand.NewSource(1))
	img := testimage.Image{Tags: []string{tag}}
	for l := range 4 {
		var files []testimage.File
		for d := range 20 {
			dir := fmt.Sprintf("layer%d/dir%d/", l, d)
			files = append(files, testimage.File{Name: dir})
			for f := range 40 {
				size := 2 << 10
				if f == 0 {
					size = 700 << 10
				}
				body := make([]byte, size)
				random.Read(body[:size/2]) // the other half compresses, as programs do
				files = append(files, testimage.File{Name: fmt.Sprintf("%sfile%d", dir, f), Body: body})
			}
		}
		img.Layers = append(img.Layers, files)
	}
	return img
}

func BenchmarkLoad(b *testing.B) {
	archive := archiveOf(b, benchImage("bench:latest"))
	b.SetBytes(int64(len(archive)))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s := open(b, b.TempDir())
		b.StartTimer()
		if _, err := s.Load(context.Background(), bytes.NewReader(archive), nil); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(s.root); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkSave(b *testing.B) {
	s := newStore(b)
	archive := archiveOf(b, benchImage("bench:latest"))
	load(b, s, archive)
	b.SetBytes(int64(len(archive)))
	for b.Loop() {
		if err := s.Save(context.Background(), io.Discard, []string{"bench"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWritable measures one layer made and removed beside others.
func BenchmarkWritable(b *testing.B) {
	for _, n := range []int{1, 2000} {
		b.Run(fmt.Sprintf("beside %d", n), func(b *testing.B) {
			s := newStore(b)
			load(b, s, archiveOf(b, benchImage("bench:latest")))
			img, err := s.Get("bench")
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				if _, err := s.NewWritable(context.Background(), fmt.Sprintf("other%d", i), img.ID); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for b.Loop() {
				w, err := s.NewWritable(context.Background(), "one", img.ID)
				if err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(w.Upper, "file"), []byte("x"), 0o644); err != nil {
					b.Fatal(err)
				}
				if err := s.RemoveWritable("one"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChanges(b *testing.B) {
	s := newStore(b)
	load(b, s, archiveOf(b, benchImage("bench:latest")))
	w := writable(b, s, "one", "bench")
	for i := range 20 {
		p := filepath.Join(w.Upper, fmt.Sprintf("layer%d/dir%d", i%4, i))
		if err := os.MkdirAll(p, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p, "file1"), []byte("x"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if _, err := s.Changes(context.Background(), "one"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList500(b *testing.B) {
	s := newStore(b)
	var images []testimage.Image
	for i := range 500 {
		images = append(images, testimage.Image{Tags: []string{fmt.Sprintf("i%d:latest", i)}, Layers: [][]testimage.File{{{Name: fmt.Sprint("f", i)}}}})
	}
	load(b, s, archiveOf(b, images...))
	b.ResetTimer()
	for b.Loop() {
		list, err := s.List(Filter{})
		if err != nil || len(list) != 500 {
			b.Fatal(len(list), err)
		}
	}
}
