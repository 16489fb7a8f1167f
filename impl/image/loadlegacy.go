package image

import (
	"bytes"
	"context"
	"encoding/json"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
)

// v1Image is the json file of a layer folder (image specification v1). The
// order of the fields is the order in which Docker before 1.8.3 wrote them,
// which decides over the id of an image made of them.
type v1Image struct {
	ID              string    `json:"id,omitempty"`
	Parent          string    `json:"parent,omitempty"`
	Comment         string    `json:"comment,omitempty"`
	Created         time.Time `json:"created"`
	Container       string    `json:"container,omitempty"`
	ContainerConfig Config    `json:"container_config,omitempty"`
	DockerVersion   string    `json:"docker_version,omitempty"`
	Author          string    `json:"author,omitempty"`
	Config          *Config   `json:"config,omitempty"`
	Architecture    string    `json:"architecture,omitempty"`
	OS              string    `json:"os,omitempty"`
	Size            int64     `json:",omitempty"`
}

// legacy loads an archive of repositories and v1 layer folders. Every folder
// becomes an image, as it was one then; only the named ones are reported.
type legacy struct {
	a    *archive
	done map[string]*Image
}

func (a *archive) loadLegacy(ctx context.Context) ([]Loaded, error) {
	var repos map[string]map[string]string
	if err := json.Unmarshal(a.document("repositories"), &repos); err != nil {
		return nil, fault.Invalid("invalid repositories: %w", err)
	}
	l := &legacy{a: a, done: map[string]*Image{}}
	refs := map[digest.Digest][]string{}
	var order []digest.Digest
	for _, repo := range sortedKeys(repos) {
		for _, tag := range sortedKeys(repos[repo]) {
			img, err := l.load(ctx, repos[repo][tag])
			if err != nil {
				return nil, err
			}
			name, err := a.tag(repo, tag, img.ID)
			if err != nil {
				return nil, err
			}
			if refs[img.ID] == nil {
				order = append(order, img.ID)
			}
			refs[img.ID] = append(refs[img.ID], name)
		}
	}
	var loaded []Loaded
	for _, id := range order {
		loaded = append(loaded, Loaded{ID: id, Refs: refs[id]})
	}
	return loaded, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// load makes the image of a v1 folder after those of its parents.
func (l *legacy) load(ctx context.Context, id string) (*Image, error) {
	var todo []string
	for at := id; at != "" && l.done[at] == nil; {
		if !isHexID(at) {
			return nil, fault.Invalid("invalid layer id %q", at)
		}
		for _, seen := range todo {
			if seen == at {
				return nil, fault.Invalid("layer %s is its own ancestor", at)
			}
		}
		if todo = append(todo, at); len(todo) > maxChain {
			return nil, fault.Invalid("layer %s: more than %d layers", id, maxChain)
		}
		var v v1Image
		raw := l.a.document(at + "/json")
		if raw == nil {
			return nil, fault.Invalid("layer %s has no json file", at)
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fault.Invalid("layer %s: invalid json file: %w", at, err)
		}
		at = v.Parent
	}
	for i := len(todo) - 1; i >= 0; i-- {
		if err := l.one(ctx, todo[i]); err != nil {
			return nil, err
		}
	}
	return l.done[id], nil
}

func (l *legacy) one(ctx context.Context, id string) error {
	raw := l.a.document(id + "/json")
	var v v1Image
	if err := json.Unmarshal(raw, &v); err != nil {
		return fault.Invalid("layer %s: invalid json file: %w", id, err)
	}
	rootfs := RootFS{Type: "layers"}
	var history []History
	var parentID, below digest.Digest
	if parent := l.done[v.Parent]; parent != nil {
		rootfs.DiffIDs = append(rootfs.DiffIDs, parent.RootFS.DiffIDs...)
		history = append(history, parent.History...)
		parentID, below = parent.ID, parent.Top
	}
	if len(rootfs.DiffIDs) >= maxChain {
		return fault.Invalid("layer %s: more than %d layers", id, maxChain)
	}
	if _, err := l.a.stackLayer(ctx, below, id+"/layer.tar", ""); err != nil {
		return err
	}
	rootfs.DiffIDs = append(rootfs.DiffIDs, l.a.layers[l.a.find(id+"/layer.tar")].res.DiffID)
	history = append(history, History{
		Created: &v.Created, Author: v.Author, CreatedBy: strings.Join(v.ContainerConfig.Cmd, " "), Comment: v.Comment,
	})
	config, err := configFromV1(raw, v, rootfs, history)
	if err != nil {
		return err
	}
	img, err := l.a.in.image(config, parentID)
	if err != nil {
		return err
	}
	l.done[id] = img
	return nil
}

// configFromV1 makes the configuration that Docker 1.10 and later make of a v1
// json file, so that the image gets the id it has there: the fields that
// describe the layer are dropped, rootfs and history added, names sorted. What
// versions before 1.8.3 wrote is first brought into their order.
func configFromV1(raw []byte, v v1Image, rootfs RootFS, history []History) ([]byte, error) {
	if olderThan183(v.DockerVersion) {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fault.Invalid("invalid json file: %w", err)
	}
	for _, f := range []string{"id", "parent", "Size", "parent_id", "layer_id", "throwaway"} {
		delete(fields, f)
	}
	for name, value := range map[string]any{"rootfs": rootfs, "history": history} {
		b, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = bytes.TrimSpace(b)
	}
	return json.Marshal(fields)
}

// olderThan183 compares a Docker version number; an unreadable one counts as old.
func olderThan183(version string) bool {
	version, _, _ = strings.Cut(version, "-")
	var n [3]int
	for i, part := range strings.SplitN(version, ".", 3) {
		n[i], _ = strconv.Atoi(part)
	}
	want := [3]int{1, 8, 3}
	for i := range n {
		if n[i] != want[i] {
			return n[i] < want[i]
		}
	}
	return false
}
