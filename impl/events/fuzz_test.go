package events

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzOpen continues a history of any bytes: it is read, an event is added, and
// after the next start all is there again in the order of time.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05.1Z","type":"container","action":"create","id":"a","attributes":{"a":"b"}}`+"\n"), []byte{})
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z"`), []byte("{}\n\x00\n"))
	f.Add([]byte(`{"time":"9999-12-31T23:59:59.999999999Z"}`+"\n"), []byte(`{"time":"0001-01-01T00:00:00+23:59"}`+"\n"))
	f.Fuzz(func(t *testing.T, newer, older []byte) {
		defer effort.Bound()()
		dir := t.TempDir()
		for name, text := range map[string][]byte{"events.jsonl": newer, "events.1.jsonl": older} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		open := func() *Log {
			l, err := Open(dir, func(error) {})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		l := open()
		before := len(l.events)
		mark := l.Publish(Event{Type: Container, Action: "fuzz", ID: "x"})
		if !mark.Time.After(time.Time{}) {
			t.Errorf("an event at %v", mark.Time)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open()
		defer l.Close()
		if n := len(l.events); n != before+1 {
			t.Fatalf("%d events, %d before", n, before)
		}
		if last := l.events[before]; !last.Time.Equal(mark.Time) || !reflect.DeepEqual(last.Attributes, mark.Attributes) || last.Action != "fuzz" {
			t.Errorf("%+v, wanted %+v", last, mark)
		}
	})
}
