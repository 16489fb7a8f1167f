package endurance

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// event is one of GET /events.
type event struct {
	Type, Action string
	Actor        struct {
		ID         string
		Attributes map[string]string
	}
	TimeNano int64 `json:"timeNano"`
}

// listen reads events until ctx ends; the returned function gives those that
// came.
func (s *soak) listen(ctx context.Context) (seen func() []event) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/v1.23/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.hc.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	result := make(chan []event, 1)
	go func() {
		defer resp.Body.Close()
		var all []event
		d := json.NewDecoder(resp.Body)
		for {
			var e event
			if d.Decode(&e) != nil {
				result <- all
				return
			}
			all = append(all, e)
		}
	}()
	return func() []event { return <-result }
}

// check asks for everything that the ledger holds.
func (s *soak) check(l *ledger, seen []event) {
	for _, f := range l.failures {
		s.t.Errorf("refused before the load was ended: %s", f)
	}
	for _, b := range l.boxes {
		s.checkBox(b)
	}
	for _, t := range l.things {
		s.checkThing(t)
	}
	s.checkEvents(l, seen)
}

func (s *soak) checkBox(b *box) {
	a := s.must(http.MethodGet, "/containers/"+b.name+"/json", nil, http.StatusOK, http.StatusNotFound)
	fail := func(format string, args ...any) {
		s.t.Errorf("%s (%s %s; created %d, started %d, stopped %d, removed %d): %s\n%v",
			b.name, b.kind, b.id, b.created, b.started, b.stopped, b.removed, fmt.Sprintf(format, args...), a)
	}
	if a.status == http.StatusNotFound {
		if b.created == acknowledged && b.removed == never {
			fail("lost")
		}
		return
	}
	if b.removed == acknowledged {
		fail("removed, and there again")
		return
	}
	var st state
	if err := a.decode(&st); err != nil {
		fail("%v", err)
	}
	if b.id != "" && st.ID != b.id {
		fail("another one has the name")
	}
	if b.started != acknowledged || b.removed != never {
		// Half-made or half-removed, and there: then it can be removed, which the end of the
		// round does, and its log can be read.
		s.must(http.MethodGet, "/containers/"+b.name+"/logs?stdout=1", nil, http.StatusOK)
		return
	}
	again := func() state { st = s.inspect(b.name); return st }
	switch b.kind {
	case sleeps, counts, echoes, always:
		switch {
		case b.kind == always && (s.kills > 0 || b.stopped == never):
			// Also one that was stopped: "always" means every start of the daemon.
			for end := time.Now().Add(20 * time.Second); !again().State.Running || st.State.Restarting; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					fail("its restart policy is not honoured: %+v", st.State)
					return
				}
			}
		case b.stopped == acknowledged:
			if st.State.Running || st.State.ExitCode != 137 || st.State.FinishedAt.IsZero() {
				fail("stopped, and now: %+v", st.State)
			}
		case b.stopped == never && !st.State.Running:
			fail("does not run any more: %+v", st.State)
		case b.stopped == asked && b.kind == sleeps && slices.Contains(b.marks, ""):
			if st.State.Running || st.State.ExitCode != 137 {
				fail("killed while there was no daemon, and now: %+v", st.State)
			}
		}
	case ends, retries:
		for end := time.Now().Add(20 * time.Second); again().State.Status != "exited"; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				fail("does not end: %+v", st.State)
				return
			}
		}
		if st.State.ExitCode != b.code || st.State.Error != "" {
			fail("its exit code is lost: %+v", st.State)
		}
	}
	s.checkRuns(b, st, fail)
	s.checkLog(b, fail)
	s.checkFiles(b, st, fail)
}

// checkRuns counts the runs that a restart policy brought about, by what they
// wrote themselves and by what the engine says: one per end, whatever the kills.
func (s *soak) checkRuns(b *box, st state, fail func(string, ...any)) {
	least, most := 1, 1
	switch {
	case b.kind == retries:
		least, most = 3, 3
	case b.kind != always:
		return
	case s.kills == 0: // no start of the daemon brought a stopped one back
	case b.stopped == acknowledged, slices.Contains(b.marks, ""):
		least, most = 2, 2
	case b.stopped == asked: // it was killed, or not
		most = 2
	}
	if n := st.RestartCount + 1; n < least || n > most {
		fail("wants %d to %d runs, counted are %d; %d kills", least, most, n, s.kills)
	}
	text, _ := os.ReadFile(b.runs)
	runs := strings.Count(string(text), "run\n")
	if b.kind == always {
		least = 0 // one that was ended at once may not have come to write
	}
	if runs < least || runs > most {
		fail("wants %d to %d runs, there were %d; %d kills", least, most, runs, s.kills)
	}
}

func (s *soak) checkLog(b *box, fail func(string, ...any)) {
	least := 0
	if b.counts != "" {
		text, err := os.ReadFile(b.counts)
		if err == nil {
			least, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		}
	}
	var text string
	var lines []string
	// A container that runs may be ahead of its log by what is in the pipe.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, _ = split(s.must(http.MethodGet, "/containers/"+b.name+"/logs?stdout=1&stderr=1", nil, http.StatusOK).body)
		if lines = nil; text != "" {
			lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		}
		if len(lines) >= least || time.Now().After(end) {
			break
		}
	}
	switch b.kind {
	case counts:
		for i, line := range lines {
			if line != strconv.Itoa(i+1) && least > 0 {
				fail("the log has a gap: line %d is %q", i+1, line)
				return
			}
		}
		if len(lines) < least {
			fail("the log has %d lines; the counter came to %d", len(lines), least)
		}
	case ends:
		if !slices.Equal(lines, b.lines) {
			fail("the log holds %q", lines)
		}
	case retries:
		if text != "run\nrun\nrun\n" {
			fail("wants three runs, the log holds %q; %d kills", text, s.kills)
		}
	case echoes:
		var heard []string
		for _, line := range lines {
			if slices.Contains(b.echoed, line) {
				heard = append(heard, line)
			}
		}
		if !slices.Equal(heard, b.echoed) {
			fail("attached clients heard %q, the log holds %q", b.echoed, lines)
		}
	}
}

func (s *soak) checkFiles(b *box, st state, fail func(string, ...any)) {
	if b.volume != "" && st.State.Status == "exited" {
		text, err := os.ReadFile(s.data("volumes", b.volume, "_data", b.name))
		if err != nil || string(text) != "kept\n" {
			fail("what it wrote to its volume: %q %v", text, err)
		}
	}
	marks := slices.DeleteFunc(slices.Clone(b.marks), func(m string) bool { return m == "" })
	if len(marks) == 0 {
		return
	}
	a := s.must(http.MethodGet, "/containers/"+b.name+"/archive?path=/marks", nil, http.StatusOK)
	r := tar.NewReader(bytes.NewReader(a.body))
	if _, err := r.Next(); err != nil {
		fail("%v", err)
		return
	}
	var text bytes.Buffer
	_, _ = text.ReadFrom(r)
	for _, m := range marks {
		if !slices.Contains(strings.Fields(text.String()), m) {
			fail("the exec %s is acknowledged, its work is lost: %q", m, &text)
		}
	}
}

func (s *soak) checkThing(t *thing) {
	path := map[string]string{"network": "/networks/" + t.name, "volume": "/volumes/" + t.name, "image": "/images/" + t.name + "/json"}[t.kind]
	a := s.must(http.MethodGet, path, nil, http.StatusOK, http.StatusNotFound)
	if a.status == http.StatusNotFound {
		if t.created == acknowledged && t.removed == never {
			s.t.Errorf("the acknowledged %s %s is lost", t.kind, t.name)
		}
		return
	}
	var found struct{ ID string }
	if err := a.decode(&found); err != nil {
		s.t.Error(err)
	}
	if t.kind == "network" && t.id != "" && found.ID != t.id {
		s.t.Errorf("network %s is another one: %v", t.name, a)
	}
	if t.kind == "image" {
		// A later pull may have made it again, so a removal says nothing. One that
		// is listed is whole.
		if o := s.whole(map[string]any{"Image": t.name, "HostConfig": map[string]any{"NetworkMode": "none"}}); o.code != 0 || strings.TrimSpace(o.stdout) != t.content {
			s.t.Errorf("image %s is not whole: %+v", t.name, o)
		}
	}
}

// checkEvents looks into the history: for what an acknowledged request must
// have left, and for what a client has seen.
func (s *soak) checkEvents(l *ledger, seen []event) {
	moment := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	body := s.must(http.MethodGet, "/events?since="+moment(l.began)+"&until="+moment(time.Now()), nil, http.StatusOK).body
	times := map[int64]bool{}
	found := map[happening]int{}
	for d := json.NewDecoder(bytes.NewReader(body)); d.More(); {
		var e event
		if err := d.Decode(&e); err != nil {
			s.t.Fatal(err)
		}
		times[e.TimeNano] = true
		found[happening{e.Type, e.Action, e.Actor.ID}]++
		if e.Type == "container" && e.Action == "die" && e.Actor.Attributes["exitCode"] == "" {
			s.t.Errorf("an end without exit code: %+v", e)
		}
	}
	for _, h := range l.events {
		if found[h] == 0 {
			s.t.Errorf("the history lacks %+v", h)
		}
		if (h.action == "create" || h.action == "destroy") && found[h] > 1 {
			s.t.Errorf("the history has %+v %d times", h, found[h])
		}
	}
	for _, b := range l.boxes {
		if (b.kind == ends || b.kind == retries) && b.started == acknowledged && b.removed == never && found[happening{"container", "die", b.id}] == 0 {
			s.t.Errorf("the history lacks the end of %s", b.name)
		}
	}
	for _, e := range seen {
		if !times[e.TimeNano] {
			s.t.Errorf("a client saw an event that the history lacks: %+v", e)
		}
	}
}
