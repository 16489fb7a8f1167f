// Package host knows facts about the machine that the engine runs on: the
// operating system, memory, and what its control groups can limit.
package host

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is the running kernel (uname(2)).
type Kernel struct {
	// Release is for example "6.1.0-18-amd64".
	Release string
	// Machine is the processor architecture in the kernel's words ("x86_64").
	Machine string
}

// ReadKernel asks the kernel who it is.
func ReadKernel() (Kernel, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Kernel{}, fmt.Errorf("uname: %w", err)
	}
	return Kernel{
		Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]),
	}, nil
}

// AtLeast compares the release's first two numbers.
func (k Kernel) AtLeast(major, minor int) bool {
	var has [2]int
	rest := k.Release
	for i := range has {
		digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 0 {
			digits = len(rest)
		}
		has[i], _ = strconv.Atoi(rest[:digits])
		if rest = strings.TrimPrefix(rest[digits:], "."); rest == "" {
			break
		}
	}
	return has[0] > major || has[0] == major && has[1] >= minor
}

// Memory is the host's memory in bytes (sysinfo(2)).
func Memory() (int64, error) {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return 0, fmt.Errorf("sysinfo: %w", err)
	}
	return int64(s.Totalram) * int64(s.Unit), nil
}

// OperatingSystem is the pretty name in the os-release file below root
// (os-release(5)); "Linux" where there is none.
func OperatingSystem(root string) string {
	for _, path := range []string{"etc/os-release", "usr/lib/os-release"} {
		if name := prettyName(filepath.Join(root, path)); name != "" {
			return name
		}
	}
	return "Linux"
}

func prettyName(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		value, ok := strings.CutPrefix(strings.TrimSpace(s.Text()), "PRETTY_NAME=")
		if !ok {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		return strings.NewReplacer(`\"`, `"`, `\$`, `$`, `\\`, `\`, "\\`", "`").Replace(value)
	}
	return ""
}

// Enabled says whether a kernel switch such as "net/ipv4/ip_forward" is on. One
// that the kernel does not have is off.
func Enabled(name string) bool {
	data, err := os.ReadFile(filepath.Join("/proc/sys", name))
	return err == nil && strings.TrimSpace(string(data)) == "1"
}

// Filesystem names the file system of a path in the words of Docker Engine.
func Filesystem(path string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return "", fmt.Errorf("statfs %s: %w", path, err)
	}
	switch int64(s.Type) & 0xffffffff {
	case unix.EXT4_SUPER_MAGIC:
		return "extfs", nil
	case unix.XFS_SUPER_MAGIC:
		return "xfs", nil
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", nil
	case unix.TMPFS_MAGIC:
		return "tmpfs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs", nil
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs", nil
	case 0x2fc12fc1:
		return "zfs", nil
	}
	return fmt.Sprintf("%#x", int64(s.Type)&0xffffffff), nil
}
