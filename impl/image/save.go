package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Save writes images as one archive that every Docker Engine loads: manifest.json
// and configurations for 1.10 and later, repositories and v1 layer folders for
// those before. refs are names and ids; a repository without tag stands for all
// its tags, an id for the image without names. The same images give the same
// bytes.
func (s *Store) Save(ctx context.Context, w io.Writer, refs []string) error {
	sv := &saver{s: s, ctx: ctx, written: map[string]bool{}, layerAt: map[digest.Digest]string{}, repos: map[string]map[string]string{}}
	defer sv.release()
	if err := sv.choose(refs); err != nil {
		return err
	}
	sv.tw = tar.NewWriter(w)
	if err := sv.run(); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

type saver struct {
	s       *Store
	ctx     context.Context
	tw      *tar.Writer
	images  []*saved
	holds   []func()
	written map[string]bool          // names in the archive
	layerAt map[digest.Digest]string // diff id → its layer.tar
	repos   map[string]map[string]string
}

type saved struct {
	img  *Image
	tags []string // canonical, sorted
}

func (sv *saver) release() {
	for _, r := range sv.holds {
		r()
	}
}

// choose finds the images, keeps their layers and collects their names. An
// image that is asked for twice is saved once.
func (sv *saver) choose(refs []string) error {
	byID := map[digest.Digest]*saved{}
	add := func(ref string, tags ...string) error {
		img, err := sv.s.usable(ref)
		if err != nil {
			return err
		}
		at := byID[img.ID]
		if at == nil {
			at = &saved{img: img}
			byID[img.ID] = at
			sv.images = append(sv.images, at)
			sv.holds = append(sv.holds, sv.s.hold(img.Top))
		}
		for _, t := range tags {
			if !slices.Contains(at.tags, t) {
				at.tags = append(at.tags, t)
			}
		}
		return nil
	}
	for _, ref := range refs {
		tags := sv.s.tagsOf(ref)
		if len(tags) == 0 {
			if err := add(ref); err != nil {
				return err
			}
		}
		for _, t := range tags {
			if err := add(t, t); err != nil {
				return err
			}
		}
	}
	for _, at := range sv.images {
		sort.Strings(at.tags)
	}
	return nil
}

// tagsOf returns the canonical tags that ref names: itself, or for a bare
// repository all of it. An id, a digest and an unknown name have none.
func (s *Store) tagsOf(ref string) []string {
	if isIDForm(ref) {
		return nil
	}
	named, err := parseName(ref)
	if err != nil {
		return nil
	}
	if _, ok := named.(reference.Digested); ok {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, ok := named.(reference.Tagged); ok {
		if _, ok := s.tags[named.String()]; ok {
			return []string{named.String()}
		}
		return nil
	}
	var tags []string
	for t := range s.tags {
		if repoOf(t) == named.Name() {
			tags = append(tags, t)
		}
	}
	sort.Strings(tags)
	return tags
}

func (sv *saver) run() error {
	var items []manifestItem
	for _, at := range sv.images {
		item, err := sv.image(at)
		if err != nil {
			return err
		}
		item.Parent = sv.parentOf(at.img)
		items = append(items, item)
	}
	if len(sv.repos) > 0 {
		if err := sv.json("repositories", time.Unix(0, 0), sv.repos); err != nil {
			return err
		}
	}
	if err := sv.json("manifest.json", time.Unix(0, 0), items); err != nil {
		return err
	}
	return sv.tw.Close()
}

// parentOf returns the nearest ancestor that is saved too.
func (sv *saver) parentOf(img *Image) digest.Digest {
	sv.s.mu.RLock()
	defer sv.s.mu.RUnlock()
	for p := sv.s.images[img.Parent]; p != nil; p = sv.s.images[p.Parent] {
		for _, at := range sv.images {
			if at.img.ID == p.ID {
				return p.ID
			}
		}
	}
	return ""
}

func (sv *saver) image(at *saved) (manifestItem, error) {
	img := at.img
	created := dateOf(img.Created)
	if created.Unix() < 0 {
		created = time.Unix(0, 0)
	}
	item := manifestItem{Config: img.ID.Encoded() + ".json", Layers: []string{}}
	parent := ""
	chains := chainIDs(img.RootFS.DiffIDs)
	for i, chain := range chains {
		config := []byte(`{"created":"1970-01-01T00:00:00Z"}`)
		if i == len(chains)-1 {
			config = img.Raw
		}
		id, doc, err := v1JSON(config, chain, parent)
		if err != nil {
			return item, err
		}
		if err := sv.layer(id, doc, chain, created); err != nil {
			return item, err
		}
		item.Layers = append(item.Layers, id+"/layer.tar")
		parent = id
	}
	if err := sv.file(item.Config, created, img.Raw); err != nil {
		return item, err
	}
	for _, t := range at.tags {
		name := familiar(t)
		item.RepoTags = append(item.RepoTags, name)
		if repo, tag := splitName(name); parent != "" {
			if sv.repos[repo] == nil {
				sv.repos[repo] = map[string]string{}
			}
			sv.repos[repo][tag] = parent
		}
	}
	return item, nil
}

// v1JSON makes the json file of a layer folder, and its id: the digest of all
// that the folder means, so that equal images give equal folders.
func v1JSON(config []byte, chain digest.Digest, parent string) (id string, doc []byte, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return "", nil, fault.Internal("image configuration: %w", err)
	}
	delete(fields, "rootfs")
	delete(fields, "history")
	delete(fields, "id")
	delete(fields, "parent")
	if parent != "" {
		fields["parent"] = quote(parent)
	}
	fields["layer_id"] = quote(chain.String())
	b, err := json.Marshal(fields)
	if err != nil {
		return "", nil, err
	}
	id = digest.FromBytes(b).Encoded()
	delete(fields, "layer_id")
	fields["id"] = quote(id)
	doc, err = json.Marshal(fields)
	return id, doc, err
}

func quote(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }

// layer writes a layer folder. A tar that is in the archive already becomes a link to it.
func (sv *saver) layer(id string, doc []byte, chain digest.Digest, created time.Time) error {
	name := id + "/layer.tar"
	if sv.written[name] {
		return nil
	}
	sv.written[name] = true
	sv.s.mu.RLock()
	l := sv.s.layers[chain]
	sv.s.mu.RUnlock()
	if l == nil {
		return fault.Internal("layer %s is missing", chain)
	}
	if err := sv.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: id + "/", Mode: 0o755, ModTime: created}); err != nil {
		return err
	}
	if err := sv.file(id+"/VERSION", created, []byte("1.0")); err != nil {
		return err
	}
	if err := sv.file(id+"/json", created, doc); err != nil {
		return err
	}
	if first := sv.layerAt[l.DiffID]; first != "" {
		return sv.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: "../" + first, Mode: 0o777, ModTime: created})
	}
	sv.layerAt[l.DiffID] = name
	if err := sv.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: l.TarSize, Mode: 0o644, ModTime: created}); err != nil {
		return err
	}
	return layer.Assemble(sv.ctx, sv.s.layerPath(l.Dir), sv.tw)
}

func (sv *saver) file(name string, created time.Time, b []byte) error {
	if sv.written[name] {
		return nil
	}
	sv.written[name] = true
	if err := sv.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(b)), Mode: 0o644, ModTime: created}); err != nil {
		return err
	}
	_, err := sv.tw.Write(b)
	return err
}

// json writes a document with sorted names and a newline, as Docker does.
func (sv *saver) json(name string, created time.Time, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return sv.file(name, created, []byte(strings.TrimSpace(b.String())+"\n"))
}
