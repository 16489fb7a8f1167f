package build

import (
	"context"
	"encoding/json"
	"errors"
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
	if hit, err := s.cached(ctx, g, probe); hit || err != nil {
		return err
	}
	return s.inLayer(ctx, g, probe, true, nil, nil)
}

// cached finds the image that the same step made before from the same image,
// goes on with it, and tells so. If another stage is taking that step, it waits.
func (s *session) cached(ctx context.Context, g *stage, probe *image.Config) (bool, error) {
	if s.req.NoCache {
		return false, nil
	}
	land, err := s.flights.board(ctx, g.image.String()+" "+stepKey(probe))
	if err != nil {
		return false, err
	}
	s.land = land
	if g.missed {
		return false, nil
	}
	for _, img := range s.Images.Children(g.image) {
		// An image that came from elsewhere proves nothing by its configuration.
		if img.Built && img.Damaged == nil && img.ContainerConfig != nil && stepKey(img.ContainerConfig) == stepKey(probe) && ordinary(img.ContainerConfig) && ordinary(probe) {
			_, release, err := s.Images.Hold(img.ID.String())
			if err != nil {
				continue // it was removed meanwhile
			}
			g.stand(img.ID, release)
			g.config.Image = probe.Image
			s.landed()
			return true, s.say(" ---> Using cache\n")
		}
	}
	g.missed = true
	return false, nil
}

// ordinary says whether a configuration is one that steps have: a container
// whose input is open may have done anything.
func ordinary(c *image.Config) bool { return !c.OpenStdin }

// stepKey is what a step's outcome depends on, besides the image below.
func stepKey(c *image.Config) string {
	key, err := json.Marshal(struct {
		User, WorkingDir, StopSignal         string              `json:",omitempty"`
		Tty, AttachStdout, AttachStderr      bool                `json:",omitempty"`
		Cmd, Entrypoint, Env, OnBuild, Shell []string            `json:",omitempty"`
		Labels                               map[string]string   `json:",omitempty"`
		ExposedPorts, Volumes                map[string]struct{} `json:",omitempty"`
	}{
		c.User, c.WorkingDir, c.StopSignal, c.Tty, c.AttachStdout, c.AttachStderr,
		c.Cmd, c.Entrypoint, c.Env, c.OnBuild, c.Shell, c.Labels, c.ExposedPorts, c.Volumes,
	})
	if err != nil {
		panic(err) // strings and maps of them can be encoded
	}
	return string(key)
}

// inLayer takes a step that runs nothing: it makes a layer above the stage's
// image, lets work change the files, and commits it. If intermediate containers
// are to be kept the layer is a container's. tell says whether the client hears
// of it before. shared are the files that work has left to be put in; nil for none.
func (s *session) inLayer(ctx context.Context, g *stage, probe *image.Config, tell bool, shared *sharing, work func(*tree) error) error {
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
		if err := s.putIn(ctx, shared, id); err != nil {
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
	img, release, err := s.Images.CommitHeld(ctx, id, image.CommitOptions{
		Author: g.author, Container: id, ContainerConfig: probe, Config: config, DockerVersion: s.Version,
		// A client may start a container meanwhile; of a layer without one it does not know.
		Adopt: slices.Contains(s.layers, id),
	})
	if err != nil {
		return err
	}
	g.stand(img.ID, release)
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
