package powertest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/testbed/disk"
)

// The disks do what they are there for: what a program had synced is there after a loss
// of power, and what it had not is not; what came after a flush is there in part.
func TestDisks(t *testing.T) {
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			s := disks(t)
			f.fresh(t, s, "disk")
			_, data := place(t)
			if err := s.Mount("disk", f.name, data, f.mount); err != nil {
				t.Fatal(err)
			}
			write := func(name string, sync bool) (at int) {
				t.Helper()
				file, err := os.Create(filepath.Join(data, name))
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				if _, err := file.WriteString(name); err != nil {
					t.Fatal(err)
				}
				if sync {
					if err := file.Sync(); err != nil {
						t.Fatal(err)
					}
				}
				if at, err = s.Taken("disk"); err != nil {
					t.Fatal(err)
				}
				return at
			}
			first := write("first", true)
			second := write("second", true)
			third := write("third", false)
			if second <= first || third < second {
				t.Fatalf("the moments are %d, %d and %d", first, second, third)
			}
			if err := f.unmount(data); err != nil {
				t.Fatal(err)
			}
			r := newTrial(t, s, f, "disk", &ledger{})
			for _, c := range []struct {
				at   int
				mode disk.Mode
				want []string
			}{
				{0, disk.Everything, nil},
				{first, disk.Nothing, []string{"first"}},
				{first, disk.Everything, []string{"first"}},
				{second, disk.Nothing, []string{"first", "second"}},
				{third, disk.Everything, []string{"first", "second"}},
				{len(r.requests), disk.Everything, []string{"first", "second", "third"}},
			} {
				err := r.after(disk.Cut{At: c.at, Mode: c.mode}, func() error {
					var have []string
					for _, name := range []string{"first", "second", "third"} {
						if text, err := os.ReadFile(filepath.Join(r.target, name)); err == nil && string(text) == name {
							have = append(have, name)
						}
					}
					if !slices.Equal(have, c.want) {
						return fmt.Errorf("there are %q, not %q", have, c.want)
					}
					return nil
				})
				if err != nil {
					t.Errorf("after %d of %d requests, with %v: %v", c.at, len(r.requests), c.mode, err)
				}
			}
		})
	}
}

// A ledger notices what is lost, what came back, and what nobody asked for.
func TestLedger(t *testing.T) {
	now := 0
	l := &ledger{now: func() int { now += 10; return now }}
	l.tell(l.now(), map[string]string{"image a": "1"}) // asked at 10, answered at 20
	l.tell(l.now(), map[string]string{"image a": ""})  // asked at 30, answered at 40
	for _, c := range []struct {
		at    int
		found map[string]string
		wrong int
	}{
		{10, nil, 0},
		{10, map[string]string{"image a": "1"}, 1},
		{15, nil, 0},
		{15, map[string]string{"image a": "1"}, 0},
		{20, map[string]string{"image a": "1"}, 0},
		{20, nil, 1},
		{30, map[string]string{"image a": "2"}, 1},
		{35, nil, 0},
		{35, map[string]string{"image a": "1"}, 0},
		{40, map[string]string{"image a": "1"}, 1},
		{40, map[string]string{"image b": "1"}, 1},
	} {
		if wrong := l.compare(c.at, c.found); len(wrong) != c.wrong {
			t.Errorf("at %d, found %v: %q", c.at, c.found, wrong)
		}
	}
}
