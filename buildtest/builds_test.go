package buildtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// arguments are further arguments of docker build.
var arguments = map[string][]string{
	"arguments": {"--build-arg", "GIVEN=given here", "--build-arg", "UNSET", "--build-arg", "http_proxy=http://127.0.0.1:1", "--build-arg", "NAME=busy"},
	"go-static": {"--build-arg", "VERSION=1.2.3"},
	"labels":    {"--label", "from-request=$one", "--label", "one=request"},
}

// deviations are differences that are meant: what differs, and why.
var deviations = map[string]map[string]string{
	"labels": {"history": "Docker Engine 1.11, which spoke 1.23, adds all labels of the request in one step; 20.10 takes a step for each"},
}

// quick are the builds of a short run: files, stages, deletions.
var quick = []string{"copies", "stages", "web-server", "deletions"}

// fromBase finds what FROM wants of bases.
var fromBase = regexp.MustCompile(`(?m)berth/(go|cc|python|debian)\b`)

var transcript = flag.Bool("transcript", false, "show what the engines said in builds that differ")

// TestBuilds builds everything in testdata on both engines.
func TestBuilds(t *testing.T) {
	p := newPair(t)
	cases, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, c := range cases {
		name := c.Name()
		dockerfile, err := os.ReadFile(filepath.Join("testdata", name, "Dockerfile"))
		if err != nil {
			t.Fatal(err)
		}
		base := fromBase.FindString(string(dockerfile))
		if testing.Short() && !slices.Contains(quick, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if base != "" && !have[base] {
				have[base] = true
				(&pair{t: t, berth: p.berth, docker: p.docker}).base(base)
			}
			p.compare(t, name)
		})
	}
}

func (p *pair) compare(t *testing.T, name string) {
	began := time.Now().Add(-time.Hour)
	tag := "berth-case/" + name
	dir := contextOf(t, name)
	var images []*saved
	var transcripts []string
	for _, e := range p.both() {
		at := time.Now()
		said, err := e.build(t, dir, tag, arguments[name]...)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f s", e.name, time.Since(at).Seconds())
		transcripts = append(transcripts, said)
		images = append(images, e.save(t, tag, began))
	}
	b, d := images[0], images[1]
	differ(t, "configuration", flat(b.config), flat(d.config))
	if why := deviations[name]["history"]; why != "" {
		if reflect.DeepEqual(b.history, d.history) {
			t.Errorf("the histories are equal now, but: %s", why)
		}
	} else {
		differ(t, "history", flat(b.history), flat(d.history))
	}
	differ(t, "files", b.root, d.root)
	if len(b.layers) != len(d.layers) {
		t.Errorf("berth has %d layers, docker %d", len(b.layers), len(d.layers))
	} else {
		for i := range b.layers {
			differ(t, fmt.Sprintf("layer %d", i), b.layers[i], d.layers[i])
		}
	}
	if t.Failed() && *transcript {
		t.Logf("berth said:\n%s\ndocker said:\n%s", transcripts[0], transcripts[1])
	}
}

func flat(v any) map[string]string {
	found := map[string]string{}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if m, ok := x.(map[string]any); ok {
				for k2, x2 := range m {
					found[k+"."+k2] = text(x2)
				}
				continue
			}
			found[k] = text(x)
		}
	case []any:
		for i, x := range v {
			found[fmt.Sprintf("%02d", i)] = text(x)
		}
	}
	return found
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// differ tells the differences of two maps.
func differ(t *testing.T, what string, berth, docker map[string]string) {
	t.Helper()
	if reflect.DeepEqual(berth, docker) {
		return
	}
	keys := map[string]bool{}
	for _, m := range []map[string]string{berth, docker} {
		for k := range m {
			if berth[k] != docker[k] {
				keys[k] = true
			}
		}
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		lines = append(lines, fmt.Sprintf("%s\n\tberth  %s\n\tdocker %s", k, berth[k], docker[k]))
	}
	if len(lines) > 12 {
		lines = append(lines[:12], fmt.Sprintf("and %d more", len(lines)-12))
	}
	t.Errorf("%s differ:\n%s", what, strings.Join(lines, "\n"))
}
