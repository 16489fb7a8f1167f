package bridge

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Index gives the index of a device of the calling thread's namespace, which no
// later device of it bears, without the kernel's lock over all devices.
func Index(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, os.NewSyscallError("SIOCGIFINDEX", err)
	}
	return int(req.Uint32()), nil
}

// Mark says at a device whose it is (its alias, which ip-link(8) shows).
func Mark(device, owner string) error {
	link, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkSetAlias(link, owner)
	}
	if err != nil {
		return fmt.Errorf("mark device %s: %w", device, err)
	}
	return nil
}

// Marked tells whether a device exists and Mark said the same of it.
func Marked(device, owner string) (bool, error) {
	link, err := netlink.LinkByName(device)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up device %s: %w", device, err)
	}
	return link.Attrs().Name == device && link.Attrs().Alias == owner, nil
}

// Rename gives a device that is down another name. Class Conflict if there is one
// of that name.
func Rename(device, name string) error {
	link, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkSetName(link, name)
	}
	if errors.Is(err, unix.EEXIST) {
		return fault.Conflict("there is a device %s already", name)
	}
	if err != nil {
		return fmt.Errorf("rename device %s to %s: %w", device, name, err)
	}
	return nil
}
