package instance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestClear(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "containers", "c1", "handle.json")
	other := filepath.Join(root, "other")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func(path string) bool { _, err := os.Stat(path); return err == nil }
	boot := filepath.Join(root, bootFile)
	for _, c := range []struct {
		name, boot      string
		mounted         bool
		earlier, failed bool
	}{
		{name: "of a daemon that wrote no boot down"},
		{name: "of this boot", boot: "same"},
		{name: "half-written", boot: "1111"},
		{name: "of an earlier boot", boot: "11111111-2222-3333-4444-555555555555", earlier: true},
		{name: "with a mount", boot: "11111111-2222-3333-4444-555555555555", mounted: true, earlier: true, failed: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(file, "{}")
			write(other, "")
			switch c.boot {
			case "":
				os.Remove(boot)
			case "same": // as the last case left it
			default:
				write(boot, c.boot)
			}
			if c.mounted {
				dir := filepath.Dir(file)
				if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
					t.Fatal(err)
				}
				defer unix.Unmount(dir, unix.MNT_DETACH)
				write(file, "{}")
			}
			earlier, err := Clear(root, "containers", "network")
			if earlier != c.earlier || (err != nil) != c.failed {
				t.Errorf("earlier %v, %v", earlier, err)
			}
			if kept := there(file); kept == (c.earlier && !c.failed) || !there(other) {
				t.Errorf("the file is there: %v, the other: %v", kept, there(other))
			}
			now, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
			if text, _ := os.ReadFile(boot); (strings.TrimSpace(string(text)) == strings.TrimSpace(string(now))) == c.failed {
				t.Errorf("written down: %q", text)
			}
		})
	}
}
