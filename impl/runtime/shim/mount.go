package shim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
	"github.com/seed-50ced230/berth/impl/userns"
)

// mountRoot mounts the container's root in a mount namespace of its own and
// gives its path. The namespace is that of the calling thread, which is the
// program's first one: what it starts is there, too, and so is the monitor.
// Other threads see the host's mounts, and nothing that runs there needs the
// container's root.
//
// The descriptor of the root is for the monitor to keep. When the last user of
// an overlay is gone, the kernel writes back everything that is dirty on the
// file system of the upper directory, the host's most often
// (fs/overlayfs/super.c, ovl_sync_fs). With the descriptor, this happens when
// the monitor ends and not in the exit of the container's process, which the
// client waits for.
func mountRoot(order *protocol.Order) (path string, fd int, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return "", -1, fmt.Errorf("make a mount namespace: %w", err)
	}
	// What is mounted here stays away from the host, and what the host mounts and
	// unmounts still arrives. What the container shares with the host both ways
	// was opened before (openSources).
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return "", -1, fmt.Errorf("isolate the mounts: %w", err)
	}
	path = order.Rootfs.Dir
	if path == "" {
		mount := func() error { return mountOverlay(order.Rootfs) }
		if !order.Rootfs.IDs.None() {
			mount = func() error { return mountMapped(order) }
		}
		if err := mount(); err != nil {
			return "", -1, fmt.Errorf("mount the container's root: %w", err)
		}
		path = order.Rootfs.Target
	}
	fd, err = unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, fmt.Errorf("open the container's root: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return path, fd, nil
}

// mountMapped mounts the overlay for a container in a user namespace, from layers
// that belong to the container's ids on the disk. Overlayfs takes layers by
// mounts that have a map, but can have none itself; the mounts need a place, which
// they leave when the overlay has its own copies of them. It makes its work
// directory, and later whatever it needs, with the ids of who mounts it.
func mountMapped(order *protocol.Order) error {
	r := order.Rootfs
	at := slices.IndexFunc(order.OCI.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace && n.Path != "" })
	if at < 0 {
		return errors.New("no user namespace for the map")
	}
	namespace, err := os.Open(order.OCI.Linux.Namespaces[at].Path)
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := userns.Place(r.Tree, r.Place, namespace); err != nil {
		return err
	}
	r.Lower = slices.Clone(r.Lower)
	for i := range r.Lower {
		if err := move(&r.Lower[i], r.Tree, r.Place); err != nil {
			return err
		}
	}
	if r.Upper != "" {
		if err := errors.Join(move(&r.Upper, r.Tree, r.Place), move(&r.Work, r.Tree, r.Place)); err != nil {
			return err
		}
	}
	if err := r.IDs.AsRoot(func() error { return mountOverlay(r) }); err != nil {
		return err
	}
	if err := unix.Unmount(r.Place, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return &os.PathError{Op: "unmount", Path: r.Place, Err: err}
	}
	return nil
}

// move makes a path below one directory the same below another.
func move(path *string, from, to string) error {
	rel, err := filepath.Rel(from, *path)
	if err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("layer %s is not below %s", *path, from)
	}
	*path = filepath.Join(to, rel)
	return nil
}

// mountOverlay uses the file-system context calls, whose "lowerdir+" (Linux
// 6.5) has no limit on the length of all layers together, and falls back to
// mount(2), whose options must fit in a page.
func mountOverlay(r protocol.Rootfs) error {
	if len(r.Lower) == 0 {
		return errors.New("no layers")
	}
	err := mountOverlayContext(r)
	if errors.Is(err, errNoContext) {
		return mountOverlayOptions(r)
	}
	return err
}

// Later diffs read the upper directory as it is, so nothing may be stored
// there in the forms that these options switch off
// (Documentation/filesystems/overlayfs.rst).
var overlayOptions = [][2]string{{"index", "off"}, {"redirect_dir", "off"}, {"metacopy", "off"}}

var errNoContext = errors.New("no lowerdir+")

func mountOverlayContext(r protocol.Rootfs) error {
	fsfd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		if errors.Is(err, unix.ENOSYS) {
			return errNoContext
		}
		return fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fsfd)
	for i, dir := range r.Lower {
		if err := unix.FsconfigSetString(fsfd, "lowerdir+", dir); err != nil {
			if i == 0 && errors.Is(err, unix.EINVAL) {
				return errNoContext
			}
			return fmt.Errorf("layer %s: %w", dir, explain(fsfd, err))
		}
	}
	options := overlayOptions
	if r.Upper != "" {
		options = append([][2]string{{"upperdir", r.Upper}, {"workdir", r.Work}}, options...)
	}
	for _, o := range options {
		if err := unix.FsconfigSetString(fsfd, o[0], o[1]); err != nil {
			return fmt.Errorf("option %s=%s: %w", o[0], o[1], explain(fsfd, err))
		}
	}
	if err := unix.FsconfigCreate(fsfd); err != nil {
		if errors.Is(err, unix.EINVAL) {
			// Linux 5.2 to 6.4 take every option and only now say that they do not
			// know one.
			return errNoContext
		}
		return fmt.Errorf("fsconfig: %w", explain(fsfd, err))
	}
	mfd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("fsmount: %w", explain(fsfd, err))
	}
	defer unix.Close(mfd)
	if err := unix.MoveMount(mfd, "", unix.AT_FDCWD, r.Target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move the mount to %s: %w", r.Target, err)
	}
	return nil
}

// explain adds what the kernel wrote into the context's log.
func explain(fsfd int, err error) error {
	buf := make([]byte, 1024)
	n, rerr := unix.Read(fsfd, buf)
	if rerr != nil || n <= 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.TrimSpace(string(buf[:n])))
}

func mountOverlayOptions(r protocol.Rootfs) error {
	// lowerdir's separator and escape character; the kernel splits options at commas.
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`)
	layers := make([]string, 0, len(r.Lower))
	for _, dir := range r.Lower {
		layers = append(layers, escape.Replace(dir))
	}
	options := []string{"lowerdir=" + strings.Join(layers, ":")}
	if r.Upper != "" {
		options = append(options, "upperdir="+escape.Replace(r.Upper), "workdir="+escape.Replace(r.Work))
	}
	for _, o := range overlayOptions {
		options = append(options, o[0]+"="+o[1])
	}
	data := strings.Join(options, ",")
	if len(data) >= os.Getpagesize() {
		return fmt.Errorf("%d layers do not fit in a mount's options (%d bytes) on this kernel", len(r.Lower), len(data))
	}
	if err := unix.Mount("overlay", r.Target, "overlay", 0, data); err != nil {
		return &os.PathError{Op: "mount overlay", Path: r.Target, Err: err}
	}
	return nil
}
