package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// Start starts a container and returns when its process has been executed. A
// container that cannot be started gives a *StartError; then nothing is left
// of it. An id that has a handle gives errdefs.ErrConflict.
func (r *Runtime) Start(ctx context.Context, spec *Spec) (_ *Task, err error) {
	started := false
	defer func() {
		if !started {
			closeAll(spec.Attachments)
		}
	}()
	if err := checkSpec(spec); err != nil {
		return nil, err
	}
	r.Expect()
	cgroup, err := cgroupOf(spec.OCI.Linux.CgroupsPath, r.systemd)
	if err != nil {
		return nil, err
	}
	dir := r.dir(spec.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil, fault.Conflict("container %s is known to the runtime already", spec.ID)
		}
		return nil, fmt.Errorf("make the handle directory: %w", err)
	}
	intent := &protocol.Handle{Version: protocol.Version, ID: spec.ID, Run: spec.Run, Cgroup: cgroup}
	defer func() {
		if err != nil {
			r.sweep(spec.ID, intent)
		}
	}()
	if err := intent.Write(dir); err != nil {
		return nil, err
	}
	attachments := spec.Attachments
	if spec.Log.Forward != nil {
		a, err := r.startForwarder(ctx, spec.Log.Forward)
		if err != nil {
			return nil, err
		}
		defer a.Close()
		attachments = append(slices.Clone(attachments), a)
	}
	order := &protocol.Order{
		ID: spec.ID, Run: spec.Run, Dir: dir, OCI: spec.OCI,
		Rootfs: protocol.Rootfs(spec.Rootfs), Stdio: protocol.Stdio(spec.Stdio), Log: protocol.Log{Path: spec.Log.Path, MaxSize: spec.Log.MaxSize, MaxFile: spec.Log.MaxFile, Attrs: spec.Log.Attrs},
		Spool: r.spool(),
	}
	if err := r.shorten(order); err != nil {
		return nil, err
	}
	var namespaces []*os.File
	for _, b := range spec.Borrow {
		order.Borrow = append(order.Borrow, protocol.Borrow{Mount: b.Mount, Path: b.Path})
		namespaces = append(namespaces, b.Namespace)
	}
	c, err := r.spawn(ctx, order, attachments, namespaces)
	if err != nil {
		return nil, err
	}
	started = true
	r.shim.learn(spec.OCI.Linux.Seccomp)
	return r.newTask(spec.ID, c), nil
}

// shorten replaces the seccomp profile of an order by its short form. In a user
// namespace the container's first process cannot read the shim's executable, which
// has the programs: nobody but root may, since one who may read it may also look into
// the process (ptrace(2), PTRACE_MODE_READ).
func (r *Runtime) shorten(order *protocol.Order) error {
	short, err := r.shim.profiles.short(order.OCI.Linux.Seccomp)
	remapped := slices.ContainsFunc(order.OCI.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	if err != nil || short == order.OCI.Linux.Seccomp || remapped {
		return err
	}
	oci, linux := *order.OCI, *order.OCI.Linux
	linux.Seccomp, oci.Linux = short, &linux
	order.OCI = &oci
	return nil
}

func checkSpec(spec *Spec) error {
	if err := checkID(spec.ID); err != nil {
		return err
	}
	if spec.OCI == nil || spec.OCI.Process == nil || spec.OCI.Linux == nil {
		return fault.Invalid("container %s has no process or no Linux configuration", spec.ID)
	}
	if spec.OCI.Hooks != nil {
		return fault.Invalid("container %s has hooks, which the runtime does not run", spec.ID)
	}
	for _, b := range spec.Borrow {
		if b.Mount < 0 || b.Mount >= len(spec.OCI.Mounts) || spec.OCI.Mounts[b.Mount].Type != "bind" || b.Namespace == nil {
			return fault.Invalid("container %s borrows for a bind mount that it does not have, or from nobody", spec.ID)
		}
	}
	if len(spec.Borrow) > maxBorrowed {
		return fault.Invalid("container %s borrows more than %d mounts", spec.ID, maxBorrowed)
	}
	r := spec.Rootfs
	switch {
	case r.Dir != "" && (len(r.Lower) > 0 || r.Upper != "" || r.Work != "" || r.Target != ""):
		return fault.Invalid("container %s has two roots", spec.ID)
	case r.Dir == "" && (len(r.Lower) == 0 || r.Target == ""):
		return fault.Invalid("container %s has no root", spec.ID)
	case (r.Upper == "") != (r.Work == ""):
		return fault.Invalid("container %s: upper and work directory come together", spec.ID)
	case !r.IDs.None() && (r.Dir != "" || r.Tree == "" || r.Place == ""):
		return fault.Invalid("container %s: a map of ids needs layers, their tree and a place for it", spec.ID)
	}
	return nil
}

// sweep removes what an unfinished or dead container left: processes, cgroups,
// state, handle.
func (r *Runtime) sweep(id string, h *protocol.Handle) {
	if m, err := managerOf(h); err == nil {
		killCgroup(m)
		_ = m.Destroy()
	}
	_ = removeDir(r.stateDir(id))
	_ = removeDir(r.dir(id))
}

// Load finds a container again, after a restart of the daemon. A container
// whose monitor died is killed and shown as exited, with Exit.Reason. An
// unknown id gives errdefs.ErrNotFound.
func (r *Runtime) Load(ctx context.Context, id string) (*Task, error) {
	if err := checkID(id); err != nil {
		return nil, fault.NotFound("no handle for container %s", id)
	}
	c, err := r.loadChild(ctx, r.dir(id), id)
	if err != nil {
		return nil, err
	}
	if c.handle == nil { // a start that nobody finished
		return nil, fault.NotFound("no handle for container %s", id)
	}
	return r.newTask(id, c), nil
}

// loadChild reads a handle directory. A child without a handle was never
// started; its remains are gone.
func (r *Runtime) loadChild(ctx context.Context, dir, id string) (*child, error) {
	h, err := readHandle(dir)
	if errors.Is(err, os.ErrNotExist) {
		_ = removeDir(dir)
		return nil, fault.NotFound("no handle in %s", dir)
	}
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, protocol.ExitName)); err == nil {
		return &child{handle: h}, nil
	}
	watch, err := dialWatch(ctx, dir)
	if err != nil {
		nobody := isHungUp(err)
		switch {
		case h.Shim == 0 && nobody:
			return r.loadUnfinished(ctx, dir, id, h)
		case h.Shim == 0 || !nobody && lives(h.Shim, h.ShimStart) || !awaitEnd(ctx, dir, h):
			return nil, fmt.Errorf("load %s: %w", id, err)
		}
		return &child{handle: h}, nil
	}
	if h.Shim == 0 {
		// Another daemon's start is under way; the monitor speaks when it is done.
		err := awaitStart(ctx, watch)
		_ = watch.Close()
		switch {
		case err == nil:
			return r.loadChild(ctx, dir, id)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("load %s: %w", id, ctx.Err())
		}
		return r.loadUnfinished(ctx, dir, id, h)
	}
	return &child{handle: h, watch: watch}, nil
}

// isHungUp says that nobody listens any more, or that who did ended before it took
// the connection (unix(7)).
func isHungUp(err error) bool {
	return slices.ContainsFunc([]error{unix.ECONNREFUSED, unix.ENOENT, unix.EPIPE, unix.ECONNRESET}, func(e error) bool { return errors.Is(err, e) })
}

// loadUnfinished is for a handle without pids that nobody looks after: a start
// that was never finished, or one whose whole run was over before its monitor took
// the connection. The shim wrote the whole handle before that.
func (r *Runtime) loadUnfinished(ctx context.Context, dir, id string, h *protocol.Handle) (*child, error) {
	if whole, err := readHandle(dir); err == nil && whole.Shim != 0 {
		return r.loadChild(ctx, dir, id)
	}
	r.sweepChild(dir, h)
	return &child{}, nil
}

// awaitEnd waits until a monitor that listens no more has ended or has recorded
// the end of its process, which is a matter of moments.
func awaitEnd(ctx context.Context, dir string, h *protocol.Handle) bool {
	for range 500 {
		if _, err := os.Stat(filepath.Join(dir, protocol.ExitName)); err == nil || !lives(h.Shim, h.ShimStart) {
			return true
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
	return false
}

func (r *Runtime) sweepChild(dir string, h *protocol.Handle) {
	if h.Exec == "" {
		r.sweep(h.ID, h)
		return
	}
	_ = removeDir(dir)
}

func closeAll(attachments []*Attachment) {
	for _, a := range attachments {
		_ = a.Close()
	}
}
