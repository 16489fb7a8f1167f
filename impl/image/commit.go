package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/layer"
	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// Commit makes an image of the writable layer id on top of its image. The
// caller pauses the container if its files must not change meanwhile.
func (s *Store) Commit(ctx context.Context, id string, o CommitOptions) (*Image, error) {
	img, release, err := s.CommitHeld(ctx, id, o)
	if err == nil {
		release()
	}
	return img, err
}

// CommitHeld is Commit, and keeps the image as Hold does.
func (s *Store) CommitHeld(ctx context.Context, id string, o CommitOptions) (img *Image, release func(), err error) {
	in := s.newIngest()
	defer in.abort()
	in.hold = true
	if img, err = in.commitWritable(ctx, id, o); err != nil {
		if in.release != nil {
			in.release()
		}
		return nil, nil, err
	}
	return img, in.release, nil
}

func (in *ingest) commitWritable(ctx context.Context, id string, o CommitOptions) (*Image, error) {
	s := in.s
	w, err := s.Writable(id)
	if err != nil {
		return nil, err
	}
	in.built = true
	name := ""
	if o.Ref != "" {
		tagged, err := parseTagged(o.Ref, "")
		if err != nil {
			return nil, err
		}
		name = tagged.String()
	}
	s.mu.RLock()
	parent := s.images[w.Image] // nil when it was removed by force
	chain := digest.Digest("")
	if e := s.rw[id]; e != nil {
		chain = e.chain
	}
	s.mu.RUnlock()
	next := newConfig{
		Architecture: runtime.GOARCH, OS: runtime.GOOS, Author: o.Author, Comment: o.Comment,
		Container: o.Container, ContainerConfig: o.ContainerConfig, DockerVersion: o.DockerVersion,
		Created: o.Created, RootFS: &RootFS{Type: "layers"},
	}
	if next.Created.IsZero() {
		next.Created = time.Now().UTC()
	}
	config, parentID := &Config{}, digest.Digest("")
	if parent != nil {
		parentID = parent.ID
		next.Architecture, next.OS, next.Variant, next.OSVersion = parent.Architecture, parent.OS, parent.Variant, parent.OSVersion
		next.History = append(next.History, parent.History...)
		if parent.Config != nil {
			config = parent.Config
		}
	}
	s.mu.RLock()
	for c := chain; c != ""; {
		l := s.layers[c]
		if l == nil {
			break
		}
		next.RootFS.DiffIDs = append(next.RootFS.DiffIDs, l.DiffID)
		c = l.Parent
	}
	s.mu.RUnlock()
	slices.Reverse(next.RootFS.DiffIDs)
	if len(next.History) == 0 {
		for range next.RootFS.DiffIDs {
			next.History = append(next.History, History{Created: &next.Created})
		}
	}
	if o.Config != nil {
		config = o.Config
	}
	config = config.clone()
	if err := applyChanges(config, o.Changes); err != nil {
		return nil, err
	}
	next.Config = config

	pack := in.packUpper
	if o.Adopt {
		pack = in.adoptUpper
	}
	u, err := pack(ctx, w.Upper)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	step := History{Created: &next.Created, Author: o.Author, Comment: o.Comment, EmptyLayer: u == nil}
	if o.ContainerConfig != nil {
		step.CreatedBy = strings.Join(o.ContainerConfig.Cmd, " ")
	}
	next.History = append(next.History, step)
	if u != nil {
		if _, err := in.stack(ctx, chain, u); err != nil {
			return nil, fmt.Errorf("commit: %w", err)
		}
		next.RootFS.DiffIDs = append(next.RootFS.DiffIDs, u.res.DiffID)
	}
	raw, err := json.Marshal(next)
	if err != nil {
		return nil, err
	}
	return in.finish(raw, parentID, name)
}

// packUpper makes a layer of an upper directory; nil when nothing changed.
func (in *ingest) packUpper(ctx context.Context, upper string) (*unpacked, error) {
	pr, pw := io.Pipe()
	var changed bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		changed, err = layer.PackDiff(ctx, upper, pw)
		pw.CloseWithError(err)
	}()
	u, err := in.unpack(ctx, pr)
	pr.CloseWithError(errors.New("unpacking ended"))
	<-done
	if err != nil {
		return nil, err
	}
	if !changed {
		return nil, in.discard(u.dir)
	}
	return u, nil
}

// adoptUpper is packUpper for a directory that nobody uses any more: it becomes the
// layer's, if it can.
func (in *ingest) adoptUpper(ctx context.Context, upper string) (*unpacked, error) {
	dir, err := in.newDir()
	if err != nil {
		return nil, err
	}
	res, err := layer.Adopt(ctx, in.s.layerPath(dir), upper, in.s.limits)
	if err != nil || res == nil {
		err = errors.Join(err, in.discard(dir))
		if errors.Is(err, layer.ErrUnfit) {
			return in.packUpper(ctx, upper)
		}
		return nil, err
	}
	return &unpacked{dir: dir, res: res}, nil
}

// clone copies what applyChanges writes to.
func (c *Config) clone() *Config {
	d := *c
	d.Env, d.OnBuild = slices.Clone(c.Env), slices.Clone(c.OnBuild)
	d.ExposedPorts, d.Volumes, d.Labels = cloneMap(c.ExposedPorts), cloneMap(c.Volumes), cloneMap(c.Labels)
	return &d
}

func cloneMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	d := make(map[string]V, len(m))
	for k, v := range m {
		d[k] = v
	}
	return d
}

// Export writes the container's tree (image and changes merged) as a tar. The
// tree need not be mounted: the store mounts it for itself, read-only, where
// nobody else sees it. The container may run.
func (s *Store) Export(ctx context.Context, id string, out io.Writer) error {
	w, err := s.Writable(id)
	if err != nil {
		return err
	}
	root, err := overlay.Open(overlay.Stack{Lower: append([]string{w.Upper}, w.Lower...)})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer root.Close()
	return layer.Pack(ctx, root, out)
}
