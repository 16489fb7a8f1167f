package defaults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// DeviceRules are the rules of the devices cgroup. The nodes that every
// container has (null, zero, full, random, urandom, tty, pts) are added by
// libcontainer.
func DeviceRules(privileged bool) []specs.LinuxDeviceCgroup {
	if privileged {
		return []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
	}
	node := func(major, minor int64) specs.LinuxDeviceCgroup {
		return specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rwm"}
	}
	return []specs.LinuxDeviceCgroup{
		{Allow: false, Access: "rwm"},
		node(5, 1), // /dev/console
	}
}

// Device describes the node at a path of the host as a device at path in the
// container, with the rule that allows access ("rwm" or a part of it). What is
// no device gives errdefs.ErrInvalidArgument.
func Device(hostPath, path, access string) (specs.LinuxDevice, specs.LinuxDeviceCgroup, error) {
	var st unix.Stat_t
	if err := unix.Lstat(hostPath, &st); err != nil {
		return specs.LinuxDevice{}, specs.LinuxDeviceCgroup{}, &os.PathError{Op: "lstat", Path: hostPath, Err: err}
	}
	kind, err := deviceType(st.Mode)
	if err != nil {
		return specs.LinuxDevice{}, specs.LinuxDeviceCgroup{}, fault.Invalid("%s: %w", hostPath, err)
	}
	mode := os.FileMode(st.Mode & 0o7777)
	d := specs.LinuxDevice{Path: path, Type: kind, FileMode: &mode, UID: &st.Uid, GID: &st.Gid}
	if kind == "p" {
		return d, specs.LinuxDeviceCgroup{}, nil
	}
	d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	major, minor := d.Major, d.Minor
	return d, specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Minor: &minor, Access: access}, nil
}

var errNoDevice = errors.New("not a device node")

func deviceType(mode uint32) (string, error) {
	switch mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return "c", nil
	case unix.S_IFBLK:
		return "b", nil
	case unix.S_IFIFO:
		return "p", nil
	default:
		return "", errNoDevice
	}
}

// HostDevices lists the host's devices for a privileged container: those below
// /dev but the directories that the container mounts itself.
func HostDevices() ([]specs.LinuxDevice, error) {
	var list []specs.LinuxDevice
	err := filepath.WalkDir("/dev", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, os.ErrNotExist) { // devices come and go
				return nil
			}
			return err
		}
		if e.IsDir() {
			switch path {
			case "/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev":
				return filepath.SkipDir
			}
			return nil
		}
		if path == "/dev/console" || e.Type()&fs.ModeDevice == 0 {
			return nil
		}
		d, _, err := Device(path, path, "rwm")
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		list = append(list, d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the host's devices: %w", err)
	}
	return list, nil
}
