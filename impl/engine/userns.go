package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/userns"
)

// remapped says whether a container has a user namespace: that of the daemon's
// setting, unless it asks for the host's.
func (e *Engine) remapped(h *models.HostConfig) bool { return !e.IDs.None() && h.UsernsMode != "host" }

// checkUserns refuses what a container with a user namespace cannot have: its
// root is nobody on the host. The modes are resolved.
func (e *Engine) checkUserns(h *models.HostConfig) error {
	if !e.remapped(h) {
		return nil
	}
	switch {
	case h.Privileged:
		return fault.Invalid("Privileged mode is incompatible with user namespaces. You must run the container in the host namespace when running privileged mode")
	case h.NetworkMode == "host":
		return fault.Invalid("Cannot share the host's network namespace when user namespaces are enabled")
	case h.PidMode == "host":
		return fault.Invalid("Cannot share the host PID namespace when user namespaces are enabled")
	}
	return nil
}

// userSpace is the user namespace of a run. The zero value is the host's.
type userSpace struct {
	ids userns.Map
	// file is the namespace; nil until the network's is made with it.
	file *os.File
}

// userSpaceOf finds out which user namespace a container runs in: one of its
// own, or that of the containers whose namespaces it shares, because a namespace
// can be used fully only in the user namespace that it belongs to.
func (e *Engine) userSpaceOf(r *container.Record, j *joined) (userSpace, error) {
	if !e.remapped(r.HostConfig) {
		return userSpace{}, nil
	}
	if err := e.checkUserns(r.HostConfig); err != nil { // made under another setting
		return userSpace{}, err
	}
	space := userSpace{ids: e.IDs}
	for _, mode := range []string{r.HostConfig.NetworkMode, r.HostConfig.IpcMode, r.HostConfig.PidMode} {
		id, ok := strings.CutPrefix(mode, "container:")
		if !ok {
			continue
		}
		other, err := e.containers.Get(id)
		if err != nil {
			return userSpace{}, err
		}
		task, err := e.runningTask(other)
		if err != nil {
			continue // told where the namespace is joined
		}
		file, err := j.open(e, id, "user")
		if err != nil {
			return userSpace{}, err
		}
		ids, err := userns.Of(task.Proc)
		if err != nil {
			return userSpace{}, fault.Internal("%w", err)
		}
		if ids.None() {
			return userSpace{}, fault.Conflict("cannot share a namespace with container %s, which runs in the host's user namespace: create this one with UsernsMode host, too", id)
		}
		if space.file != nil {
			if same, err := sameFile(space.file, file); err != nil || !same {
				return userSpace{}, fault.Conflict("cannot share namespaces with several containers that have user namespaces of their own")
			}
		}
		space = userSpace{ids: ids, file: file}
	}
	return space, nil
}

func sameFile(a, b *os.File) (bool, error) {
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y), err
}

// network gives the function that makes the run's network namespace; nil is the
// usual way.
func (s userSpace) network(ctx context.Context, e *Engine) func() (*os.File, error) {
	switch {
	case s.ids.None():
		return nil
	case s.file == nil:
		return s.ids.NewNetwork
	}
	return func() (*os.File, error) { return e.Runtime.NetworkNamespace(ctx, s.file) }
}

// settle completes the space when the network namespace, at the path, is there.
func (s userSpace) settle(key string, j *joined) (userSpace, error) {
	if s.ids.None() || s.file != nil {
		return s, nil
	}
	network, err := os.Open(key)
	if err != nil {
		return s, fault.Internal("open the network namespace: %w", err)
	}
	defer network.Close()
	if s.file, err = userns.Owner(network); err != nil {
		return s, fault.Internal("%w", err)
	}
	j.files = append(j.files, s.file)
	return s, nil
}

// rootPlace is where the roots of containers with user namespaces are mounted,
// each in a mount namespace of its own: a place to which their users can pass.
func (e *Engine) rootPlace() string { return filepath.Join(e.ExecRoot, "rootfs") }

// prepareUserns makes sure that the daemon's setting can work here.
func (e *Engine) prepareUserns() error {
	if e.IDs.None() {
		return nil
	}
	if err := os.MkdirAll(e.rootPlace(), 0o711); err != nil {
		return err
	}
	if err := e.IDs.Passable(e.rootPlace()); err != nil {
		return err
	}
	return e.IDs.Check(e.Images.Root())
}
