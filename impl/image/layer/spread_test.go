package layer_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Where the file system has the flag, it is set, and once more is no harm; where it
// has none, nothing happens.
func TestSpread(t *testing.T) {
	flags := func(dir string) (int, error) {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	}
	var st unix.Statfs_t
	dir := t.TempDir()
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	before, err := flags(dir)
	for range 2 {
		layer.Spread(dir)
	}
	after, aerr := flags(dir)
	if st.Type == unix.EXT4_SUPER_MAGIC && (err != nil || aerr != nil || after != before|0x20000) {
		t.Errorf("flags %#x and %#x, %v, %v", before, after, err, aerr)
	}
	layer.Spread("/proc/self")
	layer.Spread(dir + "/nowhere")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("in it: %v, %v", entries, err)
	}
}
