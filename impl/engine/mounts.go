package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	continuity "github.com/containerd/continuity/fs"
	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/overlay"
	"github.com/seed-50ced230/berth/impl/volume"
)

// propagations are the mount propagation modes of a bind (v1.22 reference, Binds;
// mount_namespaces(7)).
var propagations = [...]string{"shared", "slave", "private", "rshared", "rslave", "rprivate"}

// planMounts works out what appears in the container from the host: VolumesFrom
// first, then Binds, then the volumes of the image and the client that neither
// covers. Volumes without a name get one from makeVolumes.
func (e *Engine) planMounts(r *container.Record) ([]container.Mount, error) {
	var mounts []container.Mount
	put := func(m container.Mount) {
		mounts = slices.DeleteFunc(mounts, func(o container.Mount) bool { return o.Destination == m.Destination })
		mounts = append(mounts, m)
	}
	for _, from := range r.HostConfig.VolumesFrom {
		name, mode, _ := strings.Cut(from, ":")
		other, err := e.containers.Get(name)
		if err != nil {
			return nil, err
		}
		if mode != "" && mode != "ro" && mode != "rw" && mode != "z" && mode != "Z" {
			return nil, fault.Invalid("invalid mode for volumes-from: %s", mode)
		}
		for _, m := range other.Record().Mounts {
			m.RW = m.RW && mode != "ro"
			m.Anonymous = false
			put(m)
		}
	}
	driver := cmp.Or(r.HostConfig.VolumeDriver, volume.DriverLocal)
	bound := map[string]bool{}
	for _, b := range r.HostConfig.Binds {
		m, err := parseBind(b)
		if err != nil {
			return nil, err
		}
		if bound[m.Destination] {
			return nil, fault.Invalid("Duplicate mount point: %s", m.Destination)
		}
		bound[m.Destination] = true
		if m.Name != "" || m.Anonymous {
			m.Driver = driver
		}
		put(m)
	}
	for destination := range r.Config.Volumes {
		clean := path.Clean(destination)
		if !path.IsAbs(destination) || clean == "/" {
			return nil, fault.Invalid("Invalid volume destination path: '%s' mount path must be absolute.", destination)
		}
		if slices.ContainsFunc(mounts, func(m container.Mount) bool { return m.Destination == clean }) {
			continue
		}
		put(container.Mount{Driver: driver, Destination: clean, RW: true, Anonymous: true})
	}
	if err := checkTmpfs(r.HostConfig, bound); err != nil {
		return nil, err
	}
	slices.SortFunc(mounts, func(a, b container.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	return mounts, nil
}

// parseBind reads one item of Binds: source:destination[:options], the source
// being an absolute path of the host or the name of a volume, or destination
// alone for a new volume.
func parseBind(s string) (container.Mount, error) {
	m := container.Mount{RW: true}
	parts := strings.Split(s, ":")
	if len(parts) > 3 || s == "" {
		return m, fault.Invalid("Invalid bind mount spec %q: volumeabs: Invalid volume spec", s)
	}
	if len(parts) == 1 {
		m.Destination, m.Anonymous = parts[0], true
	} else {
		m.Source, m.Destination = parts[0], parts[1]
		if m.Source == "" {
			return m, fault.Invalid("Invalid bind mount spec %q: it names neither a path nor a volume", s)
		}
	}
	if len(parts) == 3 {
		m.Mode = parts[2]
		if err := readBindOptions(&m); err != nil {
			return m, fault.Invalid("Invalid bind mount spec %q: %w", s, err)
		}
	}
	if strings.ContainsRune(s, 0) || !path.IsAbs(m.Destination) || path.Clean(m.Destination) == "/" {
		return m, fault.Invalid("Invalid bind mount spec %q: the destination must be an absolute path below /", s)
	}
	m.Destination = path.Clean(m.Destination)
	switch {
	case m.Anonymous:
	case path.IsAbs(m.Source):
		m.Source = path.Clean(m.Source)
		if m.NoCopy {
			return m, fault.Invalid("Invalid bind mount spec %q: nocopy is for named volumes only", s)
		}
		if m.Propagation == "" {
			m.Propagation = "rprivate"
		}
	default:
		if m.Propagation != "" {
			return m, fault.Invalid("Invalid bind mount spec %q: propagation is for host paths only", s)
		}
		m.Name, m.Source = m.Source, ""
	}
	return m, nil
}

func readBindOptions(m *container.Mount) error {
	access, label := 0, 0
	for _, o := range strings.Split(m.Mode, ",") {
		switch {
		case o == "ro" || o == "rw":
			m.RW = o == "rw"
			access++
		case o == "z" || o == "Z":
			label++ // relabelling means nothing without SELinux
		case o == "nocopy":
			m.NoCopy = true
		case slices.Contains(propagations[:], o) && m.Propagation == "":
			m.Propagation = o
		default:
			return fmt.Errorf("invalid mode: %s", m.Mode)
		}
	}
	if access > 1 || label > 1 {
		return fmt.Errorf("invalid mode: %s", m.Mode)
	}
	return nil
}

// makeVolumes makes the volumes of a new container that do not exist yet, takes
// hold of all, and copies the image's content into empty ones.
func (e *Engine) makeVolumes(ctx context.Context, r *container.Record) error {
	var tree *os.File
	defer func() {
		if tree != nil {
			tree.Close()
		}
	}()
	for i := range r.Mounts {
		m := &r.Mounts[i]
		if m.Driver == "" {
			continue
		}
		v, created, err := e.Volumes.Ensure(ctx, m.Name, m.Driver)
		if err != nil {
			return err
		}
		m.Name, m.Driver, m.Source = v.Name, v.Driver, v.Mountpoint
		if err := e.Volumes.Acquire(v.Name, r.ID); err != nil {
			return err
		}
		if created {
			e.volumeEvent(v.Name, "create", map[string]string{"driver": v.Driver})
		}
		if m.NoCopy {
			continue
		}
		if tree == nil {
			w, err := e.Images.Writable(r.ID)
			if err != nil {
				return err
			}
			if tree, err = openTree(w); err != nil {
				return err
			}
		}
		err = e.Volumes.Populate(ctx, v.Name, r.ID+"-copy", func(dir string) error { return copyFrom(tree, m.Destination, dir) })
		if err != nil {
			return fault.Internal("copy the image's %s into volume %s: %w", m.Destination, v.Name, err)
		}
	}
	return nil
}

// openTree gives a read-only view of a container's tree that is mounted nowhere.
func openTree(w *image.Writable) (*os.File, error) {
	tree, err := overlay.Open(overlay.Stack{Lower: append([]string{w.Upper}, w.Lower...)})
	if err != nil {
		return nil, fault.Internal("%w", err)
	}
	return tree, nil
}

// copyFrom copies the directory at a path inside the tree, with its own owner
// and mode. A path that is not there, or is no directory, has no content.
// Symbolic links are resolved inside the tree.
func copyFrom(tree *os.File, source, destination string) error {
	handle, err := pathrs.OpenatInRoot(tree, source)
	if err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return nil
		}
		return err
	}
	defer handle.Close()
	if info, err := handle.Stat(); err != nil || !info.IsDir() {
		return err
	}
	return continuity.CopyDir(destination, fmt.Sprintf("/proc/self/fd/%d/", handle.Fd()))
}

// releaseVolumes lets go of a container's volumes and removes, if asked, those
// that were made for it alone.
func (e *Engine) releaseVolumes(ctx context.Context, r *container.Record, remove bool) error {
	var errs []error
	for _, m := range r.Mounts {
		if m.Driver == "" || m.Name == "" {
			continue
		}
		if err := e.Volumes.Release(m.Name, r.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		if !remove || !m.Anonymous {
			continue
		}
		if v, err := e.Volumes.Get(m.Name); err != nil || len(v.Users) > 0 {
			continue
		}
		if err := e.Volumes.Remove(ctx, m.Name, e.nameOrID); err != nil {
			errs = append(errs, err)
			continue
		}
		e.volumeEvent(m.Name, "destroy", map[string]string{"driver": m.Driver})
	}
	return errors.Join(errs...)
}

// releaseOthers lets go of the volumes of a record that are not among other
// mounts of the same container, and removes those that were made for it alone.
func (e *Engine) releaseOthers(ctx context.Context, r *container.Record, kept []container.Mount) error {
	gone := *r
	gone.Mounts = slices.DeleteFunc(slices.Clone(r.Mounts), func(m container.Mount) bool {
		return slices.ContainsFunc(kept, func(k container.Mount) bool { return k.Name == m.Name })
	})
	return e.releaseVolumes(context.WithoutCancel(ctx), &gone, true)
}

// mountVolumes has the volumes of a record mounted for a user and gives the
// mounts with the places where the data are now. When it fails none is mounted.
func (e *Engine) mountVolumes(ctx context.Context, r *container.Record, user string) ([]container.Mount, error) {
	mounts := slices.Clone(r.Mounts)
	for i, m := range mounts {
		if m.Name == "" {
			continue
		}
		dir, err := e.Volumes.Mount(ctx, m.Name, user)
		if err != nil {
			done := *r
			done.Mounts = mounts[:i]
			e.unmountVolumes(ctx, &done, user)
			return nil, err
		}
		mounts[i].Source = dir
	}
	return mounts, nil
}

// unmountVolumes ends what mountVolumes began. A driver that fails is asked
// again at the next start of the engine.
func (e *Engine) unmountVolumes(ctx context.Context, r *container.Record, user string) {
	ctx = context.WithoutCancel(ctx) // a client that goes away takes no mount back
	for _, m := range r.Mounts {
		if m.Name == "" {
			continue
		}
		if err := e.Volumes.Unmount(ctx, m.Name, user); err != nil {
			e.Logger.Error("a volume could not be unmounted", "volume", m.Name, "user", user, "error", err)
		}
	}
}

// volumeEvent tells what happened to a volume.
func (e *Engine) volumeEvent(name, action string, attributes map[string]string) {
	e.Events.Publish(events.Event{Type: events.Volume, Action: action, ID: name, Attributes: attributes})
}

// mountEvents tells that a container's volumes came into use or out of it.
func (e *Engine) mountEvents(r *container.Record, action string) {
	for _, m := range r.Mounts {
		if m.Name == "" {
			continue
		}
		a := map[string]string{"container": r.ID, "driver": m.Driver}
		if action == "mount" {
			a["destination"] = m.Destination
			a["read/write"] = strconv.FormatBool(m.RW)
			a["propagation"] = cmp.Or(m.Propagation, "rprivate")
		}
		e.volumeEvent(m.Name, action, a)
	}
}
