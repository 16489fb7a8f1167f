package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/containerfs"
	"github.com/seed-50ced230/berth/impl/fault"
)

// statHeader carries a file's description, JSON in base64.
const statHeader = "X-Docker-Container-Path-Stat"

// ContainerArchiveInfo serves HEAD /containers/(id or name)/archive.
func (e *Engine) ContainerArchiveInfo(ctx context.Context, p *hub.ContainerArchiveInfoParams, w http.ResponseWriter, r *http.Request) error {
	return e.readFiles(ctx, p.Name, func(_ *container.Record, v containerfs.View) error {
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
	return e.readFiles(ctx, p.Name, func(rec *container.Record, v containerfs.View) error {
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
	return e.readFiles(ctx, p.Name, func(rec *container.Record, v containerfs.View) error {
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
	u := upload{
		body: p.Body,
		check: func(rec *container.Record, v containerfs.View) error {
			return v.Accepts(p.Path, func(resolved string) error { return checkWritable(rec, resolved) })
		},
		extract: func(rec *container.Record, v containerfs.View, archive io.Reader) error {
			err := v.Unpack(ctx, p.Path, archive, p.NoOverwriteDirNonDir, func(resolved string) error { return checkWritable(rec, resolved) })
			if err == nil {
				e.publish(rec, "extract-to-dir", nil)
			}
			return err
		},
	}
	if err := e.writeFiles(ctx, p.Name, u); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
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
