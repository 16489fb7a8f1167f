package image

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestReferences(t *testing.T) {
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest", "localhost:5000/a/b/c:v1")))
	img, err := s.Get("three:latest")
	if err != nil {
		t.Fatal(err)
	}
	id := img.ID.Encoded()
	for _, ref := range []string{"three", "docker.io/library/three", "library/three:latest", "localhost:5000/a/b/c:v1", id, "sha256:" + id, id[:12], "sha256:" + id[:7], "three:" + id[:12]} {
		if got, err := s.Get(ref); err != nil || got.ID != img.ID {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for ref, text := range map[string]string{
		"nosuch":                "No such image: nosuch:latest",
		"no/such/image:1":       "No such image: no/such/image:1",
		"sha256:0123":           "No such image: sha256:0123",
		strings.Repeat("0", 64): "No such image: " + strings.Repeat("0", 64),
		"localhost:5000/three":  "No such image: localhost:5000/three:latest",
		"three@sha256:" + id:    "No such image: three@sha256:" + id,
	} {
		_, err := s.Get(ref)
		if !errdefs.IsNotFound(err) || err.Error() != text {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if _, err := s.Lookup("nosuch"); err == nil || err.Error() != "No such image: nosuch" {
		t.Errorf("lookup: %v", err)
	}
	for name, text := range map[string]string{
		"MY/repo":               "invalid reference format: repository name must be lowercase",
		"MY/REPO":               "invalid reference format: repository name must be lowercase",
		"a b":                   "invalid reference format",
		strings.Repeat("a", 64): "Invalid repository name (" + strings.Repeat("a", 64) + "), cannot specify 64-byte hexadecimal strings",
	} {
		if _, err := s.Tag(context.Background(), "three", name, ""); !errdefs.IsInvalidArgument(err) || err.Error() != text {
			t.Errorf("tag %s: %v", name, err)
		}
	}
	if name, err := s.Tag(context.Background(), "three", "my/repo", "v1"); err != nil || name != "my/repo:v1" {
		t.Errorf("tag: %s %v", name, err)
	}
	if got, _ := s.Get("my/repo:v1"); got == nil || !slices.Equal(got.Tags, []string{"localhost:5000/a/b/c:v1", "my/repo:v1", "three:latest"}) {
		t.Errorf("tags %v", got)
	}
}

// TestNameOfAnotherRegistry: the short name of docker.io/a.example/b is a.example/b,
// a repository of another registry, so it is no name for anything.
func TestNameOfAnotherRegistry(t *testing.T) {
	for _, name := range []string{"docker.io/a.example/b", "index.docker.io/a.example/b:c", "docker.io/localhost/b", "docker.io/a:1/b"} {
		if got, err := ParseTag(name, ""); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
	for name, want := range map[string]string{"docker.io/a/b.c": "a/b.c:latest", "a.example/b": "a.example/b:latest", "docker.io/b": "b:latest", "localhost/b": "localhost/b:latest"} {
		if got, err := ParseTag(name, ""); err != nil || got != want {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
}
