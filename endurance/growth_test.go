package endurance

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// One daemon under a mixed load, for BERTH_TIME, does not grow: whenever the load
// rests and what it made is removed, everything is as before it (open files,
// goroutines, processes, mounts, devices, cgroups, files), and the memory of the
// last quarter of the time is that of the first. Nothing is lost meanwhile.
func TestSoak(t *testing.T) {
	seed, _ := draws(t)
	s := &soak{engine: start(t, options{}), dir: t.TempDir()}
	s.registry = s.engine.registry()
	s.equip()
	s.warm()
	s.before = s.steady()
	var memory []int64
	requests := 0
	const least = 8 // rounds, for quarters
	for end := time.Now().Add(duration(t, 20*time.Second)); time.Now().Before(end) || len(memory) < least; {
		round := len(memory) + 1
		requests += s.rest(seed, round)
		if t.Failed() {
			t.Fatalf("round %d; BERTH_SEED=%d", round, seed)
		}
		memory = append(memory, s.memory())
		if round%50 == 0 {
			t.Logf("%d rounds, %d requests, %d KiB", round, requests, memory[len(memory)-1]>>10)
		}
	}
	quarter := func(i int) int64 {
		part := slices.Sorted(slices.Values(memory[i*len(memory)/4 : (i+1)*len(memory)/4]))
		return part[len(part)/2]
	}
	t.Logf("%d rounds, %d requests; memory by quarters: %d, %d, %d, %d KiB", len(memory), requests,
		quarter(0)>>10, quarter(1)>>10, quarter(2)>>10, quarter(3)>>10)
	if quarter(3) > quarter(0)+maxSoakGrowth {
		t.Errorf("the daemon has %d KiB in the last quarter, and had %d KiB in the first", quarter(3)>>10, quarter(0)>>10)
	}
}

// maxSoakGrowth is how much the memory of two quarters may differ, bytes: by the
// history of events, which fills up to its bound, and what the garbage collector
// leaves.
const maxSoakGrowth = 16 << 20

// rest is one round of load after which the daemon goes on.
func (s *soak) rest(seed uint64, round int) (requests int) {
	draw := rand.New(rand.NewPCG(seed, uint64(round)+1))
	l, seen := s.load(seed, round, draw, false)
	s.check(l, seen)
	s.clear(round)
	return l.requests
}
