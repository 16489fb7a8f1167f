package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-50ced230/berth/conformance/image"
)

func base(t *testing.T) *image.Base {
	t.Helper()
	b, err := image.NewBase("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestArchiveNamesWhatItHolds(t *testing.T) {
	img, err := image.New(base(t), "somebody")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := img.Archive("a:latest", "b:v1")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name], _ = io.ReadAll(reader)
	}
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest.json: %v, %v", manifest, err)
	}
	if got := image.Digest(files[manifest[0].Config]); got != img.ID {
		t.Errorf("the configuration has digest %s, the image id %s", got, img.ID)
	}
	if got := image.Digest(files[manifest[0].Layers[0]]); got != img.Base.DiffID {
		t.Errorf("the layer has digest %s, expected %s", got, img.Base.DiffID)
	}
	if !slices.Equal(manifest[0].RepoTags, []string{"a:latest", "b:v1"}) {
		t.Errorf("names %v", manifest[0].RepoTags)
	}
}

func TestLayerIsReproducible(t *testing.T) {
	first, second := base(t), base(t)
	if first.DiffID != second.DiffID {
		t.Errorf("two layers of the same program differ: %s, %s", first.DiffID, second.DiffID)
	}
}

func TestNewBaseRefuses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a script": script, "nothing": script + ".none", "a dynamic program": "/bin/ls"} {
		if _, err := image.NewBase(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
