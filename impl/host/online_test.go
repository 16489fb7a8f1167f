package host

import (
	"maps"
	"slices"
	"testing"
)

func TestParseSet(t *testing.T) {
	for text, want := range map[string][]int{
		"": nil, "0": {0}, "0-2,7": {0, 1, 2, 7}, "3,1": {1, 3}, "0,": {0}, "1-1": {1},
	} {
		set, err := ParseSet(text)
		if got := slices.Sorted(maps.Keys(set)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "-1", "2-1", "0-", "0-1-2", "99999999", "0-99999999", " 1"} {
		if set, err := ParseSet(text); err == nil {
			t.Errorf("%q: %v", text, set)
		}
	}
}

// The machine that the test runs on has a first processor and a first node.
func TestOnline(t *testing.T) {
	for name, read := range map[string]func() (string, error){"cpus": CPUs, "nodes": MemoryNodes} {
		list, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if set, err := ParseSet(list); err != nil || !set[0] {
			t.Errorf("%s: %q, %v", name, list, err)
		}
	}
}
