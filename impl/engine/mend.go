package engine

import (
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/container"
)

// mend makes again what a loss of power took from containers: a record is on the disk
// when the client hears of the container, and what belongs to it a little later.
// Nothing in it was promised: see docs/durability.md.
func (e *Engine) mend(records []*container.Record) {
	layers := map[string]bool{}
	for _, id := range e.Images.Writables() {
		layers[id] = true
	}
	dirs := map[string]bool{}
	entries, err := os.ReadDir(filepath.Join(e.DataRoot, "containers"))
	if err != nil {
		e.Logger.Error("the containers' directory cannot be read", "error", err)
		return
	}
	for _, entry := range entries {
		dirs[entry.Name()] = true
	}
	for _, r := range records {
		if r.State.Status == container.Dead {
			continue
		}
		e.holdVolumes(r)
		if !dirs[r.ID] {
			if err := os.Mkdir(e.dir(r.ID), 0o700); err != nil {
				e.Logger.Error("a container's directory is gone and cannot be made again", "container", r.ID, "error", err)
			}
		}
		if layers[r.ID] {
			continue
		}
		if _, err := e.Images.NewWritable(e.ctx, r.ID, r.Image); err != nil {
			e.Logger.Error("a container's layer is gone and cannot be made again", "container", r.ID, "error", err)
			continue
		}
		e.Logger.Info("a container's layer was not on the disk yet when the host went down, and is made again", "container", r.ID)
	}
}

// holdVolumes notes a container among the users of its volumes.
func (e *Engine) holdVolumes(r *container.Record) {
	for _, m := range r.Mounts {
		if m.Driver == "" || m.Name == "" {
			continue
		}
		if err := e.Volumes.Acquire(m.Name, r.ID); err != nil && !errdefs.IsNotFound(err) {
			e.Logger.Error("a container's volume cannot be kept for it", "container", r.ID, "volume", m.Name, "error", err)
		}
	}
}
