package build

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// nop is the configuration of the container in which a step is taken that runs
// nothing. Its command only tells what was done: it is the line of the image's
// history, and what the cache finds the image by.
func (g *stage) nop(text string) *image.Config {
	c := copyConfig(g.config)
	c.Cmd = append(g.shell(), "#(nop) "+text)
	c.Image = g.image.String()
	return c
}

// commitConfig takes a step that changes nothing but the configuration.
func (s *session) commitConfig(ctx context.Context, g *stage, text string) error {
	probe := g.nop("")
	probe.Cmd = append(g.shell(), "#(nop) ", text)
	if s.cached(g, probe) {
		return s.useCache()
	}
	return s.inLayer(ctx, g, probe, true, nil)
}

func (s *session) useCache() error { return s.say(" ---> Using cache\n") }

// cached finds the image that the same step made before from the same image,
// and goes on with it.
func (s *session) cached(g *stage, probe *image.Config) bool {
	if s.req.NoCache || g.missed {
		return false
	}
	for _, img := range s.Images.Children(g.image) {
		if img.Damaged == nil && img.ContainerConfig != nil && sameStep(img.ContainerConfig, probe) {
			g.image = img.ID
			g.config.Image = probe.Image
			return true
		}
	}
	g.missed = true
	return false
}

// sameStep compares what a step's outcome depends on.
func sameStep(a, b *image.Config) bool {
	return a.User == b.User && !a.OpenStdin && !b.OpenStdin && a.Tty == b.Tty && a.WorkingDir == b.WorkingDir && a.StopSignal == b.StopSignal &&
		a.AttachStdout == b.AttachStdout && a.AttachStderr == b.AttachStderr &&
		slices.Equal(a.Cmd, b.Cmd) && slices.Equal(a.Entrypoint, b.Entrypoint) && slices.Equal(a.Env, b.Env) &&
		slices.Equal(a.OnBuild, b.OnBuild) && slices.Equal(a.Shell, b.Shell) &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.ExposedPorts, b.ExposedPorts) && maps.Equal(a.Volumes, b.Volumes)
}

// inLayer takes a step that runs nothing: it makes a layer above the stage's
// image, lets work change the files, and commits it. If intermediate containers
// are to be kept the layer is a container's. tell says whether the client hears
// of it before.
func (s *session) inLayer(ctx context.Context, g *stage, probe *image.Config, tell bool, work func(*tree) error) error {
	var id string
	var err error
	keep := !s.req.Remove && !s.req.ForceRemove && g.image != ""
	if keep {
		id, err = s.createContainer(ctx, g, probe)
	} else {
		id, err = s.makeLayer(ctx, g.image)
	}
	if err != nil {
		return err
	}
	if tell {
		if err := s.say(" ---> Running in %s\n", short(id)); err != nil {
			return err
		}
	}
	if work != nil {
		t, err := s.layerTree(id, true)
		if err != nil {
			return err
		}
		if err := errors.Join(work(t), t.Close()); err != nil {
			return err
		}
	}
	return s.commit(ctx, g, id, probe)
}

// makeLayer makes a writable layer that belongs to no container.
func (s *session) makeLayer(ctx context.Context, below digest.Digest) (string, error) {
	id := s.NewID()
	if _, err := s.Images.NewWritable(ctx, id, below); err != nil {
		return "", err
	}
	s.layers = append(s.layers, id)
	return id, nil
}

// dropLayers removes the layers of a step, and says so if the client is to know.
func (s *session) dropLayers(tell bool) error {
	var errs []error
	for _, id := range s.layers {
		errs = append(errs, s.Images.RemoveWritable(id))
		if tell {
			errs = append(errs, s.say("Removing intermediate container %s\n", short(id)))
		}
	}
	s.layers = nil
	return errors.Join(errs...)
}

// layerTree opens the files of a layer together with those below it, but for the
// store's init layer: what it has (mount points) is no part of the image.
func (s *session) layerTree(id string, writable bool) (*tree, error) {
	w, err := s.Images.Writable(id)
	if err != nil {
		return nil, err
	}
	stack := overlay.Stack{Lower: w.Lower[1:]}
	if len(stack.Lower) == 0 || len(stack.Lower) == 1 && !writable {
		// overlayfs wants two directories; below a stage from scratch there are none.
		empty := filepath.Join(s.dir, "scratch")
		if err := os.Mkdir(empty, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		stack.Lower = append(stack.Lower, empty)
	}
	if writable {
		stack.Upper, stack.Work = w.Upper, w.Work
	}
	dir, err := overlay.Open(stack)
	if err != nil {
		return nil, fault.Internal("open the image's files: %w", err)
	}
	return treeOf(dir)
}

// commit makes an image of a layer and goes on with it.
func (s *session) commit(ctx context.Context, g *stage, id string, probe *image.Config) error {
	config := copyConfig(g.config)
	config.Image = probe.Image
	img, err := s.Images.Commit(ctx, id, image.CommitOptions{
		Author: g.author, Container: id, ContainerConfig: probe, Config: config, DockerVersion: s.Version,
	})
	if err != nil {
		return err
	}
	g.image = img.ID
	g.config.Image = probe.Image
	return nil
}

// createContainer makes an intermediate container.
func (s *session) createContainer(ctx context.Context, g *stage, config *image.Config) (string, error) {
	config.Image = g.image.String()
	id, err := s.Containers.Create(ctx, config, s.req.Resources)
	if err != nil {
		return "", err
	}
	s.containers = append(s.containers, id)
	return id, nil
}
