package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/image/instruction"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// newConfig is a configuration that the store writes itself. Its fields are in
// the order of Docker's, which sorts nothing.
type newConfig struct {
	Architecture    string    `json:"architecture,omitempty"`
	Author          string    `json:"author,omitempty"`
	Comment         string    `json:"comment,omitempty"`
	Config          *Config   `json:"config,omitempty"`
	Container       string    `json:"container,omitempty"`
	ContainerConfig *Config   `json:"container_config,omitempty"`
	Created         time.Time `json:"created"`
	DockerVersion   string    `json:"docker_version,omitempty"`
	History         []History `json:"history,omitempty"`
	OS              string    `json:"os,omitempty"`
	RootFS          *RootFS   `json:"rootfs,omitempty"`
	Variant         string    `json:"variant,omitempty"`
	OSVersion       string    `json:"os.version,omitempty"`
}

// Import makes an image of one layer from a tar (which may be compressed).
func (s *Store) Import(ctx context.Context, r io.Reader, o ImportOptions) (*Image, error) {
	in := s.newIngest()
	defer in.abort()
	config := &Config{}
	if err := applyChanges(config, o.Changes); err != nil {
		return nil, err
	}
	name := ""
	if o.Ref != "" {
		tagged, err := parseTagged(o.Ref, "")
		if err != nil {
			return nil, err
		}
		name = tagged.String()
	}
	plain, err := layer.Decompress(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer plain.Close()
	u, err := in.unpack(ctx, plain)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	if _, err := in.stack(ctx, "", u); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	created := o.Created
	if created.IsZero() {
		created = time.Now().UTC()
	}
	message := o.Message
	if message == "" {
		message = "Imported from " + o.Source
	}
	raw, err := json.Marshal(newConfig{
		Architecture: runtime.GOARCH, OS: runtime.GOOS, Comment: message, Config: config, ContainerConfig: &Config{},
		Created: created, DockerVersion: o.DockerVersion,
		History: []History{{Created: &created, Comment: message}},
		RootFS:  &RootFS{Type: "layers", DiffIDs: []digest.Digest{u.res.DiffID}},
	})
	if err != nil {
		return nil, err
	}
	return in.finish(raw, "", name)
}

// finish adds the image, gives it the name and commits.
func (in *ingest) finish(raw []byte, parent digest.Digest, name string) (*Image, error) {
	img, err := in.image(raw, parent)
	if err != nil {
		return nil, err
	}
	if name != "" {
		in.tags[name] = img.ID
	}
	if err := in.commit(); err != nil {
		return nil, err
	}
	return in.s.Get(img.ID.String())
}

// applyChanges runs Dockerfile instructions over a configuration.
func applyChanges(c *Config, changes []string) error {
	for _, line := range changes {
		if err := applyChange(c, line); err != nil {
			return err
		}
	}
	return nil
}

func applyChange(c *Config, text string) error {
	list, err := instruction.Parse(text)
	if err != nil {
		return err
	}
	for _, i := range list {
		switch i.Name {
		case "CMD":
			c.Cmd = i.Command()
			c.ArgsEscaped = false
		case "ENTRYPOINT":
			c.Entrypoint = i.Command()
		case "ENV":
			for _, p := range i.Pairs {
				c.setEnv(p.Key, p.Value)
			}
		case "LABEL":
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			for _, p := range i.Pairs {
				c.Labels[p.Key] = p.Value
			}
		case "EXPOSE":
			if c.ExposedPorts == nil {
				c.ExposedPorts = map[string]struct{}{}
			}
			for _, port := range i.Ports {
				c.ExposedPorts[port] = struct{}{}
			}
		case "VOLUME":
			if c.Volumes == nil {
				c.Volumes = map[string]struct{}{}
			}
			for _, v := range i.Words {
				c.Volumes[v] = struct{}{}
			}
		case "USER":
			c.User = i.Words[0]
		case "WORKDIR":
			c.WorkingDir = i.Dir(c.WorkingDir)
		case "ONBUILD":
			c.OnBuild = append(c.OnBuild, i.Text)
		case "STOPSIGNAL":
			c.StopSignal = i.Words[0]
		}
	}
	return nil
}

// setEnv sets a variable in place, or adds it at the end.
func (c *Config) setEnv(key, value string) {
	entry := key + "=" + value
	for i, e := range c.Env {
		if len(e) > len(key) && e[:len(key)+1] == key+"=" {
			c.Env[i] = entry
			return
		}
	}
	c.Env = append(c.Env, entry)
}
