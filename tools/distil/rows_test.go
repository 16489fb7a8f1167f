package main

import (
	"slices"
	"testing"
)

func TestTemplate(t *testing.T) {
	for path, want := range map[string]string{
		"/containers/(id or name)/resize?h=<height>&w=<width>": "/containers/{name}/resize",
		"/exec/(id)/start":         "/exec/{id}/start",
		"/networks/(id or name)":   "/networks/{id}",
		"/images/(name)/json":      "/images/{name}/json",
		"/_ping":                   "/_ping",
		"/containers/(id or name)": "/containers/{name}",
	} {
		if got := template(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestTextsTell(t *testing.T) {
	for _, c := range []struct{ text, kind, value string }{
		{"1/True/true or 0/False/false, Show it (i.e., this defaults to false)", "boolean", "false"},
		{"1/True/true or 0/False/false, return size. Default is `false`.", "boolean", "false"},
		{"Boolean value, quiet. Defaults to `0` / `false` if omitted.", "boolean", "0"},
		{"`ps` arguments to use (e.g., `aux`), defaults to `-ef`", "", "-ef"},
		{"Output lines: `all` or `<number>`. Default all.", "", "all"},
		{"UNIX timestamp (integer) to filter. Default: 0 (unfiltered)", "integer", "0"},
		{"Signal as a string or unsigned integer. `SIGTERM` by default.", "string", "SIGTERM"},
		{"Remove intermediate containers (default behavior).", "", "true"},
		{"If you omit the `tag` the default `latest` value is assumed.", "", ""},
		{"Command to run specified as a string or an array of strings.", "string|array", ""},
		{"A list of DNS servers", "array", ""},
		{"An object mapping ports to an empty object", "object", ""},
	} {
		if got := typeOf(c.text); got != c.kind {
			t.Errorf("%q: type %q, want %q", c.text, got, c.kind)
		}
		if got := defaultOf(c.text); got != c.value {
			t.Errorf("%q: default %q, want %q", c.text, got, c.value)
		}
	}
}

func TestEntriesNest(t *testing.T) {
	got := entries([]row{
		{Name: "HostConfig"},
		{Name: "Binds", Depth: 2, Text: "A list of binds:"},
		{Name: "host-src", Depth: 5},
		{Name: "Ulimits", Depth: 2, Text: `A list of { "Name": <name>, "Soft": <n>, "Hard": <n> }`},
		{Name: "After"},
	})
	if len(got) != 2 || got[1].Name != "After" || len(got[0].Entries) != 2 || len(got[0].Entries[0].Entries) != 0 {
		t.Fatalf("got %+v", got)
	}
	if m := got[0].Entries[1].Mentions; !slices.Equal(m, []string{"Name", "Soft", "Hard"}) {
		t.Errorf("mentions %v", m)
	}
}
