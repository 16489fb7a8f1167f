package shim

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// stageDevices makes the device nodes of a container with mapped ids here and has
// them bound into it, because nobody can make a node in a user namespace
// (user_namespaces(7)). libcontainer would bind the host's node, which belongs to
// nobody in the container, and only where both have the same path.
func stageDevices(order *protocol.Order) error {
	ids := order.Rootfs.IDs
	if ids.None() || len(order.OCI.Linux.Devices) == 0 {
		return nil
	}
	dir := filepath.Join(order.Dir, protocol.DevicesName)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=700"); err != nil {
		return &os.PathError{Op: "mount tmpfs", Path: dir, Err: err}
	}
	for i, d := range order.OCI.Linux.Devices {
		node := filepath.Join(dir, strconv.Itoa(i))
		if err := makeNode(node, d, ids.ToHost); err != nil {
			return fmt.Errorf("make the node of device %s: %w", d.Path, err)
		}
		order.OCI.Mounts = append(order.OCI.Mounts, specs.Mount{Type: "bind", Source: node, Destination: d.Path, Options: []string{"bind", "rprivate", "nosuid", "noexec"}})
	}
	order.OCI.Linux.Devices = nil
	return nil
}

// makeNode makes a node for the container's ids, which toHost translates.
func makeNode(path string, d specs.LinuxDevice, toHost func(uid, gid int) (int, int, error)) error {
	kind := uint32(unix.S_IFCHR)
	switch d.Type {
	case "b":
		kind = unix.S_IFBLK
	case "p":
		kind = unix.S_IFIFO
	}
	mode, uid, gid := uint32(0o666), 0, 0
	if d.FileMode != nil {
		mode = uint32(d.FileMode.Perm())
	}
	if d.UID != nil {
		uid = int(*d.UID)
	}
	if d.GID != nil {
		gid = int(*d.GID)
	}
	uid, gid, err := toHost(uid, gid)
	if err != nil {
		return err
	}
	if err := unix.Mknod(path, kind|mode, int(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))); err != nil {
		return os.NewSyscallError("mknod", err)
	}
	if err := os.Lchown(path, uid, gid); err != nil {
		return err
	}
	return os.Chmod(path, os.FileMode(mode)) // without the umask
}
