package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/containerfs"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/overlay"
)

// statHeader carries a file's description, JSON in base64.
const statHeader = "X-Docker-Container-Path-Stat"

// withFiles calls use with a view of the container's files. A container that
// does not run cannot be started meanwhile.
func (e *Engine) withFiles(ctx context.Context, name string, use func(*container.Record, containerfs.View) error) error {
	err := e.withView(ctx, name, use)
	var missing *containerfs.MissingError
	if errors.As(err, &missing) {
		return fault.NotFound("Could not find the file %s in container %s", missing.Path, name)
	}
	return err
}

func (e *Engine) withView(ctx context.Context, name string, use func(*container.Record, containerfs.View) error) error {
	c, err := e.containers.Get(name)
	if err != nil {
		return err
	}
	if task, err := e.runningTask(c); err == nil {
		return use(c.Record(), containerfs.View{Root: task.Root()})
	}
	unlock, err := c.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := e.settle(ctx, c.ID); err != nil {
		return err
	}
	if task, err := e.runningTask(c); err == nil { // started while we waited
		return use(c.Record(), containerfs.View{Root: task.Root()})
	}
	w, err := e.Images.Writable(c.ID)
	if err != nil {
		return err
	}
	r := c.Record()
	user := "files-" + newID()
	mounts, err := e.mountVolumes(ctx, r, user)
	if err != nil {
		return err
	}
	defer e.unmountVolumes(context.WithoutCancel(ctx), r, user)
	v := containerfs.View{Stack: overlay.Stack{Lower: w.Lower, Upper: w.Upper, Work: w.Work}, Target: w.Target}
	for _, m := range mounts {
		v.Binds = append(v.Binds, containerfs.Bind{Source: m.Source, Destination: m.Destination, ReadOnly: !m.RW})
	}
	return use(r, v)
}

// ContainerArchiveInfo serves HEAD /containers/(id or name)/archive.
func (e *Engine) ContainerArchiveInfo(ctx context.Context, p *hub.ContainerArchiveInfoParams, w http.ResponseWriter, r *http.Request) error {
	return e.withFiles(ctx, p.Name, func(_ *container.Record, v containerfs.View) error {
		s, err := v.Look(p.Path)
		if err != nil {
			return err
		}
		if err := setStat(w, s); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	})
}

func setStat(w http.ResponseWriter, s containerfs.Stat) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fault.Internal("describe %s: %w", s.Name, err)
	}
	w.Header().Set(statHeader, base64.StdEncoding.EncodeToString(data))
	return nil
}

// ContainerArchive serves GET /containers/(id or name)/archive.
func (e *Engine) ContainerArchive(ctx context.Context, p *hub.ContainerArchiveParams, w http.ResponseWriter, r *http.Request) error {
	return e.withFiles(ctx, p.Name, func(rec *container.Record, v containerfs.View) error {
		err := v.Pack(ctx, p.Path, func(s containerfs.Stat) error {
			w.Header().Set("Content-Type", "application/x-tar")
			return setStat(w, s)
		}, w)
		if err == nil {
			e.publish(rec, "archive-path", nil)
		}
		return err
	})
}

// ContainerCopy serves POST /containers/(id or name)/copy, the older form of
// archive.
func (e *Engine) ContainerCopy(ctx context.Context, p *hub.ContainerCopyParams, w http.ResponseWriter, r *http.Request) error {
	if p.Body.Resource == "" {
		return fault.Invalid("Path cannot be empty")
	}
	return e.withFiles(ctx, p.Name, func(rec *container.Record, v containerfs.View) error {
		err := v.Pack(ctx, p.Body.Resource, func(containerfs.Stat) error {
			w.Header().Set("Content-Type", "application/x-tar")
			return nil
		}, w)
		if err == nil {
			e.publish(rec, "copy", nil)
		}
		return err
	})
}

// PutContainerArchive serves PUT /containers/(id or name)/archive.
func (e *Engine) PutContainerArchive(ctx context.Context, p *hub.PutContainerArchiveParams, w http.ResponseWriter, r *http.Request) error {
	return e.withFiles(ctx, p.Name, func(rec *container.Record, v containerfs.View) error {
		err := v.Unpack(ctx, p.Path, p.Body, p.NoOverwriteDirNonDir, func(resolved string) error { return checkWritable(rec, resolved) })
		if err != nil {
			return err
		}
		e.publish(rec, "extract-to-dir", nil)
		w.WriteHeader(http.StatusOK)
		return nil
	})
}

// checkWritable refuses to extract into what the container itself cannot write:
// the nearest mount above the path decides, or the root.
func checkWritable(r *container.Record, resolved string) error {
	var nearest *container.Mount
	for i, m := range r.Mounts {
		inside := resolved == m.Destination || strings.HasPrefix(resolved, strings.TrimSuffix(m.Destination, "/")+"/")
		if inside && (nearest == nil || len(m.Destination) > len(nearest.Destination)) {
			nearest = &r.Mounts[i]
		}
	}
	switch {
	case nearest != nil && !nearest.RW:
		return fault.Forbidden("mounted volume is marked read-only")
	case nearest == nil && r.HostConfig.ReadonlyRootfs && r.HostConfig.Tmpfs[path.Clean(resolved)] == "":
		return fault.Forbidden("container rootfs is marked read-only")
	}
	return nil
}
