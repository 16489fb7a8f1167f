package logs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// slow is what a record means, by encoding/json.
func slow(line []byte) (Record, bool) {
	var e entry
	if json.Unmarshal(line, &e) != nil {
		return Record{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, e.Time)
	return Record{Time: t, Stream: e.Stream, Line: []byte(e.Log)}, err == nil
}

const end = `","stream":"stdout","time":"2026-03-01T10:11:12.000000013Z"}`

var written = []string{
	`{"log":"plain\n` + end,
	`{"log":"` + end,
	`{"log":"\"\\\/\b\f\n\r\t\u003c\u00e4\u20ac` + end,
	`{"log":"ä€😀` + end,
	`{"log":"x","stream":"stderr","time":"2026-03-01T10:11:12Z"}`,
	`{"log":"x","stream":"stderr","time":"2026-03-01T10:11:12+02:00"}`,
}

var otherwise = []string{
	``, `{`, `{"log":"`, `{"log":"x`, `{"log":"x\`, `{"log":"x\u00` + end, `{"log":"x\uzzzz` + end, `{"log":"x\z` + end,
	`{"log":"\ud83d\ude00` + end, `{"log":"\ud83d` + end, "{\"log\":\"\xff" + end, "{\"log\":\"\x01" + end,
	`{"log":"x","stream":"stdout","attrs":{"a":"b"},"time":"2026-03-01T10:11:12Z"}`,
	`{"log":"x","stream":"stdout","time":"2026-03-01T10:11:12Z","log":"y"}`,
	`{"log":"x","stream":"stdout","time":"never"}`, `{"stream":"stdout","log":"x","time":"2026-03-01T10:11:12Z"}`,
	`{"log":"x","stream":"stdin","time":"2026-03-01T10:11:12Z"}`, `{"log":"x","stream":"st`, `{"log": "x","stream":"stdout","time":"2026-03-01T10:11:12Z"}`,
}

// The form that is written is read without encoding/json.
func TestWrittenForm(t *testing.T) {
	for _, text := range written {
		if _, ok := decodeWritten([]byte(text)); !ok {
			t.Errorf("not read: %s", text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range append(written, otherwise...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		defer effort.Bound()()
		want, wantOK := slow(line)
		before := bytes.Clone(line)
		if _, ok := decodeWritten(line); !ok && !bytes.Equal(line, before) {
			t.Fatalf("%q became %q", before, line)
		}
		got, ok := decode(bytes.Clone(before))
		if ok != wantOK {
			t.Fatalf("%q: %v, encoding/json says %v", before, ok, wantOK)
		}
		if ok && (!got.Time.Equal(want.Time) || got.Stream != want.Stream || !bytes.Equal(got.Line, want.Line)) {
			t.Fatalf("%q: %+v, encoding/json says %+v", before, got, want)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	line := []byte(`{"log":"` + strings.Repeat("0123456789abcde ", 5) + `\n` + end)
	again := make([]byte, len(line))
	b.SetBytes(80)
	for b.Loop() {
		copy(again, line)
		if _, ok := decode(again); !ok {
			b.Fatal("not read")
		}
	}
}
