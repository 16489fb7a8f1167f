// Package userns makes containers' user namespaces (user_namespaces(7)) and says
// which ids of the host the ids in them are.
//
// Files stay as they are on the disk: the ids of images, volumes and layers are
// those that a container sees. Mounts translate between them and the ids that
// processes have on the host (mount_setattr(2), MOUNT_ATTR_IDMAP), so that images
// are stored once whatever the map is, and maps can be changed.
package userns

import (
	"fmt"
	"os"
	"syscall"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// Map says which ids of the host the ids of a user namespace are. The zero Map
// is that of containers without a user namespace of their own.
type Map struct{ user.IdentityMapping }

// None says that ids are the host's own.
func (m Map) None() bool { return m.Empty() }

// Of reads the map of a running process, whose files in /proc/<pid> open gives by
// their names. That of a process in the host's own user namespace is none.
func Of(open func(name string) (*os.File, error)) (Map, error) {
	var m Map
	for _, file := range []struct {
		name   string
		ranges *[]user.IDMap
	}{{"uid_map", &m.UIDMaps}, {"gid_map", &m.GIDMaps}} {
		f, err := open(file.name)
		if err == nil {
			*file.ranges, err = user.ParseIDMap(f)
			_ = f.Close()
		}
		if err != nil {
			return Map{}, fmt.Errorf("read the map of a user namespace: %w", err)
		}
	}
	if whole(m.UIDMaps) && whole(m.GIDMaps) {
		return Map{}, nil
	}
	return m, nil
}

// whole says whether ids are what they are outside.
func whole(ranges []user.IDMap) bool {
	return len(ranges) == 1 && ranges[0] == user.IDMap{Count: 1<<32 - 1}
}

// sysMaps gives the ranges as Go's fork wants them.
func sysMaps(ranges []user.IDMap) []syscall.SysProcIDMap {
	list := make([]syscall.SysProcIDMap, 0, len(ranges))
	for _, r := range ranges {
		list = append(list, syscall.SysProcIDMap{ContainerID: int(r.ID), HostID: int(r.ParentID), Size: int(r.Count)})
	}
	return list
}

// AsRoot calls f while the calling thread, which must be locked, works on files
// as the namespace's root: what f makes on mounts with the map belongs to root
// there. The thread keeps all its capabilities.
//
// The kernel refuses to make a file on such a mount for an id that the map does
// not have (EOVERFLOW), and the host's root is none of those it has.
func (m Map) AsRoot(f func() error) error {
	if m.None() {
		return f()
	}
	uid, gid := m.RootPair()
	// The group first: it needs a capability that leaving user 0 takes.
	wasGID, _ := unix.SetfsgidRetGid(gid)
	wasUID, _ := unix.SetfsuidRetUid(uid)
	defer func() {
		_, _ = unix.SetfsuidRetUid(wasUID)
		_, _ = unix.SetfsgidRetGid(wasGID)
	}()
	// They never fail, they only do nothing: the next call says what is.
	isGID, _ := unix.SetfsgidRetGid(-1)
	isUID, _ := unix.SetfsuidRetUid(-1)
	if isUID != uid || isGID != gid {
		return fmt.Errorf("the ids for files stayed %d:%d instead of %d:%d", isUID, isGID, uid, gid)
	}
	// Leaving user 0 took the capabilities that concern files (capabilities(7)).
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	sets[0].Effective, sets[1].Effective = sets[0].Permitted, sets[1].Permitted
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capset", err)
	}
	return f()
}
