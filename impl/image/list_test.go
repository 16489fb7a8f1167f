package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/testimage"
)

// listed imports images that are an hour apart, the oldest first, and gives their ids.
func listed(t *testing.T, s *Store, names ...string) []digest.Digest {
	t.Helper()
	var ids []digest.Digest
	for i, name := range names {
		img, err := s.Import(t.Context(), bytes.NewReader(tarOf(t, testimage.File{Name: "f", Body: []byte(name)})), ImportOptions{
			Ref: name, Source: "-", Created: time.Date(2016, 4, 1, i, 0, 0, 0, time.UTC),
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, img.ID)
	}
	return ids
}

func TestListOrderAndNames(t *testing.T) {
	s := newStore(t)
	ids := listed(t, s, "one:v1", "a/two:v1", "a/three:v2", "host.example:5000/a/two:v1", "")
	yes, no := true, false
	for name, c := range map[string]struct {
		f    Filter
		want []int // indices of ids, in the order of the list
	}{
		"newest first":          {Filter{}, []int{4, 3, 2, 1, 0}},
		"before":                {Filter{Before: ids[2]}, []int{1, 0}},
		"since":                 {Filter{Since: ids[2]}, []int{4, 3}},
		"between":               {Filter{Since: ids[0], Before: ids[3]}, []int{2, 1}},
		"before the first":      {Filter{Before: ids[0]}, nil},
		"dangling":              {Filter{Dangling: &yes}, []int{4}},
		"not dangling, since":   {Filter{Dangling: &no, Since: ids[2]}, []int{3}},
		"a repository":          {Filter{Name: "a/two"}, []int{1}},
		"a repository with tag": {Filter{Name: "a/three:v2"}, []int{2}},
		"another tag":           {Filter{Name: "a/three:v1"}, nil},
		"a glob":                {Filter{Name: "a/t*"}, []int{2, 1}},
		"a glob of one part":    {Filter{Name: "*"}, []int{0}},
		"a class":               {Filter{Name: "a/t[hw]*"}, []int{2, 1}},
		"a host's":              {Filter{Name: "host.example:5000/*/two"}, []int{3}},
		"a broken glob":         {Filter{Name: "a/[t"}, nil},
	} {
		list, err := s.List(c.f)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []int
		for _, img := range list {
			got = append(got, slices.Index(ids, img.ID))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The own size is that of the last layer's files, the virtual size that of all.
func TestListSizes(t *testing.T) {
	s := newStore(t)
	base := []testimage.File{{Name: "a", Body: make([]byte, 1000)}, {Name: "b", Body: make([]byte, 24)}}
	load(t, s, archiveOf(t,
		testimage.Image{Tags: []string{"base:latest"}, Layers: [][]testimage.File{base}},
		testimage.Image{Tags: []string{"top:latest"}, Layers: [][]testimage.File{base, {{Name: "c", Body: make([]byte, 7)}}}},
	))
	w := writable(t, s, "c", "base")
	if err := os.WriteFile(filepath.Join(w.Upper, "d"), make([]byte, 5), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), "c", CommitOptions{Ref: "made", ContainerConfig: &Config{}}); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(Filter{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, img := range list {
		got[img.Tags[0]] = fmt.Sprint(img.Size, " ", img.VirtualSize)
	}
	// A loaded image has no parent: all of it is its own.
	want := map[string]string{"base:latest": "1024 1024", "top:latest": "1031 1031", "made:latest": "5 1029"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sizes %v, want %v", got, want)
	}
}
