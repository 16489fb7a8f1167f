package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
)

// shape says what an image to measure is made of.
type shape struct {
	name string
	// layers are those above busybox's; bytes are the file bytes in all of them.
	layers int
	bytes  int64
	// images is how many there are, name:0, name:1, …, with the same layers.
	images int
}

// makeArchive writes images as docker save does. What is in them are programs,
// libraries and texts of the machine, so that they compress as images do: files of
// /usr, over and over until there is enough.
func makeArchive(path string, s shape) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := tar.NewWriter(f)
	put := func(name string, b []byte) error {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := out.Write(b)
		return err
	}
	var diffs, files []string
	add := func(layer []byte) error {
		diffs, files = append(diffs, "sha256:"+sumOf(layer)), append(files, fmt.Sprintf("%d/layer.tar", len(files)))
		return put(files[len(files)-1], layer)
	}
	var base bytes.Buffer
	if err := busybox.Layer(&base); err != nil {
		return err
	}
	if err := add(base.Bytes()); err != nil {
		return err
	}
	samples, err := sampleFiles()
	if err != nil {
		return err
	}
	for l := range s.layers {
		layer, err := samples.layer(s.bytes / int64(s.layers))
		if err == nil {
			err = add(layer)
		}
		if err != nil {
			return fmt.Errorf("layer %d: %w", l, err)
		}
	}
	var manifest []map[string]any
	for i := range s.images {
		config, err := json.Marshal(map[string]any{
			"architecture": runtime.GOARCH, "os": "linux", "created": time.Unix(0, 0).UTC(),
			"config": map[string]any{"Labels": map[string]string{"number": fmt.Sprint(i)}, "Env": []string{"PATH=/bin"}, "Cmd": []string{"sh"}},
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		})
		if err != nil {
			return err
		}
		file := sumOf(config) + ".json"
		if err := put(file, config); err != nil {
			return err
		}
		manifest = append(manifest, map[string]any{"Config": file, "RepoTags": []string{fmt.Sprintf("%s:%d", s.name, i)}, "Layers": files})
	}
	b, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := put("manifest.json", b); err != nil {
		return err
	}
	return out.Close()
}

// samples are files of the machine to make layers of, which go round.
type samples struct {
	paths []string
	next  int
}

// sampleFiles lists regular files of /usr, in an order that is the same each time.
func sampleFiles() (*samples, error) {
	s := &samples{}
	err := filepath.WalkDir("/usr", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		s.paths = append(s.paths, path)
		return nil
	})
	if err == nil && len(s.paths) == 0 {
		err = errors.New("/usr has no files")
	}
	return s, err
}

// layer makes a tar with size bytes of the next files, the last one cut off.
func (s *samples) layer(size int64) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for size > 0 {
		path := s.paths[s.next%len(s.paths)]
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		content = content[:min(size, int64(len(content)))]
		name := fmt.Sprintf("round%d%s", s.next/len(s.paths), path)
		s.next++
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0)}); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
		size -= int64(len(content))
	}
	err := w.Close()
	return b.Bytes(), err
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
