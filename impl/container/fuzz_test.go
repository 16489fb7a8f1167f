package container

import (
	"encoding/json"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzRecord reads a record as it is at the daemon's start. What can be read is
// written as the same again, and can be used: its state has an answer.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"ID":"a","Name":"/a","Created":"2026-01-02T03:04:05Z","Image":"sha256:00","Config":{"Labels":{"a":"b"}},"HostConfig":{"Memory":1},
		"Mounts":[{"Destination":"/a"}],"Places":[{"NetworkID":"x"}],"State":{"Status":"running","Pid":1}}`))
	f.Add([]byte(`{"Config":null,"State":{"Status":7}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		r, err := read(text)
		if err != nil {
			return
		}
		if r.Config == nil || r.HostConfig == nil {
			t.Fatalf("%q is taken without a configuration", text)
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("%q cannot be written: %v", text, err)
		}
		again, err := read(written)
		if err != nil {
			t.Fatalf("%s of %q: %v", written, text, err)
		}
		if twice, err := json.Marshal(again); err != nil || string(twice) != string(written) {
			t.Errorf("%s became %s: %v", written, twice, err)
		}
		_ = r.clone()
	})
}
