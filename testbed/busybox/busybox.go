// Package busybox makes a small image out of the static busybox of the machine
// (Debian's package busybox-static), so that an engine can be tried without a
// registry. The image is what "make run" embeds and what the client tests and
// the benchmarks run.
package busybox

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"sort"
	"strings"
	"time"
)

// Program is where Debian's busybox-static puts its only file.
const Program = "/bin/busybox"

// epoch is every file's time and the image's creation time: the same busybox
// gives the same image, byte for byte.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// files returns the root of the image: path without a leading slash to entry.
// busybox is the content of the program, applets the names it answers to.
func files(busybox []byte, applets []string) []entry {
	list := []entry{
		{path: "bin/", mode: 0o755}, {path: "dev/", mode: 0o755}, {path: "etc/", mode: 0o755},
		{path: "home/", mode: 0o755}, {path: "proc/", mode: 0o555}, {path: "root/", mode: 0o700},
		{path: "sys/", mode: 0o555}, {path: "tmp/", mode: 0o1777}, {path: "var/", mode: 0o755},
		{path: "bin/busybox", mode: 0o755, data: busybox},
		{path: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n")},
		{path: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnogroup:x:65534:\n")},
	}
	for _, a := range applets {
		if a != "busybox" {
			list = append(list, entry{path: path.Join("bin", a), mode: 0o777, link: "busybox"})
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].path < list[j].path })
	return list
}

type entry struct {
	path string
	mode int64
	data []byte
	link string
}

func (e entry) header() *tar.Header {
	h := &tar.Header{Name: e.path, Mode: e.mode, ModTime: epoch(), Format: tar.FormatUSTAR}
	switch {
	case e.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	case strings.HasSuffix(e.path, "/"):
		h.Typeflag = tar.TypeDir
	default:
		h.Typeflag, h.Size = tar.TypeReg, int64(len(e.data))
	}
	return h
}

func write(w io.Writer, list []entry) error {
	t := tar.NewWriter(w)
	for _, e := range list {
		if err := t.WriteHeader(e.header()); err != nil {
			return err
		}
		if _, err := t.Write(e.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// File is something more to have in the image, owned by root, in the place of what the
// image has itself at that path: a folder if the path ends with a slash (mode 0755), a
// symbolic link if Link is set, a regular file (mode 0644) otherwise. Path has no
// leading slash.
type File struct{ Path, Content, Link string }

// Layer writes the image's only layer as an uncompressed tar, with more files if there
// are any.
func Layer(w io.Writer, more ...File) error {
	program, err := os.ReadFile(Program)
	if err != nil {
		return fmt.Errorf("read the static busybox (Debian package busybox-static): %w", err)
	}
	out, err := exec.Command(Program, "--list").Output()
	if err != nil {
		return fmt.Errorf("ask busybox for its applets: %w", err)
	}
	list := files(program, strings.Fields(string(out)))
	for _, f := range more {
		list = slices.DeleteFunc(list, func(e entry) bool { return e.path == f.Path })
		e := entry{path: f.Path, mode: 0o644, data: []byte(f.Content), link: f.Link}
		switch {
		case f.Link != "":
			e.mode = 0o777
		case strings.HasSuffix(f.Path, "/"):
			e.mode = 0o755
		}
		list = append(list, e)
	}
	return write(w, list)
}

// Config is the image's configuration (image-spec v1.1, config.md), as far as
// this image has one.
type Config struct {
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Created      time.Time `json:"created"`
	Config       Process   `json:"config"`
	RootFS       RootFS    `json:"rootfs"`
	History      []History `json:"history"`
}

// Process is what a container runs when its creator says nothing else.
type Process struct {
	Env []string
	Cmd []string
}

// RootFS names the layers.
type RootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// History tells how a layer came to be.
type History struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// Archive writes the image as docker save does (manifest.json, the
// configuration, one layer), with the given names, e.g. "busybox:latest".
func Archive(w io.Writer, names ...string) error {
	var layer bytes.Buffer
	if err := Layer(&layer); err != nil {
		return err
	}
	config, err := json.Marshal(Config{
		Architecture: runtime.GOARCH, OS: "linux", Created: epoch(),
		Config:  Process{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, Cmd: []string{"sh"}},
		RootFS:  RootFS{Type: "layers", DiffIDs: []string{"sha256:" + digest(layer.Bytes())}},
		History: []History{{Created: epoch(), CreatedBy: "busybox from Debian's busybox-static"}},
	})
	if err != nil {
		return err
	}
	id := digest(config)
	manifest, err := json.Marshal([]map[string]any{{"Config": id + ".json", "RepoTags": names, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	return write(w, []entry{
		{path: id + ".json", mode: 0o644, data: config},
		{path: "layer.tar", mode: 0o644, data: layer.Bytes()},
		{path: "manifest.json", mode: 0o644, data: manifest},
	})
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
