package busybox

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

// The archive is the same each time, its manifest names files that are in it,
// and the layer's digest is the one of the configuration.
func TestArchive(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := Archive(w, "busybox:latest", "hello:1"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Fatal("two archives of one busybox differ")
	}
	content := map[string][]byte{}
	for r := tar.NewReader(&a); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if content[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(content["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || len(manifest[0].RepoTags) != 2 || len(manifest[0].Layers) != 1 {
		t.Fatalf("manifest %+v", manifest)
	}
	var config Config
	if err := json.Unmarshal(content[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	layer := content[manifest[0].Layers[0]]
	if got := "sha256:" + digest(layer); config.RootFS.DiffIDs[0] != got {
		t.Fatalf("diff id %s, layer %s", config.RootFS.DiffIDs[0], got)
	}
}
