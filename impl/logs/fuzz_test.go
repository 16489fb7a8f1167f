package logs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead reads a log of any bytes, from the beginning and by its tail: the tail
// of all is all, and a tail has no more records than were asked for.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}`+"\n"+`{"log":"b","stream":"stderr","time":"2026-01-02T03:04:05Z","attrs":{"a":"b"}}`+"\n"), 1)
	f.Add([]byte("\n\n{\"log\":\n{}\n"), 2)
	f.Add([]byte(`{"log":"torn`), 1)
	f.Fuzz(func(t *testing.T, text []byte, tail int) {
		path := filepath.Join(t.TempDir(), "a.log")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		read := func(tail int) (records []Record) {
			file, err := first(path, tail)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			for {
				line, err := file.next()
				if errors.Is(err, io.EOF) {
					return records
				}
				if err != nil {
					t.Fatal(err)
				}
				if r, ok := decode(line); ok {
					r.Line = bytes.Clone(r.Line)
					records = append(records, r)
				}
			}
		}
		all, some := read(-1), read(max(tail, 0))
		if len(some) > max(tail, 0) || len(some) > len(all) {
			t.Fatalf("%d records by a tail of %d, %d in all", len(some), tail, len(all))
		}
		for i, r := range some {
			if of := all[len(all)-len(some)+i]; !bytes.Equal(r.Line, of.Line) || !r.Time.Equal(of.Time) || r.Stream != of.Stream {
				t.Errorf("record %d of the tail %d: %v, wanted %v", i, tail, r, of)
			}
		}
		if lines := bytes.Count(text, []byte("\n")); len(read(lines)) != len(all) {
			t.Errorf("the tail of all %d lines is %d records of %d", lines, len(read(lines)), len(all))
		}
	})
}
