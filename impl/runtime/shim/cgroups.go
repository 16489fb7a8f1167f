package shim

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// stageCgroups makes on cgroup v1 what a mount of type "cgroup" asks for, a
// tmpfs with the container's cgroup of each hierarchy, in the handle directory,
// and has it bound as a whole. libcontainer would make it piece by piece in the
// container's first process, with all the care that a hostile root needs: a
// tenth of the time of a start. Here everything is the host's own and not
// reachable for anybody else.
//
// The result is the same (Documentation/admin-guide/cgroup-v1; compare
// libcontainer's mountCgroupV1). With a cgroup or a user namespace, and on
// cgroup v2, where it is a single mount, it stays as it is; so it does where
// systemd makes the cgroups.
func stageCgroups(order *protocol.Order, config *configs.Config) error {
	if order.Systemd || cgroups.IsCgroup2UnifiedMode() || config.Namespaces.Contains(configs.NEWCGROUP) || config.Namespaces.Contains(configs.NEWUSER) {
		return nil
	}
	at := slices.IndexFunc(config.Mounts, func(m *configs.Mount) bool { return m.Device == "cgroup" })
	if at < 0 {
		return nil
	}
	binds, err := cgroupBinds(config)
	if err != nil {
		return err
	}
	dir := filepath.Join(order.Dir, protocol.CgroupName)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	const strict = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("tmpfs", dir, "tmpfs", strict, "mode=755"); err != nil {
		return &os.PathError{Op: "mount tmpfs", Path: dir, Err: err}
	}
	mount := config.Mounts[at]
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}
	if mount.Flags&unix.MS_RDONLY != 0 {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	for name, source := range binds {
		if err := bindWith(source, filepath.Join(dir, name), &attr); err != nil {
			return err
		}
		if subsystems := strings.Split(name, ","); len(subsystems) > 1 {
			for _, s := range subsystems {
				if err := os.Symlink(name, filepath.Join(dir, s)); err != nil {
					return err
				}
			}
		}
	}
	staged := *mount
	staged.Device, staged.Source = "bind", dir
	staged.Flags |= unix.MS_BIND | unix.MS_REC
	config.Mounts[at] = &staged
	return nil
}

// cgroupBinds maps the names in /sys/fs/cgroup to the container's directories.
// The cgroups are made here; libcontainer finds them.
func cgroupBinds(config *configs.Config) (map[string]string, error) {
	m, err := manager.New(config.Cgroups)
	if err != nil {
		return nil, err
	}
	paths := m.GetPaths()
	mounts, err := cgroups.GetCgroupMounts(false)
	if err != nil {
		return nil, err
	}
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	binds := make(map[string]string, len(mounts))
	for _, mount := range mounts {
		dir := ""
		for _, s := range mount.Subsystems {
			if p, ok := paths[s]; ok && within(mount.Mountpoint, p) {
				dir = p
			}
		}
		if dir == "" { // a hierarchy that containers do not move in
			path, err := mount.GetOwnCgroup(own)
			if err != nil {
				return nil, err
			}
			rel, err := filepath.Rel(mount.Root, path)
			if err != nil {
				return nil, err
			}
			dir = filepath.Join(mount.Mountpoint, rel)
		} else if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		binds[filepath.Base(mount.Mountpoint)] = dir
	}
	return binds, nil
}

func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// bindWith binds a directory to a new one, with attributes (mount_setattr(2)).
func bindWith(source, target string, attr *unix.MountAttr) error {
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: source, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return &os.PathError{Op: "mount_setattr", Path: source, Err: err}
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "move_mount", Path: target, Err: err}
	}
	return nil
}
