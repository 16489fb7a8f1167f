package filter

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzParse reads the parameter: what it says can be written and read
// again as the same.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "null", `{"label":["a=b","c"],"status":{"exited":true,"paused":false}}`, `{"a":[]}`, `{"a":["x"],"a":{"y":true}}`, `{"a":"x"}`, `{"":[""]}`, `[]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		defer effort.Bound()()
		read, err := Parse(text)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("%v is not the client's", err)
			}
			return
		}
		written, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse(string(written)); err != nil || !reflect.DeepEqual(read, again) {
			t.Errorf("%q: %v became %v: %v", text, read, again, err)
		}
		_, _ = read.Boolean("dangling")
		_ = read.MatchLabels(map[string]string{"a": "b"})
	})
}
