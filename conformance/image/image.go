// Package image synthesises the images that cases need: one layer with a static
// busybox, a configuration, and the archive that POST /images/load takes. No
// image comes over a network.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// epoch is the time stamp of every file, so that equal content has equal digests.
var epoch = time.Unix(1420070400, 0)

// applets are the commands that cases and fixtures use.
func applets() []string {
	return []string{
		"sh", "cat", "date", "echo", "env", "false", "head", "id", "kill", "ls", "mkdir", "mv", "printf", "ps", "rm",
		"seq", "sleep", "stty", "tail", "test", "top", "touch", "true", "tty", "wc", "yes",
	}
}

// Base is the root file system that all images of a run share.
type Base struct {
	// Layer is the uncompressed archive of the file system.
	Layer []byte
	// DiffID is "sha256:" and the digest of Layer.
	DiffID string

	compress func() []byte
}

// NewBase packs the busybox at that path. It must be linked statically, because
// nothing else is in the image.
func NewBase(busybox string) (*Base, error) {
	if err := checkStatic(busybox); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return nil, fmt.Errorf("read busybox: %w", err)
	}
	layer, err := pack(program)
	if err != nil {
		return nil, fmt.Errorf("pack the base layer: %w", err)
	}
	return baseOf(layer), nil
}

// BaseOf is a root file system of these files alone: nothing runs in it.
func BaseOf(files ...File) (*Base, error) {
	layer, err := Tar(files...)
	if err != nil {
		return nil, fmt.Errorf("pack a layer: %w", err)
	}
	return baseOf(layer), nil
}

func baseOf(layer []byte) *Base {
	return &Base{
		Layer: layer, DiffID: Digest(layer),
		compress: sync.OnceValue(func() []byte {
			var packed bytes.Buffer
			writer := gzip.NewWriter(&packed)
			_, _ = writer.Write(layer) // a bytes.Buffer takes everything
			_ = writer.Close()
			return packed.Bytes()
		}),
	}
}

// checkStatic refuses a program that needs an interpreter.
func checkStatic(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("busybox at %s: %w", path, err)
	}
	defer file.Close()
	for _, program := range file.Progs {
		if program.Type == elf.PT_INTERP {
			return fmt.Errorf("busybox at %s is linked dynamically; a static one is needed", path)
		}
	}
	return nil
}

// Gzipped is the layer compressed, as registries keep it.
func (b *Base) Gzipped() []byte { return b.compress() }

// Digest is "sha256:" and the digest in hexadecimal.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func pack(busybox []byte) ([]byte, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	add := func(header *tar.Header, content string) error {
		header.ModTime, header.Size = epoch, int64(len(content))
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write([]byte(content))
		return err
	}
	for _, name := range []string{"bin/", "dev/", "etc/", "proc/", "root/", "sys/", "tmp/", "usr/", "usr/bin/", "var/"} {
		mode := int64(0o755)
		if name == "tmp/" {
			mode = 0o1777
		}
		if err := add(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}, ""); err != nil {
			return nil, err
		}
	}
	if err := add(&tar.Header{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755}, string(busybox)); err != nil {
		return nil, err
	}
	for _, applet := range applets() {
		link := &tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}
		if err := add(link, ""); err != nil {
			return nil, err
		}
	}
	for name, content := range map[string]string{"etc/group": "root:x:0:\nnewgroup:x:4321:\n"} {
		if err := add(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, content); err != nil {
			return nil, err
		}
	}
	passwd := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
	if err := add(&tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}, passwd); err != nil {
		return nil, err
	}
	hello := "written by the conformance suite\n"
	if err := add(&tar.Header{Name: "root/hello", Typeflag: tar.TypeReg, Mode: 0o644}, hello); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// Image is one image: the base layer and a configuration of its own.
type Image struct {
	Base *Base
	// Config is the image's configuration as JSON.
	Config []byte
	// ID is the digest of Config: "sha256:…".
	ID string
}

// New makes an image. Its author is part of its configuration and so of its id:
// images of different cases are different images over the same layer.
func New(base *Base, author string) (*Image, error) {
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      epoch.UTC().Format(time.RFC3339),
		"author":       author,
		"config": map[string]any{
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			"Cmd": []string{"sh"},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{base.DiffID}},
		"history": []any{map[string]any{"created": epoch.UTC().Format(time.RFC3339), "created_by": "conformance suite", "comment": "synthesised"}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode an image configuration: %w", err)
	}
	return &Image{Base: base, Config: config, ID: Digest(config)}, nil
}

// Archive is what POST /images/load takes: configuration, layer and
// manifest.json, which gives the image the names ("repository:tag").
func (i *Image) Archive(names ...string) ([]byte, error) {
	config := i.ID[len("sha256:"):] + ".json"
	layer := i.Base.DiffID[len("sha256:"):] + "/layer.tar"
	manifest, err := json.Marshal([]any{map[string]any{"Config": config, "RepoTags": names, "Layers": []string{layer}}})
	if err != nil {
		return nil, fmt.Errorf("encode manifest.json: %w", err)
	}
	return Tar(
		File{Name: config, Content: i.Config},
		File{Name: layer, Content: i.Base.Layer},
		File{Name: "manifest.json", Content: manifest},
	)
}

// File is a file of an archive.
type File struct {
	Name    string
	Content []byte
}

// Tar packs files.
func Tar(files ...File) ([]byte, error) {
	var buffer bytes.Buffer
	archive := tar.NewWriter(&buffer)
	for _, file := range files {
		header := &tar.Header{Name: file.Name, Typeflag: tar.TypeReg, Mode: 0o644, ModTime: epoch, Size: int64(len(file.Content))}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("pack %s: %w", file.Name, err)
		}
		if _, err := archive.Write(file.Content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", file.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("end the archive: %w", err)
	}
	return buffer.Bytes(), nil
}

// Manifest is the image manifest of schema 2 that a registry serves.
func (i *Image) Manifest() ([]byte, error) {
	layer := i.Base.Gzipped()
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     ManifestType,
		"config":        map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(i.Config), "digest": i.ID},
		"layers":        []any{map[string]any{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(layer), "digest": Digest(layer)}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode a manifest: %w", err)
	}
	return manifest, nil
}

// ManifestType is the media type of Manifest's result.
const ManifestType = "application/vnd.docker.distribution.manifest.v2+json"
