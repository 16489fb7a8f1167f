package events

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func collect(t *testing.T, l *Log, span Span) []string {
	t.Helper()
	var got []string
	if err := l.Read(t.Context(), span, func(e Event) error {
		got = append(got, e.Action)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestHistorySurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	start := time.Now()
	for i := range keep + 10 { // one rotation
		l.Publish(Event{Type: Container, Action: fmt.Sprint(i)})
	}
	l.Close()
	l = open(t, dir)
	l.Publish(Event{Action: "last"})
	got := collect(t, l, Span{Since: start, Until: time.Now()})
	if len(got) != keep+11 || got[0] != "0" || got[len(got)-1] != "last" {
		t.Fatalf("%d events, first %q, last %q", len(got), got[0], got[len(got)-1])
	}
}

func TestTornLineLosesOnlyItself(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	l.Publish(Event{Action: "a"})
	l.Close()
	f, err := os.OpenFile(filepath.Join(dir, "events.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"time":"2026`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	l = open(t, dir)
	l.Publish(Event{Action: "b"})
	l.Close()
	l = open(t, dir)
	got := collect(t, l, Span{Since: time.Unix(1, 0), Until: time.Now()})
	if fmt.Sprint(got) != "[a b]" {
		t.Fatal(got)
	}
}

func TestResumeIsExact(t *testing.T) {
	l := open(t, t.TempDir())
	var second Event
	for i := range 4 {
		e := l.Publish(Event{Action: fmt.Sprint(i)})
		if i == 1 {
			second = e
		}
	}
	got := collect(t, l, Span{Since: second.Time.Add(1), Until: time.Now()})
	if fmt.Sprint(got) != "[2 3]" {
		t.Fatal(got)
	}
}

func TestManyReadersSeeAllInOrder(t *testing.T) {
	l := open(t, t.TempDir())
	const n, readers = 2000, 20
	since := time.Now()
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			next := 0
			stop := errors.New("stop")
			err := l.Read(t.Context(), Span{Since: since}, func(e Event) error {
				if e.Action != fmt.Sprint(next) {
					return fmt.Errorf("event %s in place of %d", e.Action, next)
				}
				if next++; next == n {
					return stop
				}
				return nil
			})
			if !errors.Is(err, stop) {
				t.Error(err)
			}
		})
	}
	for i := range n {
		l.Publish(Event{Action: fmt.Sprint(i)})
	}
	wg.Wait()
	if l.Readers() != 0 {
		t.Fatalf("%d readers left", l.Readers())
	}
}

func TestReadEndsWithContextAndClose(t *testing.T) {
	l := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- l.Read(ctx, Span{}, func(Event) error { return nil }) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	go func() { done <- l.Read(t.Context(), Span{}, func(Event) error { return nil }) }()
	l.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
