// Package testimage makes small images in code, for tests and benchmarks. What
// it writes depends on its arguments only, so the same image has the same id
// everywhere.
package testimage

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// File is an entry of a layer. Typeflag 0 means a regular file, or a folder
// when Name ends with a slash.
type File struct {
	Name     string
	Body     []byte
	Mode     int64 // 0 means 0644, for folders 0755
	Typeflag byte
	Linkname string
	UID, GID int
	Xattrs   map[string]string
	ModTime  time.Time // zero means Epoch
	// Devmajor and Devminor are for device nodes.
	Devmajor, Devminor int64
}

// Epoch is the date of everything that gives no other.
var Epoch = time.Date(2016, 4, 1, 12, 0, 0, 0, time.UTC)

// Image describes an image.
type Image struct {
	// Tags are full names ("busybox:latest").
	Tags []string
	// Layers are the layers' files, lowest first.
	Layers [][]File
	// Config is the container configuration as JSON fields ("Cmd", "Env", …).
	Config map[string]any
	// Comment and Author are recorded in the image.
	Comment, Author string
	// Created is the image's date; zero means Epoch.
	Created time.Time
}

// Layer writes one layer as a tar.
func Layer(files []File) ([]byte, error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: f.Typeflag, Name: f.Name, Linkname: f.Linkname, Mode: f.Mode, Uid: f.UID, Gid: f.GID,
			Size: int64(len(f.Body)), ModTime: f.ModTime, Devmajor: f.Devmajor, Devminor: f.Devminor,
		}
		if h.ModTime.IsZero() {
			h.ModTime = Epoch
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(f.Name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		for k, v := range f.Xattrs {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["SCHILY.xattr."+k] = v
		}
		if err := tw.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("layer entry %q: %w", f.Name, err)
		}
		if _, err := tw.Write(f.Body); err != nil {
			return nil, fmt.Errorf("layer entry %q: %w", f.Name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// built is an image with its bytes made.
type built struct {
	id     string
	config []byte
	layers [][]byte
	names  []string // of the layers, hex
	tags   []string
}

func (img Image) build() (*built, error) {
	b := &built{tags: img.Tags}
	created := img.Created
	if created.IsZero() {
		created = Epoch
	}
	var diffs []string
	var steps []history
	for i, files := range img.Layers {
		l, err := Layer(files)
		if err != nil {
			return nil, err
		}
		b.layers = append(b.layers, l)
		b.names = append(b.names, hexsum(l))
		diffs = append(diffs, "sha256:"+hexsum(l))
		steps = append(steps, history{created, fmt.Sprintf("/bin/sh -c #(nop) ADD layer %d", i+1)})
	}
	config := map[string]any{
		"architecture": "amd64", "os": "linux", "created": created, "docker_version": "1.11.2",
		"config":           merge(emptyConfig(), img.Config),
		"container_config": emptyConfig(),
		"history":          steps,
		"rootfs":           map[string]any{"type": "layers", "diff_ids": diffs},
	}
	if img.Comment != "" {
		config["comment"] = img.Comment
	}
	if img.Author != "" {
		config["author"] = img.Author
	}
	var err error
	if b.config, err = json.Marshal(config); err != nil {
		return nil, err
	}
	b.id = hexsum(b.config)
	return b, nil
}

func emptyConfig() map[string]any {
	return map[string]any{
		"Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
		"Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": nil, "Cmd": nil, "Image": "", "Volumes": nil,
		"WorkingDir": "", "Entrypoint": nil, "OnBuild": nil, "Labels": nil,
	}
}

func merge(a, b map[string]any) map[string]any {
	for k, v := range b {
		a[k] = v
	}
	return a
}

func hexsum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ID returns the id that the image has once it is loaded ("sha256:…").
func (img Image) ID() (string, error) {
	b, err := img.build()
	if err != nil {
		return "", err
	}
	return "sha256:" + b.id, nil
}

// Write writes images as an archive that docker load reads (manifest.json form).
func Write(w io.Writer, images ...Image) error {
	tw := tar.NewWriter(w)
	type item struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var items []item
	written := map[string]bool{}
	put := func(name string, body []byte) error {
		if written[name] {
			return nil
		}
		written[name] = true
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: Epoch}); err != nil {
			return err
		}
		_, err := tw.Write(body)
		return err
	}
	for _, img := range images {
		b, err := img.build()
		if err != nil {
			return err
		}
		it := item{Config: b.id + ".json", RepoTags: b.tags}
		for i, l := range b.layers {
			name := b.names[i] + "/layer.tar"
			it.Layers = append(it.Layers, name)
			if err := put(name, l); err != nil {
				return err
			}
		}
		if err := put(it.Config, b.config); err != nil {
			return err
		}
		items = append(items, it)
	}
	doc, err := json.Marshal(items)
	if err != nil {
		return err
	}
	if err := put("manifest.json", doc); err != nil {
		return err
	}
	return tw.Close()
}

// WriteLegacy writes one image in the form of Docker before 1.10: repositories
// and a folder with VERSION, json and layer.tar for each layer.
func WriteLegacy(w io.Writer, img Image) error {
	b, err := img.build()
	if err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	put := func(name string, body []byte) error {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: Epoch}); err != nil {
			return err
		}
		_, err := tw.Write(body)
		return err
	}
	parent := ""
	for i, l := range b.layers {
		id := hexsum([]byte(parent + " " + b.names[i]))
		doc := map[string]any{
			"id": id, "created": Epoch, "architecture": "amd64", "os": "linux", "docker_version": "1.8.3",
			"container_config": merge(emptyConfig(), map[string]any{"Cmd": []string{"/bin/sh", "-c", fmt.Sprintf("#(nop) ADD layer %d", i+1)}}),
			"Size":             len(l),
		}
		if parent != "" {
			doc["parent"] = parent
		}
		if i == len(b.layers)-1 {
			doc["config"] = merge(emptyConfig(), img.Config)
		}
		js, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: id + "/", Mode: 0o755, ModTime: Epoch}); err != nil {
			return err
		}
		for _, f := range []struct {
			name string
			body []byte
		}{{"VERSION", []byte("1.0")}, {"json", js}, {"layer.tar", l}} {
			if err := put(id+"/"+f.name, f.body); err != nil {
				return err
			}
		}
		parent = id
	}
	repos := map[string]map[string]string{}
	for _, t := range b.tags {
		repo, tag := t, "latest"
		if at := strings.LastIndexByte(t, ':'); at > strings.LastIndexByte(t, '/') {
			repo, tag = t[:at], t[at+1:]
		}
		if repos[repo] == nil {
			repos[repo] = map[string]string{}
		}
		repos[repo][tag] = parent
	}
	js, err := json.Marshal(repos)
	if err != nil {
		return err
	}
	if err := put("repositories", js); err != nil {
		return err
	}
	return tw.Close()
}
