package endurance

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/census"
)

// soak is the load's equipment: what all rounds share.
type soak struct {
	*engine
	dir      string
	registry string
	archives [][]byte
	before   census.Census
	kills    int   // of this round
	resident int64 // memory after the first round, bytes
}

const workers = 4

// Killed at random moments under a mixed load, again and again, the daemon
// loses nothing that it acknowledged: no container, log line, event, exit code,
// image, network or volume. What was half-made is there whole, or gone. Restart policies
// hold, and nothing is left over after each round.
func TestKilledUnderLoad(t *testing.T) {
	seed, _ := draws(t)
	n := rounds(t, 20)
	s := &soak{engine: start(t, options{}), dir: t.TempDir()}
	s.registry = s.engine.registry()
	s.equip()
	s.Kill() // the first count is of a daemon that found everything there
	s.comesUp()
	s.warm()
	s.before = s.steady()
	requests := 0
	for round := range n {
		requests += s.round(seed, round)
		if t.Failed() {
			t.Fatalf("round %d of %d; BERTH_SEED=%d", round, n, seed)
		}
		if (round+1)%20 == 0 {
			t.Logf("%d rounds, %d requests", round+1, requests)
		}
	}
	t.Logf("%d rounds, %d requests under load", n, requests)
}

// equip makes an image for each worker to pull and one to load.
func (s *soak) equip() {
	for i := range workers {
		for _, name := range []string{s.source(i), s.loaded(i)} {
			repository, tag, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
			if strings.Contains(name, "/") {
				repository = s.registry + "/" + repository
			}
			noise := make([]byte, 2<<20)
			for j := range noise {
				noise[j] = byte(rand.Uint32())
			}
			if err := s.transfer(context.Background(), "/build?t="+repository+":"+tag, pack(map[string]string{
				"Dockerfile": "FROM busybox\nCOPY noise content /\nCMD [\"cat\", \"/content\"]\n", "content": tag, "noise": string(noise),
			})); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := s.push(s.source(i)); err != nil {
			s.t.Fatal(err)
		}
		s.archives = append(s.archives, s.must(http.MethodGet, "/images/"+s.loaded(i)+"/get", nil, http.StatusOK).body)
		s.must(http.MethodDelete, "/images/"+s.source(i), nil, http.StatusOK)
		s.must(http.MethodDelete, "/images/"+s.loaded(i), nil, http.StatusOK)
	}
}

func (s *soak) source(worker int) string {
	return fmt.Sprintf("%s/soak:source%d", s.registry, worker)
}
func (s *soak) loaded(worker int) string { return fmt.Sprintf("loaded:loaded%d", worker) }

func (s *soak) push(name string) error {
	i := strings.LastIndex(name, ":")
	r, err := http.NewRequest(http.MethodPost, "http://engine/v1.23/images/"+name[:i]+"/push?tag="+name[i+1:], nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Registry-Auth", "e30=") // {}
	resp, err := s.hc.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || strings.Contains(string(text), `"error"`)) {
		err = fmt.Errorf("push: %s: %s", resp.Status, text)
	}
	return err
}

// round is one kill: load, kill, sometimes kills during the way back, and all
// the questions.
func (s *soak) round(seed uint64, round int) (requests int) {
	draw := rand.New(rand.NewPCG(seed, uint64(round)+1))
	l, seen := s.load(seed, round, draw, true)
	s.meanwhile(l, draw)
	s.kills = 1 + draw.IntN(3)
	for range s.kills - 1 {
		s.interrupted(time.Duration(draw.IntN(120)) * time.Millisecond)
	}
	s.comesUp()
	s.check(l, seen)
	s.clear(round)
	// Each round has a daemon of its own, which loads what the ones before have left:
	// memory that grows with the rounds is history that is kept for nothing.
	if now := s.memory(); s.resident == 0 {
		s.resident = now
	} else if now > s.resident+maxGrowth {
		s.t.Errorf("the daemon has %d KiB after round %d, and had %d KiB after the first", now>>10, round, s.resident>>10)
	}
	return l.requests
}

// load puts load on the daemon for a while, until it is killed in the midst of it or
// all requests are answered. It gives what was asked for and the events that were seen.
func (s *soak) load(seed uint64, round int, draw *rand.Rand, kill bool) (*ledger, []event) {
	l := &ledger{began: time.Now()}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seen := s.listen(ctx)
	var busy sync.WaitGroup
	for i := range workers {
		w := &worker{
			client: s.client, ledger: l, Rand: rand.New(rand.NewPCG(seed, uint64(round*workers+i)|1<<32)), dir: s.dir,
			prefix: fmt.Sprintf("r%dw%d", round, i), source: s.source(i), sourcePrints: fmt.Sprintf("source%d", i),
			loaded: s.loaded(i), loadedPrints: fmt.Sprintf("loaded%d", i), archive: s.archives[i],
		}
		busy.Go(func() { w.work(ctx) })
	}
	// So many requests and not so long: a machine that is busy is to meet the
	// same moments.
	for end, wanted := time.Now().Add(10*time.Second), 5+draw.IntN(45); l.count() < wanted && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(draw.IntN(60)) * time.Millisecond)
	if kill {
		l.kill()
		s.Kill()
		cancel()
	} else {
		l.rest()
	}
	busy.Wait()
	cancel()
	s.hc.CloseIdleConnections()
	return l, seen()
}

// meanwhile ends some containers' processes while no daemon is there.
func (s *soak) meanwhile(l *ledger, draw *rand.Rand) {
	for _, b := range l.boxes {
		if b.started != acknowledged || b.stopped != never || b.removed != never || b.kind != always && b.kind != sleeps || draw.IntN(2) == 0 {
			continue
		}
		var pids []string
		for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} { // version 2, version 1
			found, _ := filepath.Glob(hierarchy + s.place.Cgroup + "/" + b.id + "/cgroup.procs")
			pids = append(pids, found...)
		}
		if len(pids) == 0 {
			s.t.Errorf("the cgroup of %s (%s) is gone", b.name, b.id)
			continue
		}
		text, _ := os.ReadFile(pids[0])
		for pid := range strings.FieldsSeq(string(text)) {
			var n int
			if _, err := fmt.Sscan(pid, &n); err == nil && n > 1 {
				_ = syscall.Kill(n, syscall.SIGKILL)
			}
		}
		// Its monitor may be slow on a busy machine, and the end is to be over before a
		// daemon is there.
		eventually(s.t, "the end of "+b.name+" is recorded", func() bool {
			found, _ := filepath.Glob(filepath.Join(s.engine.dir, "exec", "*", b.id, "exit"))
			return len(found) == 1
		})
		b.stopped = asked
		if b.kind == always {
			b.stopped = never // its policy is to bring it back
		}
		b.marks = append(b.marks[:len(b.marks):len(b.marks)], "") // it was ended from outside
	}
}

// clear removes what the round made and waits until nothing is left of it.
func (s *soak) clear(round int) {
	var boxes []struct{ ID string }
	if err := s.must(http.MethodGet, "/containers/json?all=1", nil).decode(&boxes); err != nil {
		s.t.Fatal(err)
	}
	for _, b := range boxes {
		s.remove(b.ID)
	}
	var networks []struct{ Name string }
	if err := s.must(http.MethodGet, "/networks", nil).decode(&networks); err != nil {
		s.t.Fatal(err)
	}
	for _, n := range networks {
		if strings.HasPrefix(n.Name, fmt.Sprintf("r%dw", round)) {
			s.must(http.MethodDelete, "/networks/"+n.Name, nil)
		}
	}
	var volumes struct{ Volumes []struct{ Name string } }
	if err := s.must(http.MethodGet, "/volumes", nil).decode(&volumes); err != nil {
		s.t.Fatal(err)
	}
	for _, v := range volumes.Volumes {
		s.must(http.MethodDelete, "/volumes/"+v.Name, nil)
	}
	var images []struct {
		ID       string `json:"Id"`
		RepoTags []string
	}
	if err := s.must(http.MethodGet, "/images/json", nil).decode(&images); err != nil {
		s.t.Fatal(err)
	}
	for _, i := range images {
		if len(i.RepoTags) != 1 || i.RepoTags[0] != "busybox:latest" {
			s.must(http.MethodDelete, "/images/"+i.ID+"?force=1", nil, http.StatusOK, http.StatusNotFound)
		}
	}
	s.warm() // the daemon may be a new one
	s.settles(s.before)
}

// maxGrowth is how much the daemon's memory may differ from round to round,
// bytes: by what its garbage collector leaves, and the history of events, which has
// a bound of its own.
const maxGrowth = 48 << 20
