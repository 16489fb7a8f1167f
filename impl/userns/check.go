package userns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// checkPrefix begins the name of a check's directory.
const checkPrefix = ".userns-"

// Check finds out whether containers with the map can run on this kernel with
// their layers below dir, by making what a container's root is made of. It
// leaves nothing there.
func (m Map) Check(dir string) error {
	network, err := m.NewNetwork()
	if err != nil {
		return fmt.Errorf("this kernel makes no user namespaces: %w", err)
	}
	defer network.Close()
	namespace, err := Owner(network)
	if err != nil {
		return err
	}
	defer namespace.Close()
	// What a check left that was killed.
	if left, err := filepath.Glob(filepath.Join(dir, checkPrefix+"*")); err == nil {
		for _, path := range left {
			_ = os.RemoveAll(path)
		}
	}
	work, err := os.MkdirTemp(dir, checkPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, name := range []string{"lower", "upper", "work", "place", "root"} {
		if err := os.Mkdir(filepath.Join(work, name), 0o700); err != nil {
			return err
		}
	}
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread, its mounts and its ids end with the goroutine.
		runtime.LockOSThread()
		done <- m.try(work, namespace)
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("this kernel, or the file system of %s, cannot map the ids of layers (Linux 5.19 with ext4, xfs or btrfs can): %w", dir, err)
	}
	return nil
}

func (m Map) try(work string, namespace *os.File) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	place, root := filepath.Join(work, "place"), filepath.Join(work, "root")
	if err := Place(work, place, namespace); err != nil {
		return err
	}
	return m.AsRoot(func() error { return m.tryOverlay(work, root) })
}

func (m Map) tryOverlay(work, root string) error {
	// Relative, because the name of the directory may have a meaning in options.
	if err := unix.Chdir(work); err != nil {
		return &os.PathError{Op: "chdir", Path: work, Err: err}
	}
	const options = "lowerdir=place/lower,upperdir=place/upper,workdir=place/work"
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return &os.PathError{Op: "mount overlay", Path: root, Err: err}
	}
	if err := os.Mkdir(filepath.Join(root, "made"), 0o700); err != nil {
		return err
	}
	var inside, disk unix.Stat_t
	if err := errors.Join(unix.Stat(filepath.Join(root, "made"), &inside), unix.Stat(filepath.Join(work, "upper/made"), &disk)); err != nil {
		return err
	}
	if uid, gid := m.RootPair(); int(inside.Uid) != uid || int(inside.Gid) != gid || disk.Uid != 0 || disk.Gid != 0 {
		return fmt.Errorf("what %d:%d makes belongs to %d:%d, and to %d:%d on the disk", uid, gid, inside.Uid, inside.Gid, disk.Uid, disk.Gid)
	}
	return nil
}

// Passable says whether the namespace's root, a stranger to the host, can pass
// through a directory and all above it.
func (m Map) Passable(dir string) error {
	uid, gid := m.RootPair()
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			return &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		need := os.FileMode(0o001)
		switch {
		case int(st.Uid) == uid:
			need = 0o100
		case int(st.Gid) == gid:
			need = 0o010
		}
		if info.Mode()&need == 0 {
			return fmt.Errorf("%s has mode %v: ids %d:%d, a container's root, cannot pass (chmod o+x, or another --exec-root)", dir, info.Mode(), uid, gid)
		}
		if dir == "/" {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}
