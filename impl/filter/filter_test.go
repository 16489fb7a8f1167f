package filter

import (
	"fmt"
	"testing"

	"github.com/containerd/errdefs"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", "map[]"},
		{"an empty object", "{}", "map[]"},
		{"null", "null", "map[]"},
		{"lists", `{"status":["exited","created"],"label":["a=b"]}`, "map[label:[a=b] status:[created exited]]"},
		{"sets", `{"type":{"custom":true,"builtin":true}}`, "map[type:[builtin custom]]"},
		{"both forms at once", `{"a":["1"],"b":{"2":true}}`, "map[a:[1] b:[2]]"},
		{"doubles", `{"a":["1","1"]}`, "map[a:[1]]"},
		{"a key without values is no condition", `{"a":[],"b":{}}`, "map[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Parse(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(f); got != c.want {
				t.Fatalf("%s, want %s", got, c.want)
			}
		})
	}
	for _, bad := range []string{"nope", "[]", `"a"`, `{"a":"b"}`, `{"a":[1]}`, `{"a":{"b":1}}`, `{"a":["b"]`, `{} {}`} {
		if _, err := Parse(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestConditions(t *testing.T) {
	f := Conditions{"label": {"a", "b=1"}, "name": {"web"}, "dangling": {"true"}, "odd": {"perhaps"}, "both": {"0", "true"}}
	labels := func(want bool, l map[string]string) {
		t.Helper()
		if f.MatchLabels(l) != want {
			t.Errorf("labels %v: want %v", l, want)
		}
	}
	labels(true, map[string]string{"a": "x", "b": "1", "c": ""})
	labels(false, map[string]string{"a": "x", "b": "2"})
	labels(false, map[string]string{"b": "1"})
	labels(false, nil)
	if !f.Match("name", "db", "web") || f.Match("name", "webs") || !f.Match("absent", "x") || f.Match("name") {
		t.Error("Match")
	}
	if !f.MatchPart("name", "my-web-1") || f.MatchPart("name", "we") || !f.MatchPart("absent", "") {
		t.Error("MatchPart")
	}
	if err := f.Only("label", "name", "dangling", "odd"); !errdefs.IsInvalidArgument(err) || err.Error() != "Invalid filter 'both'" {
		t.Error(err)
	}
	if v, err := f.Boolean("dangling"); err != nil || v == nil || !*v {
		t.Error(v, err)
	}
	if v, err := f.Boolean("both"); err != nil || v != nil {
		t.Error(v, err)
	}
	if v, err := f.Boolean("absent"); err != nil || v != nil {
		t.Error(v, err)
	}
	if _, err := f.Boolean("odd"); !errdefs.IsInvalidArgument(err) || err.Error() != "Invalid filter 'odd=perhaps'" {
		t.Error(err)
	}
}
