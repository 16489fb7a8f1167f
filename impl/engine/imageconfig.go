package engine

import (
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/wire"
)

// configModel shows the configuration of an image as the API does. An image of
// another builder may have none; what is shown then is an empty one.
func configModel(c *image.Config) *models.ContainerConfig {
	if c == nil {
		c = &image.Config{}
	}
	return &models.ContainerConfig{
		Hostname:        c.Hostname,
		Domainname:      c.Domainname,
		User:            c.User,
		AttachStdin:     c.AttachStdin,
		AttachStdout:    c.AttachStdout,
		AttachStderr:    c.AttachStderr,
		ExposedPorts:    set(c.ExposedPorts),
		PublishService:  c.PublishService,
		Tty:             c.Tty,
		OpenStdin:       c.OpenStdin,
		StdinOnce:       c.StdinOnce,
		Env:             c.Env,
		Cmd:             wire.CommandLine(c.Cmd),
		Image:           c.Image,
		Volumes:         set(c.Volumes),
		WorkingDir:      c.WorkingDir,
		Entrypoint:      wire.CommandLine(c.Entrypoint),
		NetworkDisabled: c.NetworkDisabled,
		MacAddress:      c.MacAddress,
		OnBuild:         c.OnBuild,
		Labels:          c.Labels,
		StopSignal:      wire.Signal(c.StopSignal),
	}
}

// imageConfig is a container's configuration as an image keeps it.
func imageConfig(c *models.ContainerConfig) *image.Config {
	return &image.Config{
		Hostname:        c.Hostname,
		Domainname:      c.Domainname,
		User:            c.User,
		AttachStdin:     c.AttachStdin,
		AttachStdout:    c.AttachStdout,
		AttachStderr:    c.AttachStderr,
		ExposedPorts:    keys(c.ExposedPorts),
		PublishService:  c.PublishService,
		Tty:             c.Tty,
		OpenStdin:       c.OpenStdin,
		StdinOnce:       c.StdinOnce,
		Env:             c.Env,
		Cmd:             image.Words(c.Cmd),
		Image:           c.Image,
		Volumes:         keys(c.Volumes),
		WorkingDir:      c.WorkingDir,
		Entrypoint:      image.Words(c.Entrypoint),
		NetworkDisabled: c.NetworkDisabled,
		MacAddress:      c.MacAddress,
		OnBuild:         c.OnBuild,
		Labels:          c.Labels,
		StopSignal:      string(c.StopSignal),
	}
}

// set and keys translate between the two forms of a set; nil stays nil, because
// it is shown as null.
func set(m map[string]struct{}) map[string]wire.EmptyObject {
	if m == nil {
		return nil
	}
	out := make(map[string]wire.EmptyObject, len(m))
	for k := range m {
		out[k] = wire.EmptyObject{}
	}
	return out
}

func keys(m map[string]wire.EmptyObject) map[string]struct{} {
	if m == nil {
		return nil
	}
	out := make(map[string]struct{}, len(m))
	for k := range m {
		out[k] = struct{}{}
	}
	return out
}
