package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"runtime/trace"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
	"github.com/seed-50ced230/berth/impl/wire"
)

// namePattern is the documents' pattern (parameter name of POST
// /containers/create) and the dot that Docker Engine also takes.
var namePattern = regexp.MustCompile(`^/?[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$`)

// ContainerCreate serves POST /containers/create. What it made is removed
// again when it fails, the name is free again.
func (e *Engine) ContainerCreate(ctx context.Context, p *hub.ContainerCreateParams) (*models.ContainerCreateResponse, error) {
	config := configOf(p.Body)
	host := p.Body.HostConfig
	if host == nil {
		host = &models.HostConfig{}
	}
	h := *host
	host = &h
	if config.VolumeDriver != "" && host.VolumeDriver == "" {
		host.VolumeDriver = config.VolumeDriver // where it stood before v1.21
	}
	liftOldResources(config, host)
	fillHostConfig(host)
	if err := checkConflicts(config, host); err != nil {
		return nil, err
	}
	warnings, err := e.checkHostConfig(config, host)
	if err != nil {
		return nil, err
	}
	e.Runtime.Expect() // most clients start at once what they create
	id := newID()
	name, err := e.reserveName(p.Name, id)
	if err != nil {
		return nil, err
	}
	made := false
	defer func() {
		if !made {
			e.containers.Release(name, id)
		}
	}()

	var img *image.Image
	if config.Image != "" {
		if img, err = e.Images.Get(config.Image); err != nil {
			return nil, err
		}
		if img.Damaged != nil {
			return nil, fault.Internal("image %s is damaged: %w", config.Image, img.Damaged)
		}
	} else {
		return nil, fault.Invalid("No image specified")
	}
	mergeImage(config, img.Config)
	if len(config.Cmd) == 0 && len(config.Entrypoint) == 0 {
		return nil, fault.Invalid("No command specified")
	}
	if err := e.checkConfig(config, host); err != nil {
		return nil, err
	}
	if err := e.resolveModes(host); err != nil {
		return nil, err
	}
	if err := e.checkLinks(host); err != nil {
		return nil, err
	}
	if len(config.Hostname) > maxHostname || strings.ContainsRune(config.Hostname, 0) {
		return nil, fault.Invalid("invalid hostname: it has more than %d bytes, or a zero byte", maxHostname)
	}
	if config.Hostname == "" {
		config.Hostname = id[:12]
		if host.NetworkMode == "host" || host.UTSMode == "host" {
			if config.Hostname, err = os.Hostname(); err != nil {
				return nil, fault.Internal("read the host's name: %w", err)
			}
		}
	}
	command := append(slices.Clone([]string(config.Entrypoint)), config.Cmd...)
	r := &container.Record{
		ID:         id,
		Name:       name,
		Created:    time.Now().UTC(),
		Image:      img.ID,
		ImageName:  config.Image,
		Path:       command[0],
		Args:       command[1:],
		Config:     config,
		HostConfig: host,
		State:      container.State{Status: container.Created},
	}
	if r.Mounts, err = e.planMounts(r); err != nil {
		return nil, err
	}
	if err := e.planPlaces(r, p.Body.NetworkingConfig); err != nil {
		return nil, err
	}
	if err := e.makeContainer(ctx, r); err != nil {
		return nil, err
	}
	made = true
	e.publish(r, "create", nil)
	if len(warnings) == 0 {
		warnings = nil
	}
	return &models.ContainerCreateResponse{ID: id, Warnings: warnings}, nil
}

// makeContainer makes what belongs to a record, the record last: before it is
// written the container does not exist.
func (e *Engine) makeContainer(ctx context.Context, r *container.Record) (err error) {
	trace.WithRegion(ctx, "create: writable layer", func() { _, err = e.Images.NewWritable(ctx, r.ID, r.Image) })
	if err != nil {
		return fmt.Errorf("create container: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.releaseVolumes(context.WithoutCancel(ctx), r, true), e.Images.RemoveWritable(r.ID), os.RemoveAll(e.dir(r.ID)))
		}
	}()
	if err := os.MkdirAll(e.dir(r.ID), 0o700); err != nil {
		return fault.Internal("make the container's directory: %w", err)
	}
	if err := e.makeVolumes(ctx, r); err != nil {
		return err
	}
	defer trace.StartRegion(ctx, "create: record").End()
	if err := e.Containers.Put(r); err != nil {
		return fault.Internal("%w", err)
	}
	e.containers.Add(container.New(r))
	return nil
}

// fillHostConfig gives the settings that may be left out the values that
// inspect shows for them: -1 is the kernel's own swappiness.
func fillHostConfig(h *models.HostConfig) {
	if h.MemorySwappiness == nil {
		kernels := int64(-1)
		h.MemorySwappiness = &kernels
	}
	if h.OomKillDisable == nil {
		no := false
		h.OomKillDisable = &no
	}
	if h.ShmSize == 0 {
		h.ShmSize = defaults.ShmSize
	}
}

// reserveName takes the wished name or, without one, a free invented one.
func (e *Engine) reserveName(name, id string) (string, error) {
	if name != "" {
		if !namePattern.MatchString(name) {
			return "", fault.Invalid("Invalid container name (%s), only [a-zA-Z0-9_.-] are allowed and not a dot at the beginning", name)
		}
		name = "/" + strings.TrimPrefix(name, "/")
		return name, e.containers.Reserve(name, id)
	}
	for range 8 {
		name = "/" + inventName()
		if e.containers.Reserve(name, id) == nil {
			return name, nil
		}
	}
	name = "/" + id[:12]
	return name, e.containers.Reserve(name, id)
}

// mergeImage fills what the client left open with the image's configuration
// (v1.18 reference, "Create a container"; an entrypoint of the client's own
// also drops the image's command).
func mergeImage(c *models.ContainerConfig, img *image.Config) {
	if img == nil {
		return
	}
	if c.User == "" {
		c.User = img.User
	}
	c.ExposedPorts = union(c.ExposedPorts, img.ExposedPorts)
	c.Volumes = union(c.Volumes, img.Volumes)
	given := map[string]bool{}
	for _, kv := range c.Env {
		key, _, _ := strings.Cut(kv, "=")
		given[key] = true
	}
	for _, kv := range img.Env {
		if key, _, _ := strings.Cut(kv, "="); !given[key] {
			c.Env = append(c.Env, kv)
		}
	}
	for k, v := range img.Labels {
		if _, ok := c.Labels[k]; !ok {
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels[k] = v
		}
	}
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = slices.Clone([]string(img.Cmd))
		}
		if c.Entrypoint == nil {
			c.Entrypoint = slices.Clone([]string(img.Entrypoint))
		}
	}
	if c.WorkingDir == "" && img.WorkingDir != "" {
		// An image's may be written with "..", which leads nowhere if a directory on the way is missing.
		c.WorkingDir = path.Clean(img.WorkingDir)
	}
	if c.StopSignal == "" {
		c.StopSignal = wire.Signal(img.StopSignal)
	}
}

// maxHostname is the kernel's limit, bytes (sethostname(2), HOST_NAME_MAX).
const maxHostname = 64
