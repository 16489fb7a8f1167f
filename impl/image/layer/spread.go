package layer

import (
	"os"

	"golang.org/x/sys/unix"
)

// topDirectory is FS_TOPDIR_FL (include/uapi/linux/fs.h, chattr(1) +T): what is made in
// the directory has nothing to do with each other.
const topDirectory = 0x00020000

// Spread has ext4 put each directory in dir elsewhere on the disk. A file that is
// made where many were removed a few minutes ago costs a look at each of those
// (recently_deleted in fs/ext4/ialloc.c), and layers and the contexts of builds come
// and go. Other file
// systems do not have that, so what they answer does not count.
func Spread(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&topDirectory == 0 {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topDirectory)
	}
}
