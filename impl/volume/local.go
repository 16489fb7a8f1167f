package volume

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/moby/sys/mount"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Options of the local driver: those of mount(8) -t, -o and the device.
const (
	optionType   = "type"
	optionFlags  = "o"
	optionDevice = "device"
)

// checkOptions refuses options that no mount can come of.
func checkOptions(name string, options map[string]string) error {
	for key := range options {
		if key != optionType && key != optionFlags && key != optionDevice {
			return fault.Invalid("create %s: invalid option key: %q", name, key)
		}
	}
	if len(options) == 0 {
		return nil
	}
	if strings.ContainsRune(options[optionType]+options[optionFlags]+options[optionDevice], 0) {
		return fault.Invalid("create %s: options of a volume cannot hold a NUL", name)
	}
	if options[optionDevice] == "" {
		return fault.Invalid("create %s: missing device in volume options", name)
	}
	if options[optionType] == "" && !binds(options[optionFlags]) {
		return fault.Invalid("create %s: missing type in volume options", name)
	}
	return nil
}

// binds says whether mount options ask for a directory of the host.
func binds(flags string) bool {
	for o := range strings.SplitSeq(flags, ",") {
		if o == "bind" || o == "rbind" {
			return true
		}
	}
	return false
}

// mountDevice mounts what the options say at the volume's data directory,
// unless something is mounted there already.
func (v *volume) mountDevice(ctx context.Context) error {
	if mounted, err := mountinfo.Mounted(v.dataPath()); err != nil || mounted {
		return err
	}
	kind, flags, device := v.def.Options[optionType], v.def.Options[optionFlags], v.def.Options[optionDevice]
	if strings.HasPrefix(kind, "nfs") {
		var err error
		if flags, err = resolveServer(ctx, flags); err != nil {
			return fault.Internal("mount volume %s: %w", v.def.Name, err)
		}
	}
	source := device
	if source == "none" && !binds(flags) {
		source = kind // a name only; the mount package takes "none" for a remount
	}
	err := mount.Mount(source, v.dataPath(), kind, flags)
	if err == nil {
		if mounted, merr := mountinfo.Mounted(v.dataPath()); merr != nil || mounted {
			return merr
		}
		err = errors.New("the options mount nothing")
	}
	err = fault.Internal("mount volume %s: device %q, type %q, options %q: %w", v.def.Name, device, kind, flags, cause(err))
	// Some options are set when it is mounted already; without them it must not stay.
	return errors.Join(err, v.unmountDevice())
}

// cause takes the mount package's own description away, which repeats ours.
func cause(err error) error {
	if inner, ok := err.(interface{ Unwrap() error }); ok && inner.Unwrap() != nil {
		return inner.Unwrap()
	}
	return err
}

// resolveServer gives the option addr, a name for people, as the address that
// the kernel takes (nfs(5)).
func resolveServer(ctx context.Context, flags string) (string, error) {
	parts := strings.Split(flags, ",")
	for i, o := range parts {
		host, ok := strings.CutPrefix(o, "addr=")
		if !ok || net.ParseIP(host) != nil {
			continue
		}
		addrs, err := net.DefaultResolver.LookupIPAddr(ctx, host)
		if err != nil {
			return "", err
		}
		parts[i] = "addr=" + addrs[0].String()
	}
	return strings.Join(parts, ","), nil
}

// unmountDevice takes away what is mounted at the data directory.
func (v *volume) unmountDevice() error {
	mounted, err := mountinfo.Mounted(v.dataPath())
	if err != nil || !mounted {
		return err
	}
	// Lazily: programs of the host's may look into it; the containers' own
	// mounts are not touched by it.
	if err := unix.Unmount(v.dataPath(), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fault.Internal("unmount volume %s: %w", v.def.Name, err)
	}
	return nil
}

// removeTree removes a volume's directory. What is still mounted below goes
// first: its content is not the volume's to delete.
func removeTree(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("look for mounts below %s: %w", dir, err)
	}
	for i := len(mounts) - 1; i >= 0; i-- { // inner ones were mounted later
		if err := unix.Unmount(mounts[i].Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", mounts[i].Mountpoint, err)
		}
	}
	return os.RemoveAll(dir)
}
