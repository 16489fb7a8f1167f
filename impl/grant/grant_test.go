package grant

import (
	"slices"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	for want, c := range map[string]struct{ allow, labels []string }{
		"nothing is allowed":             {},
		"neither an operationId nor":     {allow: []string{"ContainerLists"}},
		"allow=: neither":                {allow: []string{""}},
		"use label=NAME=VALUE":           {allow: []string{"Images"}, labels: []string{"x"}},
		"events have a fact":             {allow: []string{"Images"}, labels: []string{"name=x"}},
		"no container can have a=b, too": {allow: []string{"Images"}, labels: []string{"a=b", "a=c"}},
		"label==x: use label=NAME=VALUE": {allow: []string{"Images"}, labels: []string{"=x"}},
	} {
		if _, err := New("s", c.allow, c.labels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v %v: %v, wanted %q", c.allow, c.labels, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	g, err := New("s", []string{"volumes", "containerlist"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ContainerList", "VolumeCreate", "VolumeDelete", "VolumeInspect", "VolumeList"}
	if got := g.Operations(); !slices.Equal(got, want) {
		t.Errorf("%v, wanted %v", got, want)
	}
}
