package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// bootFile holds the id of the boot in which an exec root is used.
const bootFile = "boot"

// Clear removes these directories of an exec root that a host kept over a reboot,
// where it is on no tmpfs: the processes, mounts and devices that they tell of are
// gone, and what has their numbers and names by now is somebody else's. The exec root
// must exist. It tells whether there was something of an earlier boot.
func Clear(execRoot string, dirs ...string) (earlier bool, err error) {
	now, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return false, nil // then nobody can tell
	}
	path := filepath.Join(execRoot, bootFile)
	then, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read which boot the exec root is of: %w", err)
	}
	if strings.TrimSpace(string(then)) == strings.TrimSpace(string(now)) {
		return false, nil
	}
	if len(strings.TrimSpace(string(then))) == len(strings.TrimSpace(string(now))) {
		for _, dir := range dirs {
			if err := clearDir(filepath.Join(execRoot, dir)); err != nil {
				return true, err
			}
		}
		earlier = true
	}
	if err := os.WriteFile(path, now, 0o600); err != nil {
		return earlier, fmt.Errorf("write down which boot the exec root is of: %w", err)
	}
	return earlier, nil
}

// clearDir removes a directory below which nothing is mounted: what is, is of this
// boot.
func clearDir(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clear what is of an earlier boot: %w", err)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(real))
	if err != nil {
		return fmt.Errorf("clear what is of an earlier boot: %w", err)
	}
	if len(mounts) > 0 {
		return fmt.Errorf("clear what is of an earlier boot: %s is mounted", mounts[0].Mountpoint)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear what is of an earlier boot: %w", err)
	}
	return nil
}
