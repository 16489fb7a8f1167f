package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// event is an event in the forms of all versions.
type event struct {
	Status, ID, From string
	Time, TimeNano   int64
	Type, Action     string
	Actor            struct {
		ID         string
		Attributes map[string]string
	}
}

// moment is a time as since and until take it.
func moment(nano int64) string { return fmt.Sprintf("%d.%09d", nano/1e9, nano%1e9) }

// events reads a span of events that lies in the past.
func (a *remote) events(since, until string, filters map[string][]string) []event {
	a.t.Helper()
	text, err := json.Marshal(filters)
	if err != nil {
		a.t.Fatal(err)
	}
	q := url.Values{"since": {since}, "until": {until}, "filters": {string(text)}}
	r := a.call(http.MethodGet, "/events?"+q.Encode(), nil, http.StatusOK)
	var all []event
	for d := json.NewDecoder(bytes.NewReader(r.body)); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			a.t.Fatal(err)
		}
		all = append(all, e)
	}
}

// now is the present moment, for until.
func now() string { return moment(time.Now().UnixNano()) }

func actions(all []event) string {
	var names []string
	for _, e := range all {
		name := e.Status
		if name == "" {
			name = e.Action
		}
		name, _, _ = strings.Cut(name, ":")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// Every documented event of containers, volumes, networks and images, in order.
func TestEventsOfAll(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		newest := newRemote(t, a.host, "1.23") // makes what older versions have no operation for
		began := now()
		suffix := strings.ReplaceAll(a.version, ".", "-")
		image, volume, network := "events/of-"+suffix, "events-volume-"+suffix, "events-network-"+suffix
		newest.call(http.MethodPost, "/images/busybox/tag?repo="+image+"&tag=x", nil)
		newest.call(http.MethodPost, "/volumes/create", map[string]any{"Name": volume})
		n, _ := newest.object(http.MethodPost, "/networks/create", map[string]any{"Name": network})["Id"].(string)
		c := newest.create(map[string]any{"Image": image + ":x", "Cmd": shell("trap 'exit 3' TERM; while :; do sleep 0.05; done"), "Tty": true,
			"Labels": map[string]string{"colour": suffix}, "HostConfig": map[string]any{"Binds": []string{volume + ":/v"}, "NetworkMode": network}})
		at := "/containers/" + c
		for _, step := range []struct {
			method, path string
			body         any
		}{
			{http.MethodPost, "/start", nil}, {http.MethodPost, "/resize?h=10&w=20", nil}, {http.MethodGet, "/top", nil},
			{http.MethodPost, "/pause", nil}, {http.MethodPost, "/unpause", nil}, {http.MethodPost, "/rename?name=events-of-all-" + suffix, nil},
			{http.MethodPost, "/update", map[string]any{"CpuShares": 99}}, {http.MethodPost, "/copy", map[string]any{"Resource": "/etc/passwd"}},
			{http.MethodGet, "/archive?path=/etc/passwd", nil}, {http.MethodPut, "/archive?path=/tmp", bytes.NewReader(archiveOf(t, "f", nil))},
			{http.MethodGet, "/export", nil}, {http.MethodPost, "/attach?stdout=1", nil}, {http.MethodPost, "/kill?signal=CONT", nil},
		} {
			newest.call(step.method, at+step.path, step.body)
		}
		newest.says(c, map[string]any{"Cmd": []string{"true"}})
		committed, _ := newest.object(http.MethodPost, "/commit?container="+c+"&repo="+image+"&tag=y", map[string]any{})["Id"].(string)
		newest.call(http.MethodPost, at+"/restart?t=0", nil)
		newest.call(http.MethodPost, at+"/stop?t=0", nil)
		newest.call(http.MethodDelete, at, nil)
		newest.call(http.MethodDelete, "/images/"+image+":x", nil)
		newest.call(http.MethodDelete, "/images/"+image+":y", nil)
		newest.call(http.MethodDelete, "/networks/"+n, nil)
		newest.call(http.MethodDelete, "/volumes/"+volume, nil)
		until := now()

		filters := map[string][]string{"container": {c}}
		const life = "create start resize top pause unpause rename update copy archive-path extract-to-dir export attach kill exec_create exec_start pause commit unpause " +
			"kill kill die stop start restart kill kill die stop destroy"
		got := a.events(began, until, filters)
		if actions(got) != life {
			t.Errorf("of the container: %s\nwant %s", actions(got), life)
		}
		for _, e := range got {
			if e.Status == "" || e.ID != c || e.From != image+":x" || e.Time == 0 || (e.TimeNano != 0) != a.since("1.21") || (e.Type == "container") != a.since("1.22") {
				t.Errorf("form of %+v", e)
			}
		}
		if !a.since("1.22") {
			return // images are told apart by their names only, and nothing else has events
		}
		for _, row := range []struct{ kind, name, want string }{
			{"volume", volume, "create mount unmount mount unmount destroy"},
			{"network", network, "create connect disconnect connect disconnect destroy"},
		} {
			got := a.events(began, until, map[string][]string{row.kind: {row.name}})
			if actions(got) != row.want {
				t.Errorf("of the %s: %s, want %s", row.kind, actions(got), row.want)
			}
			for _, e := range got {
				if e.Type != row.kind || e.Status != "" || e.ID != "" || e.Actor.ID == "" {
					t.Errorf("form of %+v", e)
				}
			}
		}
		for name, want := range map[string]string{image: "tag tag", image + ":x": "tag", committed: "tag untag delete"} {
			if got := actions(a.events(began, until, map[string][]string{"image": {name}, "type": {"image"}})); got != want {
				t.Errorf("of image %s: %s, want %s", name, got, want)
			}
		}

		both := map[string][]string{"container": {c}, "event": {"die", "start"}}
		for name, filters := range map[string]map[string][]string{
			"two events":     both,
			"by name":        {"container": {"events-of-all-" + suffix}, "event": {"die", "start"}},
			"by short id":    {"container": {c[:12]}, "event": {"die", "start"}},
			"with label":     {"container": {c}, "event": {"die", "start"}, "label": {"colour"}},
			"with its value": {"label": {"colour=" + suffix}, "event": {"die", "start"}, "type": {"container"}},
			"with image":     {"image": {image}, "event": {"die", "start"}, "type": {"container"}},
		} {
			got, want := actions(a.events(began, until, filters)), "start die start die"
			if name == "by name" { // after it was renamed
				want = "die start die"
			}
			if got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		for _, filters := range []map[string][]string{
			{"label": {"colour=no"}, "container": {c}}, {"type": {"daemon"}, "container": {c}}, {"container": {c}, "event": {"oom"}},
		} {
			if got := a.events(began, until, filters); len(got) > 0 {
				t.Errorf("%v: %s", filters, actions(got))
			}
		}
	})
}

// since and until belong to the span, to the nanosecond; a reader that comes back
// with the moment after its last event misses nothing and sees nothing twice.
func TestEventsResumed(t *testing.T) {
	forEachVersion(t, "1.21", func(t *testing.T, a *remote) {
		began := now()
		c := a.run(map[string]any{"Cmd": []string{"sleep", "1000"}})
		const kills = 40
		done := make(chan error, 1)
		go func() {
			for range kills {
				if _, err := a.send(http.MethodPost, "/containers/"+c+"/kill?signal=CONT", nil); err != nil {
					done <- err
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
			done <- nil
		}()
		filters, err := json.Marshal(map[string][]string{"container": {c}})
		if err != nil {
			t.Fatal(err)
		}
		var seen []int64
		for since := began; len(seen) < kills+2; {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			answer, err := a.open(ctx, http.MethodGet, "/events?"+url.Values{"since": {since}, "filters": {string(filters)}}.Encode(), nil)
			if err != nil {
				t.Fatal(err)
			}
			lines := json.NewDecoder(answer.Body)
			for range 1 + len(seen)%5 {
				if len(seen) == kills+2 {
					break
				}
				var e event
				if err := lines.Decode(&e); err != nil {
					t.Fatalf("after %d events: %v", len(seen), err)
				}
				seen = append(seen, e.TimeNano)
			}
			since = moment(seen[len(seen)-1] + 1)
			cancel()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		var whole []int64
		for _, e := range a.events(began, now(), map[string][]string{"container": {c}}) {
			whole = append(whole, e.TimeNano)
		}
		if !slices.Equal(seen, whole) {
			t.Errorf("resumed: %v\nat once: %v", seen, whole)
		}
		for i, j := 5, 9; j < 12; i, j = i+1, j+1 {
			got := a.events(moment(whole[i]), moment(whole[j]), map[string][]string{"container": {c}})
			if len(got) != j-i+1 || got[0].TimeNano != whole[i] || got[j-i].TimeNano != whole[j] {
				t.Errorf("from %d to %d: %v", whole[i], whole[j], got)
			}
		}
		seconds := a.events(fmt.Sprint(whole[0]/1e9), fmt.Sprint(whole[len(whole)-1]/1e9+1), map[string][]string{"container": {c}})
		if len(seconds) != len(whole) {
			t.Errorf("in seconds: %d events, want %d", len(seconds), len(whole))
		}
	})
}

// The kernel's killing for want of memory is an event, a state and an exit code.
func TestOutOfMemory(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		began := now()
		c := a.run(map[string]any{"Cmd": shell("exec tail /dev/zero"), "HostConfig": map[string]any{"Memory": 8 << 20, "MemorySwap": 8 << 20}})
		if code := a.wait(c); code != 137 {
			t.Errorf("exit code %d", code)
		}
		if s := a.state(c); s["OOMKilled"] != true || s["ExitCode"] != float64(137) {
			t.Errorf("state: %v", s)
		}
		if got := actions(a.events(began, now(), map[string][]string{"container": {c}})); got != "create start oom die" {
			t.Errorf("events: %s", got)
		}
	})
}
