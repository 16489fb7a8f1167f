package powertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/testbed/disk"
)

// TestFiles cuts power around every flush that a disk gets from files that are replaced
// (impl/atomicfile), and after each replacement.
func TestFiles(t *testing.T) {
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			s := disks(t)
			f.fresh(t, s, "files")
			_, data := place(t)
			if err := s.Mount("files", f.name, data, f.mount); err != nil {
				t.Fatal(err)
			}
			l := &ledger{now: func() int {
				n, err := s.Taken("files")
				if err != nil {
					t.Fatal(err)
				}
				return n
			}}
			if err := replaceFiles(data, l); err != nil {
				t.Fatal(err)
			}
			if err := f.unmount(data); err != nil {
				t.Fatal(err)
			}
			r := newTrial(t, s, f, "files", l)
			at := l.moments()
			for i, q := range r.requests {
				if q.Kind == disk.Flush {
					at = append(at, i, i+1)
				}
			}
			for _, at := range at {
				for _, mode := range []disk.Mode{disk.Everything, disk.Nothing} {
					err := r.after(disk.Cut{At: at, Mode: mode}, func() error {
						if wrong := r.compare(at, files(r.target)); len(wrong) > 0 {
							return fmt.Errorf("\n%s", lines(wrong))
						}
						return nil
					})
					if err != nil {
						t.Errorf("after %d of %d requests, with %v: %v", at, len(r.requests), mode, err)
					}
				}
			}
			t.Logf("%d answers, %d requests, %d cuts", len(l.moments()), len(r.requests), r.tried)
		})
	}
}

// replaceFiles writes files anew, and gives some another name.
func replaceFiles(dir string, l *ledger) error {
	for i := range 6 {
		name := []string{"a", "b"}[i%2]
		asked, value := l.now(), strings.Repeat(fmt.Sprint(i), 5000)
		if err := atomicfile.Write(filepath.Join(dir, name), []byte(value), 0o600, atomicfile.Synced()); err != nil {
			return err
		}
		l.tell(asked, map[string]string{name: value})
		if name == "a" {
			continue
		}
		asked = l.now()
		if err := atomicfile.Rename(filepath.Join(dir, name), filepath.Join(dir, "c")); err != nil {
			return err
		}
		l.tell(asked, map[string]string{name: "", "c": value})
	}
	return nil
}

// files are those in a directory that are not unfinished, with their content.
func files(dir string) map[string]string {
	found := map[string]string{}
	paths, _ := filepath.Glob(filepath.Join(dir, "?")) // the pattern is right
	for _, path := range paths {
		text, err := os.ReadFile(path)
		found[filepath.Base(path)] = string(text)
		if err != nil {
			found[filepath.Base(path)] = err.Error()
		}
	}
	return found
}
