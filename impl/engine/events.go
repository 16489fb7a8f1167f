package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/filter"
	"github.com/seed-50ced230/berth/impl/stream"
)

// SystemEvents serves GET /events: first the history from since on, then what
// happens, until until has passed or the client is gone. Both bounds belong to
// the span. The answer's head goes out at once, so that a client knows that it
// misses nothing from then on.
func (e *Engine) SystemEvents(ctx context.Context, p *hub.SystemEventsParams, out stream.Output) error {
	conditions, err := filter.Parse(p.Filters)
	if err != nil {
		return err
	}
	if err := conditions.Only("event", "image", "container", "label", "type", "volume", "network", "daemon"); err != nil {
		return err
	}
	since, err := moment(p.Since)
	if err != nil {
		return fault.Invalid("since: %w", err)
	}
	until, err := moment(p.Until)
	if err != nil {
		return fault.Invalid("until: %w", err)
	}
	if err := out.Begin(); err != nil {
		return err
	}
	err = e.Events.Read(ctx, events.Span{Since: since, Until: until}, func(ev events.Event) error {
		if !matchEvent(conditions, ev) {
			return nil
		}
		return out.Encode(eventModel(ev))
	})
	if ctx.Err() != nil {
		return nil // the client left; nobody is there to be told
	}
	return err
}

// moment reads since and until: seconds since 1970 with an optional fraction.
// Only an absent value is the zero time; "0" is the beginning of 1970.
func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := parseTime(s)
	if err == nil && t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t, err
}

// matchEvent says whether an event fulfils the conditions of GET /events (v1.22
// reference, "Monitor Docker's events", filters).
func matchEvent(c filter.Conditions, ev events.Event) bool {
	verb, _, _ := strings.Cut(ev.Action, ":") // of "exec_start: sh -c …"
	if !c.Match("event", ev.Action, verb) || !c.Match("type", ev.Type) || !c.MatchLabels(ev.Attributes) {
		return false
	}
	for _, kind := range []string{events.Container, events.Volume, events.Network, "daemon"} {
		if names, ok := c[kind]; ok && (ev.Type != kind || !isNamed(ev, names)) {
			return false
		}
	}
	return matchImage(c, ev)
}

// isNamed says whether one of the names is the object's name, its id or the
// beginning of its id.
func isNamed(ev events.Event, names []string) bool {
	name := ev.Attributes["name"]
	return slices.ContainsFunc(names, func(n string) bool {
		if n == "" {
			return false
		}
		return n == name || strings.TrimPrefix(n, "/") == name && ev.Type == events.Container ||
			n == ev.ID || ev.Type != events.Volume && strings.HasPrefix(ev.ID, n)
	})
}

// matchImage compares with the image of the event, which for a container is the
// reference that it was created from. Without a tag all tags are meant.
func matchImage(c filter.Conditions, ev events.Event) bool {
	wanted, ok := c["image"]
	if !ok {
		return true
	}
	var known []string
	switch ev.Type {
	case events.Image:
		known = []string{ev.ID, strings.TrimPrefix(ev.ID, "sha256:"), ev.Attributes["name"]}
	case events.Container:
		known = []string{ev.Attributes["image"]}
	}
	for _, k := range known {
		if k != "" && (slices.Contains(wanted, k) || slices.Contains(wanted, repository(k))) {
			return true
		}
	}
	return false
}

// repository is a reference without its tag and digest.
func repository(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.FamiliarName(named)
}

// eventModel is an event in the form of v1.22 and later. What the versions
// before had (status, id, from) is there for containers and images only.
func eventModel(ev events.Event) *models.Event {
	m := &models.Event{
		Time:     ev.Time.Unix(),
		TimeNano: ev.Time.UnixNano(),
		Type:     ev.Type,
		Action:   ev.Action,
		Actor:    &models.EventActor{ID: ev.ID, Attributes: ev.Attributes},
	}
	if m.Actor.Attributes == nil {
		m.Actor.Attributes = map[string]string{}
	}
	switch ev.Type {
	case events.Container:
		m.Status, m.ID, m.From = ev.Action, ev.ID, ev.Attributes["image"]
	case events.Image:
		m.Status, m.ID = ev.Action, ev.ID
	}
	return m
}

// publish tells that something happened to a container.
func (e *Engine) publish(r *container.Record, action string, more map[string]string) {
	e.Events.Publish(events.Event{
		Type:       events.Container,
		Action:     action,
		ID:         r.ID,
		Attributes: attributes(r, more),
	})
}
