package powertest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/disk"
)

// record has a berthd at work on a new disk, and gives what it told.
func record(t *testing.T, s *disk.Server, f filesystem, name string, random *rand.Rand, drawn int) *ledger {
	t.Helper()
	f.fresh(t, s, name)
	dir, data := place(t)
	if err := s.Mount(name, f.name, data, f.mount); err != nil {
		t.Fatal(err)
	}
	e, err := boot(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{now: func() int {
		n, err := s.Taken(name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}}
	w := &load{engine: e, ledger: l, random: random, registry: serveRegistry(t, e.netns)}
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	w.work(t, drawn)
	if _, err := e.ask(http.MethodGet, "/info", nil); err != nil {
		t.Fatal(err)
	}
	complaints, err := e.end()
	if err != nil {
		t.Fatal(err)
	}
	if len(complaints) > 0 {
		t.Errorf("the daemon complains under load:\n%s", lines(complaints))
	}
	if err := f.unmount(data); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestPowerLoss looks at what a working engine leaves, has a berthd start on some of it,
// and takes the power of some once more.
func TestPowerLoss(t *testing.T) {
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			random := draws(t)
			for range setting(t, "POWER_ROUNDS", 1) {
				s := disks(t)
				began := time.Now()
				l := record(t, s, f, "disk", random, 20)
				r := newTrial(t, s, f, "disk", l)
				flushes := 0
				for _, q := range r.requests {
					if q.Kind == disk.Flush {
						flushes++
					}
				}
				t.Logf("recorded in %v: %d answers, %d requests, %d of them flushes", time.Since(began).Round(time.Millisecond), len(l.moments()), len(r.requests), flushes)
				cuts := setting(t, "POWER_CUTS", 100)
				if f.name != "ext4" { // where the data root is, mostly
					cuts = (cuts + 1) / 2
				}
				r.lookAll(t, random, cuts)
				r.startAll(t, random, setting(t, "POWER_STARTS", 4))
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func (r *trial) lookAll(t *testing.T, random *rand.Rand, n int) {
	t.Helper()
	began, tried, twice := time.Now(), map[disk.Mode]int{}, 0
	for i, c := range r.cuts(random, n) {
		tried[c.Mode]++
		var wrong []string
		if i%20 == 19 {
			twice += 3
			wrong = r.again(c, random, 3)
		} else {
			wrong = r.look(c)
		}
		if len(wrong) > 0 {
			t.Errorf("after %d of %d requests, with %v:\n%s", c.At, len(r.requests), c.Mode, lines(wrong))
		}
	}
	var modes []string
	for _, mode := range disk.Modes {
		modes = append(modes, fmt.Sprintf("%d with %v", tried[mode], mode))
	}
	t.Logf("%d cuts (%s) and %d second ones in %v", n, strings.Join(modes, ", "), twice, time.Since(began).Round(time.Millisecond))
}

// startAll has a berthd start, half of the times where a container with a volume was
// just made and nothing unsynced is kept, and a quarter of them where the first daemon
// makes what all begins with.
func (r *trial) startAll(t *testing.T, random *rand.Rand, n int) {
	t.Helper()
	began, made := time.Now(), r.momentsOf("content of ")
	for i, c := range r.cuts(random, 3*n)[2*n:] {
		switch i % 4 {
		case 0, 2:
			c.At, c.Mode = made[random.IntN(len(made))], disk.Nothing
		case 1:
			c.At = random.IntN(r.moments()[0] + 1)
		}
		if wrong := r.start(t, c); len(wrong) > 0 {
			t.Errorf("a start after %d of %d requests, with %v:\n%s", c.At, len(r.requests), c.Mode, lines(wrong))
		}
	}
	t.Logf("%d starts in %v", n, time.Since(began).Round(time.Millisecond))
}
