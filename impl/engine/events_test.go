package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/events"
)

func at(tm time.Time) string { return fmt.Sprintf("%d.%09d", tm.Unix(), tm.Nanosecond()) }

func read(t *testing.T, e *Engine, p hub.SystemEventsParams) string {
	t.Helper()
	var out output
	if err := e.SystemEvents(t.Context(), &p, &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range out.values {
		got = append(got, v.(*models.Event).Action)
	}
	return strings.Join(got, " ")
}

// Both bounds belong to the span, to the nanosecond, and neither loses or
// doubles an event when a reader goes on where it stopped.
func TestEventSpansAreExact(t *testing.T) {
	e := newEngine(t)
	var times []time.Time
	for _, action := range []string{"a", "b", "c", "d"} {
		times = append(times, e.Events.Publish(events.Event{Type: events.Image, Action: action, ID: "x"}).Time)
	}
	for _, c := range []struct{ name, since, until, want string }{
		{"everything", "0", at(times[3]), "a b c d"},
		{"both bounds", at(times[1]), at(times[2]), "b c"},
		{"one nanosecond later", at(times[1].Add(1)), at(times[2]), "c"},
		{"one nanosecond earlier", at(times[1]), at(times[2].Add(-1)), "b"},
		{"one moment", at(times[0]), at(times[0]), "a"},
		{"nothing between", at(times[1].Add(1)), at(times[2].Add(-1)), ""},
		{"whole seconds", fmt.Sprint(times[0].Unix()), fmt.Sprint(times[3].Unix() + 1), "a b c d"},
		{"before everything", "1", "2", ""},
		{"fewer digits are tenths", "1.5", at(times[3]), "a b c d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(t, e, hub.SystemEventsParams{Since: c.since, Until: c.until}); got != c.want {
				t.Fatalf("%q, want %q", got, c.want)
			}
		})
	}
	for _, bad := range []string{"x", "-", "1.x", "1e9", "99999999999999"} {
		if err := e.SystemEvents(t.Context(), &hub.SystemEventsParams{Since: bad}, &output{}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("since=%s: %v", bad, err)
		}
		if err := e.SystemEvents(t.Context(), &hub.SystemEventsParams{Until: bad}, &output{}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("until=%s: %v", bad, err)
		}
	}
	for _, bad := range []string{"nope", `{"weather":["rain"]}`} {
		if err := e.SystemEvents(t.Context(), &hub.SystemEventsParams{Filters: bad}, &output{}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("filters=%s: %v", bad, err)
		}
	}
}

func TestEventsFollowUntilTheClientLeaves(t *testing.T) {
	e := newEngine(t)
	e.Events.Publish(events.Event{Type: events.Volume, Action: "past", ID: "v"})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	seen := make(chan struct{}, 8)
	out := &output{onValue: func() { seen <- struct{}{} }}
	done := make(chan error, 1)
	go func() { done <- e.SystemEvents(ctx, &hub.SystemEventsParams{}, out) }()
	for e.Events.Readers() == 0 {
		time.Sleep(time.Millisecond)
	}
	e.Events.Publish(events.Event{Type: events.Volume, Action: "now", ID: "v"})
	<-seen
	leave()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !out.started || len(out.values) != 1 || out.values[0].(*models.Event).Action != "now" {
		t.Fatalf("%v", out.String())
	}
}

func TestEventForms(t *testing.T) {
	when := time.Unix(1461943101, 301854122)
	for _, c := range []struct {
		name string
		ev   events.Event
		want string
	}{
		{
			"container",
			events.Event{Time: when, Type: "container", Action: "die", ID: "ede5", Attributes: map[string]string{"exitCode": "0", "image": "alpine", "name": "c"}},
			`{"status":"die","id":"ede5","from":"alpine","time":1461943101,"timeNano":1461943101301854122,"Type":"container","Action":"die","Actor":{"ID":"ede5","Attributes":{"exitCode":"0","image":"alpine","name":"c"}}}`,
		},
		{
			"image",
			events.Event{Time: when, Type: "image", Action: "pull", ID: "alpine:latest", Attributes: map[string]string{"name": "alpine"}},
			`{"status":"pull","id":"alpine:latest","time":1461943101,"timeNano":1461943101301854122,"Type":"image","Action":"pull","Actor":{"ID":"alpine:latest","Attributes":{"name":"alpine"}}}`,
		},
		{
			"network",
			events.Event{Time: when, Type: "network", Action: "connect", ID: "7dc8", Attributes: map[string]string{"container": "ede5", "name": "bridge", "type": "bridge"}},
			`{"time":1461943101,"timeNano":1461943101301854122,"Type":"network","Action":"connect","Actor":{"ID":"7dc8","Attributes":{"container":"ede5","name":"bridge","type":"bridge"}}}`,
		},
		{
			"no attributes",
			events.Event{Time: when, Type: "volume", Action: "create", ID: "v"},
			`{"time":1461943101,"timeNano":1461943101301854122,"Type":"volume","Action":"create","Actor":{"ID":"v","Attributes":{}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(eventModel(c.ev))
			if err != nil {
				t.Fatal(err)
			}
			var g, w any
			if err := json.Unmarshal(got, &g); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &w); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(g) != fmt.Sprint(w) {
				t.Fatalf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestEventFilters(t *testing.T) {
	e := newEngine(t)
	const id = "ede54ee1afda366ab42f824e8a5ffd195155d853ceaec74a927f249ea270c743"
	for _, ev := range []events.Event{
		{Type: "container", Action: "create", ID: id, Attributes: map[string]string{"image": "busybox:v1", "name": "web", "env": "prod"}},
		{Type: "container", Action: "exec_start: sh -c x", ID: id, Attributes: map[string]string{"image": "busybox:v1", "name": "web", "env": "prod"}},
		{Type: "container", Action: "die", ID: "77", Attributes: map[string]string{"image": "host:5000/other", "name": "web2"}},
		{Type: "image", Action: "tag", ID: "sha256:0aa1", Attributes: map[string]string{"name": "busybox:v1"}},
		{Type: "volume", Action: "mount", ID: "web", Attributes: map[string]string{"driver": "local"}},
		{Type: "network", Action: "connect", ID: "7dc8", Attributes: map[string]string{"name": "bridge", "container": id}},
	} {
		e.Events.Publish(ev)
	}
	until := at(time.Now())
	for _, c := range []struct{ name, filters, want string }{
		{"none", "", "create exec_start: sh -c x die tag mount connect"},
		{"event", `{"event":["die","tag"]}`, "die tag"},
		{"event without its command", `{"event":["exec_start"]}`, "exec_start: sh -c x"},
		{"type", `{"type":{"network":true}}`, "connect"},
		{"container by name", `{"container":["web"]}`, "create exec_start: sh -c x"},
		{"container by slashed name", `{"container":["/web2"]}`, "die"},
		{"container by short id", `{"container":["ede54ee1"]}`, "create exec_start: sh -c x"},
		{"two containers", `{"container":["77","web"]}`, "create exec_start: sh -c x die"},
		{"an empty name matches nothing", `{"container":[""]}`, ""},
		{"image with tag", `{"image":["busybox:v1"]}`, "create exec_start: sh -c x tag"},
		{"image without tag", `{"image":["busybox"]}`, "create exec_start: sh -c x tag"},
		{"image with another tag", `{"image":["busybox:v2"]}`, ""},
		{"image of a registry", `{"image":["host:5000/other"]}`, "die"},
		{"image by id", `{"image":["sha256:0aa1"]}`, "tag"},
		{"label", `{"label":["env=prod"]}`, "create exec_start: sh -c x"},
		{"label that is not there", `{"label":["env=test"]}`, ""},
		{"volume", `{"volume":["web"]}`, "mount"},
		{"network by name", `{"network":["bridge"]}`, "connect"},
		{"network by id", `{"network":["7dc8"]}`, "connect"},
		{"all keys must match", `{"type":["container"],"event":["create","tag"]}`, "create"},
		{"daemon", `{"daemon":["x"]}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(t, e, hub.SystemEventsParams{Since: "0", Until: until, Filters: c.filters}); got != c.want {
				t.Fatalf("%q, want %q", got, c.want)
			}
		})
	}
}
