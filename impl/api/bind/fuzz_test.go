package bind

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzRequest reads parameters and a body, a form or JSON, of any text. A fault is the
// client's, and what was read once means the same when it is written and read again.
func FuzzRequest(f *testing.F) {
	f.Add("a=1&b=true&c=x&c=y", "application/json", `{"Image":"a","Cmd":["x"],"HostConfig":{"Memory":1,"CapAdd":"ALL","LxcConf":{"a":"b"}}}`)
	f.Add("a=-9223372036854775808&b=No", "application/x-www-form-urlencoded", "a=7&c=%00&d")
	f.Add("a=%zz", "application/x-www-form-urlencoded; x", "a=%zz")
	f.Add("", "", `null`)
	f.Add(";a=1", "text/plain", `{"image":1,"Image":"x","IMAGE":null} {}`)
	f.Fuzz(func(t *testing.T, query, contentType, text string) {
		defer effort.Bound()()
		r := httptest.NewRequest("POST", "/", strings.NewReader(text))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentType)
		q := newRequest(httptest.NewRecorder(), r, "")
		q.Form()
		n := q.OptionalInt("a")
		yes := q.Bool("b", false)
		if err := q.Err(); err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("%v is not the client's", err)
			}
			return
		}
		again := httptest.NewRequest("POST", "/", nil)
		again.URL.RawQuery = url.Values{"b": {map[bool]string{true: "1", false: "0"}[yes]}, "c": q.Strings("c")}.Encode()
		second := newRequest(httptest.NewRecorder(), again, "")
		if second.Bool("b", !yes) != yes || !reflect.DeepEqual(second.Strings("c"), q.Strings("c")) && len(q.Strings("c")) > 0 {
			t.Errorf("%q and %q are not %q again", query, text, again.URL.RawQuery)
		}
		if n != nil && q.Int("a", *n+1) != *n {
			t.Errorf("%q: two numbers", query)
		}

		r = httptest.NewRequest("POST", "/", strings.NewReader(text))
		r.Header.Set("Content-Type", contentType)
		q = newRequest(httptest.NewRecorder(), r, "")
		body := Body[models.ContainerCreateRequest](q, true)
		if err := q.Err(); err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("%v is not the client's", err)
			}
			return
		}
		written, err := json.Marshal(body)
		if err != nil {
			t.Fatalf("%q cannot be written: %v", text, err)
		}
		r = httptest.NewRequest("POST", "/", strings.NewReader(string(written)))
		q = newRequest(httptest.NewRecorder(), r, "")
		read := Body[models.ContainerCreateRequest](q, true)
		if err := q.Err(); err != nil {
			t.Fatalf("%s of %q: %v", written, text, err)
		}
		if twice, err := json.Marshal(read); err != nil || string(twice) != string(written) {
			t.Errorf("%s became %s: %v", written, twice, err)
		}
	})
}
