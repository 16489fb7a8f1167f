package logs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzJournal reads any output of journalctl. Records come out in order, and only of
// the streams that were asked for.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","PRIORITY":"6","MESSAGE":"a","R":"run","E":"2"}`+"\n"+
		`{"__CURSOR":"d","__REALTIME_TIMESTAMP":"2","PRIORITY":"3","MESSAGE":[97,10],"CONTAINER_PARTIAL_MESSAGE":"true"}`+"\n"), int64(1))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":null,"R":"run","E":"9223372036854775807"}`+"\n"), int64(5))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"-1","MESSAGE":[256,-1,"x"],"R":"run","E":"-5"}`+"\n{"), int64(-1))
	f.Fuzz(func(t *testing.T, text []byte, end int64) {
		defer effort.Bound()()
		r := journalReader{j: Journal{RunField: "R", EndField: "E"}, q: Query{Stdout: true, Tail: -1}, yield: func(rec Record) error {
			if rec.Stream != "stdout" || rec.Line == nil {
				t.Errorf("%q: %+v", text, rec)
			}
			return nil
		}}
		if end > 0 {
			r.border = &border{run: "run", left: map[string]int64{"stdout": end}}
		}
		_ = r.records(bufio.NewReader(bytes.NewReader(text))) // any error will do
	})
}

// FuzzRead reads a log of any bytes, from the beginning and by its tail: the tail
// of all is all, and a tail has no more records than were asked for.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2026-01-02T03:04:05.123456789Z"}`+"\n"+`{"log":"b","stream":"stderr","time":"2026-01-02T03:04:05Z","attrs":{"a":"b"}}`+"\n"), 1)
	f.Add([]byte("\n\n{\"log\":\n{}\n"), 2)
	f.Add([]byte(`{"log":"torn`), 1)
	f.Fuzz(func(t *testing.T, text []byte, tail int) {
		defer effort.Bound()()
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
