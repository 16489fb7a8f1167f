package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/containerfs"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/overlay"
	"github.com/seed-50ced230/berth/impl/userns"
	"github.com/seed-50ced230/berth/impl/volume"
)

// How long a client takes over its archive is the client's business. While it
// sends or receives no lock of the container is held: the files of a container
// that runs are reached through its process; those of one that does not are
// read through a mount that cannot write, and written when the whole archive is
// there.

// readFiles calls use with a view of the container's files for reading.
func (e *Engine) readFiles(ctx context.Context, name string, use func(*container.Record, containerfs.View) error) error {
	c, err := e.containers.Get(name)
	if err != nil {
		return err
	}
	return missingFile(name, e.viewFiles(ctx, c, use))
}

func (e *Engine) viewFiles(ctx context.Context, c *container.Container, use func(*container.Record, containerfs.View) error) error {
	if err := e.whileRunning(ctx, c, use); !errors.Is(err, errAtRest) {
		return err
	}
	return e.atRest(ctx, c, use, func(r *container.Record, w *image.Writable, unlock func()) error {
		return e.viewAtRest(ctx, r, w, unlock, use)
	})
}

// errAtRest says that a container does not run.
var errAtRest = errors.New("the container does not run")

// endNoticed bounds how long the engine may take to notice a container's end.
const endNoticed = 10 * time.Second

// whileRunning calls use with a view of a container that runs; errAtRest if it
// does not. One that has just ended does not run, as soon as its end is known.
func (e *Engine) whileRunning(ctx context.Context, c *container.Container, use func(*container.Record, containerfs.View) error) error {
	task, err := e.runningTask(c)
	if err != nil {
		return errAtRest
	}
	// The map first: the root is only opened if the process is still there.
	ids, idsErr := userns.Of(task.Proc)
	root, err := task.Root()
	if errdefs.IsConflict(err) {
		wait, cancel := context.WithTimeout(ctx, endNoticed)
		defer cancel()
		if e.settle(wait, c.ID) != nil {
			return fault.Conflict("look into container %s: %w", c.ID, err)
		}
		return errAtRest
	}
	if err == nil {
		defer root.Close()
		err = idsErr
	}
	if err != nil {
		return fault.Internal("look into container %s: %w", c.ID, err)
	}
	return use(c.Record(), containerfs.View{Root: root.File, IDs: ids})
}

// atRest calls rest with the lock of a container that does not run and keeps on
// not running until unlock is called, or rest returns. If it runs by then,
// running is called.
func (e *Engine) atRest(ctx context.Context, c *container.Container, running func(*container.Record, containerfs.View) error,
	rest func(_ *container.Record, _ *image.Writable, unlock func()) error) error {
	var unlock func()
	for {
		_, free, err := e.operate(ctx, c.ID)
		if err != nil {
			return err
		}
		if _, err := e.runningTask(c); err != nil {
			unlock = sync.OnceFunc(free)
			break
		}
		free() // started while we waited
		if err := e.whileRunning(ctx, c, running); !errors.Is(err, errAtRest) {
			return err
		}
	}
	defer unlock()
	if err := checkAlive(c.Record(), "looked into"); err != nil {
		return err
	}
	if err := e.settle(ctx, c.ID); err != nil {
		return err
	}
	w, err := e.Images.Writable(c.ID)
	if err != nil {
		return err
	}
	return rest(c.Record(), w, unlock)
}

// viewAtRest gives the container free as soon as its tree is mounted for
// reading; a run or a removal meanwhile shows in what is read, as the work of a
// running container does.
func (e *Engine) viewAtRest(ctx context.Context, r *container.Record, w *image.Writable, unlock func(),
	use func(*container.Record, containerfs.View) error) error {
	user := "files-" + newID()
	binds, err := e.bindVolumes(ctx, r, user)
	if err != nil {
		return err
	}
	binds = append(e.bindNetworkFiles(r), binds...)
	release := func(local bool) {
		part := *r
		part.Mounts = slices.DeleteFunc(slices.Clone(r.Mounts), func(m container.Mount) bool { return (m.Driver == volume.DriverLocal) != local })
		e.unmountVolumes(ctx, &part, user)
	}
	defer release(false)
	// The view's own mount keeps a local volume, so that it can be removed.
	releaseLocal := sync.OnceFunc(func() { release(true) })
	defer releaseLocal()
	if len(binds) > 0 {
		// A read-only tree takes no mount points that are missing.
		made := restView(w, binds)
		if err := made.Run(func() error { return nil }); err != nil {
			return err
		}
	}
	v := containerfs.View{Stack: overlay.Stack{Lower: append([]string{w.Upper}, w.Lower...)}, Target: w.Target, Binds: binds}
	v.Entered = func() {
		releaseLocal()
		unlock()
	}
	return use(r, v)
}

func restView(w *image.Writable, binds []containerfs.Bind) containerfs.View {
	return containerfs.View{Stack: overlay.Stack{Lower: w.Lower, Upper: w.Upper, Work: w.Work}, Target: w.Target, Binds: binds}
}

// bindVolumes has the volumes mounted for a user and tells where they belong.
func (e *Engine) bindVolumes(ctx context.Context, r *container.Record, user string) ([]containerfs.Bind, error) {
	mounts, err := e.mountVolumes(ctx, r, user)
	if err != nil {
		return nil, err
	}
	var binds []containerfs.Bind
	for _, m := range mounts {
		binds = append(binds, containerfs.Bind{Source: m.Source, Destination: m.Destination, ReadOnly: !m.RW})
	}
	return binds, nil
}

// bindNetworkFiles has the files of the last run's network be seen; a run to
// come writes them anew.
func (e *Engine) bindNetworkFiles(r *container.Record) []containerfs.Bind {
	var binds []containerfs.Bind
	for _, name := range []string{"hosts", "resolv.conf", "hostname"} {
		destination := "/etc/" + name
		own := slices.ContainsFunc(r.Mounts, func(m container.Mount) bool { return m.Destination == destination })
		if source := e.filePath(r, name); source != "" && !own {
			binds = append(binds, containerfs.Bind{Source: source, Destination: destination})
		}
	}
	return binds
}

// upload is an archive on its way into a container.
type upload struct {
	body io.Reader
	// check says early whether the container would take an archive.
	check func(*container.Record, containerfs.View) error
	// extract puts the archive into the container's tree.
	extract func(*container.Record, containerfs.View, io.Reader) error
}

// writeFiles puts a client's archive into a container.
func (e *Engine) writeFiles(ctx context.Context, name string, u upload) error {
	c, err := e.containers.Get(name)
	if err != nil {
		return err
	}
	err = e.whileRunning(ctx, c, func(r *container.Record, v containerfs.View) error { return u.extract(r, v, u.body) })
	if !errors.Is(err, errAtRest) {
		return missingFile(name, err)
	}
	archive, err := e.receive(ctx, c, u)
	if err != nil {
		return missingFile(name, err)
	}
	defer archive.Close()
	running := func(r *container.Record, v containerfs.View) error { return u.extract(r, v, archive) }
	return missingFile(name, e.atRest(ctx, c, running, func(r *container.Record, w *image.Writable, _ func()) error {
		user := "files-" + newID()
		binds, err := e.bindVolumes(ctx, r, user)
		if err != nil {
			return err
		}
		defer e.unmountVolumes(ctx, r, user)
		return u.extract(r, restView(w, binds), archive)
	}))
}

// uploadInMemory is the size in bytes up to which an archive waits in memory.
const uploadInMemory = 1 << 20

// receive takes an archive off the client: into memory if it is small, else into
// a file without a name. One that would be refused is refused before that.
func (e *Engine) receive(ctx context.Context, c *container.Container, u upload) (io.ReadCloser, error) {
	var small bytes.Buffer
	_, err := io.CopyN(&small, u.body, uploadInMemory)
	if errors.Is(err, io.EOF) {
		return io.NopCloser(&small), nil
	}
	if err != nil {
		return nil, brokenOff(ctx, err)
	}
	if err := e.viewFiles(ctx, c, u.check); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(e.dir(c.ID), ".archive-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err == nil {
		_, err = io.Copy(f, &small)
	}
	if err == nil {
		_, err = io.Copy(f, clientReader{u.body})
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		return f, nil
	}
	if f != nil {
		f.Close()
	}
	if _, gone := e.containers.Get(c.ID); gone != nil {
		return nil, gone // with the place for the file
	}
	var client clientError
	if errors.As(err, &client) {
		return nil, brokenOff(ctx, client.error)
	}
	return nil, fault.Internal("keep the archive until it is whole: %w", err)
}

// brokenOff says that a client's archive did not come to its end.
func brokenOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.Invalid("read the archive: %w", err)
}

// clientReader marks the errors that come from the client's side of a copy.
type clientReader struct{ io.Reader }

type clientError struct{ error }

func (c clientReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = clientError{err}
	}
	return n, err
}

// missingFile words that a path is not there in the container.
func missingFile(name string, err error) error {
	var missing *containerfs.MissingError
	if errors.As(err, &missing) {
		return fault.NotFound("Could not find the file %s in container %s", missing.Path, name)
	}
	return err
}
