package logs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// writer appends records as the shim does, with rotation after every `rotate`
// records (0: never) and at most `files` segments.
type writer struct {
	t      *testing.T
	path   string
	rotate int
	files  int
	n      int
	f      *os.File
}

func (w *writer) write(stream, text string) {
	w.t.Helper()
	if w.f != nil && w.rotate > 0 && w.n > 0 && w.n%w.rotate == 0 {
		w.f.Close()
		w.f = nil
		for i := w.files - 1; i > 0; i-- {
			from := fmt.Sprintf("%s.%d", w.path, i-1)
			if i == 1 {
				from = w.path
			}
			_ = os.Rename(from, fmt.Sprintf("%s.%d", w.path, i))
		}
	}
	if w.f == nil {
		f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			w.t.Fatal(err)
		}
		w.f = f
	}
	b, _ := json.Marshal(entry{text, stream, time.Now().UTC().Format(time.RFC3339Nano)})
	if _, err := w.f.Write(append(b, '\n')); err != nil {
		w.t.Fatal(err)
	}
	w.n++
}

func newReader(t *testing.T) *Reader {
	r, err := NewReader()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func read(t *testing.T, r *Reader, path string, q Query) string {
	t.Helper()
	var b strings.Builder
	if err := r.Read(t.Context(), path, q, func(rec Record) error {
		b.Write(rec.Line)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSelection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	w := &writer{t: t, path: path, rotate: 4, files: 3}
	var middle time.Time
	for i := range 10 {
		if i == 7 {
			middle = time.Now()
		}
		w.write([]string{"stdout", "stderr"}[i%2], fmt.Sprintln(i))
	}
	r := newReader(t)
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"all":             {Query{Stdout: true, Stderr: true, Tail: -1}, "0 1 2 3 4 5 6 7 8 9"},
		"stdout":          {Query{Stdout: true, Tail: -1}, "0 2 4 6 8"},
		"stderr":          {Query{Stderr: true, Tail: -1}, "1 3 5 7 9"},
		"tail 0":          {Query{Stdout: true, Stderr: true, Tail: 0}, ""},
		"tail in newest":  {Query{Stdout: true, Stderr: true, Tail: 1}, "9"},
		"tail at border":  {Query{Stdout: true, Stderr: true, Tail: 2}, "8 9"},
		"tail over files": {Query{Stdout: true, Stderr: true, Tail: 5}, "5 6 7 8 9"},
		"tail too many":   {Query{Stdout: true, Stderr: true, Tail: 50}, "0 1 2 3 4 5 6 7 8 9"},
		"since":           {Query{Stdout: true, Stderr: true, Tail: -1, Since: middle}, "7 8 9"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(strings.Fields(read(t, r, path, c.q)), " "); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := read(t, r, filepath.Join(t.TempDir(), "none"), Query{Stdout: true, Tail: -1}); got != "" {
		t.Fatalf("a missing log has %q", got)
	}
}

func TestTornRecordIsPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	w := &writer{t: t, path: path}
	w.write("stdout", "a\n")
	if _, err := w.f.WriteString(`{"log":"torn` + "\n"); err != nil {
		t.Fatal(err)
	}
	w.write("stdout", "b\n")
	if got := read(t, newReader(t), path, Query{Stdout: true, Tail: -1}); got != "a\nb\n" {
		t.Fatalf("got %q", got)
	}
}

func TestFollowThroughRotationLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	w := &writer{t: t, path: path, rotate: 50, files: 100}
	w.write("stdout", "0\n")
	r := newReader(t)
	done := make(chan struct{})
	const n, readers = 3000, 5
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			next := 0
			err := r.Read(t.Context(), path, Query{Stdout: true, Tail: -1, Follow: true, Done: done}, func(rec Record) error {
				if string(rec.Line) != fmt.Sprintln(next) {
					return fmt.Errorf("record %q in place of %d", rec.Line, next)
				}
				next++
				return nil
			})
			if err != nil || next != n {
				t.Errorf("%d of %d records, %v", next, n, err)
			}
		})
	}
	for i := 1; i < n; i++ {
		w.write("stdout", fmt.Sprintln(i))
	}
	close(done)
	wg.Wait()
}

func TestFollowWaitsForTheFirstRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	r := newReader(t)
	got := make(chan string)
	stop := errors.New("stop")
	go func() {
		_ = r.Read(t.Context(), path, Query{Stdout: true, Tail: -1, Follow: true}, func(rec Record) error {
			got <- string(rec.Line)
			return stop
		})
	}()
	(&writer{t: t, path: path}).write("stdout", "x\n")
	if s := <-got; s != "x\n" {
		t.Fatal(s)
	}
}

func TestUntilPosition(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	w := &writer{t: t, path: path}
	w.write("stdout", "a\n")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	w.write("stdout", "b\n")
	q := Query{Stdout: true, Tail: -1, Until: &Position{Inode: inode(info), Offset: info.Size()}}
	if got := read(t, newReader(t), path, q); got != "a\n" {
		t.Fatalf("got %q", got)
	}
}

// A receiver that gathers is told when there is nothing more to wait for, whatever
// became of the records behind the last that it got.
func TestPause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	w := &writer{t: t, path: path}
	r := newReader(t)
	for _, follow := range []bool{false, true} {
		w.write("stdout", "one\n")
		w.write("stderr", "another stream's\n")
		done, sent := make(chan struct{}), make(chan string, 10)
		var gathered strings.Builder
		q := Query{Stdout: true, Tail: 2, Follow: follow, Done: done, Pause: func() error {
			sent <- gathered.String()
			gathered.Reset()
			return nil
		}}
		ended := make(chan error, 1)
		go func() {
			ended <- r.Read(t.Context(), path, q, func(rec Record) error {
				gathered.Write(rec.Line)
				return nil
			})
		}()
		if got := <-sent; got != "one\n" {
			t.Fatalf("follow %v: %q", follow, got)
		}
		if follow {
			w.write("stdout", "two\n")
			for got := ""; got != "two\n"; {
				got += <-sent
			}
		}
		close(done)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	q := Query{Stdout: true, Pause: func() error { return os.ErrClosed }}
	if err := r.Read(t.Context(), path, q, func(Record) error { return nil }); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}
