package userns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// files makes the four files of a system.
func files(t *testing.T) Files {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "root:x:0:0::/:/bin/sh\nann:x:500:600::/:/bin/sh\nbob:x:501:501::/:/bin/sh\n",
		"group":  "root:x:0:\nann:x:600:\ncrew:x:700:\nbob:x:501:\nodd:x:500:\n",
		"subuid": "ann:100000:65536\nann:300000:10\nbob:200000:5\n501:400000:7\n",
		"subgid": "crew:150000:65536\nann:170000:65536\n501:180000:9\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Files{Passwd: dir + "/passwd", Group: dir + "/group", Subuid: dir + "/subuid", Subgid: dir + "/subgid"}
}

func TestRemap(t *testing.T) {
	anns := []user.IDMap{{ID: 0, ParentID: 100000, Count: 65536}, {ID: 65536, ParentID: 300000, Count: 10}}
	for value, want := range map[string]user.IdentityMapping{
		"ann":      {UIDMaps: anns, GIDMaps: []user.IDMap{{ParentID: 170000, Count: 65536}}},
		"ann:crew": {UIDMaps: anns, GIDMaps: []user.IDMap{{ParentID: 150000, Count: 65536}}},
		"ann:bob":  {UIDMaps: anns, GIDMaps: []user.IDMap{{ParentID: 170000, Count: 65536}}},
		"500:700":  {UIDMaps: anns, GIDMaps: []user.IDMap{{ParentID: 150000, Count: 65536}}},
		"500":      {UIDMaps: anns, GIDMaps: []user.IDMap{{ParentID: 170000, Count: 65536}}}, // group odd has none of its own
		"bob":      {UIDMaps: []user.IDMap{{ParentID: 200000, Count: 5}}, GIDMaps: []user.IDMap{{ParentID: 180000, Count: 9}}},
	} {
		m, err := files(t).Remap(value)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if got, want := print(m.IdentityMapping), print(want); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
	for value, want := range map[string]string{
		"": "use default", "a:b:c": "use default", ":b": "use default", "ann:": "use default",
		"nobody": "no user nobody", "777": "no user 777", "ann:nobody": "no group nobody", "501": "", "root": "has no line for root",
		"default": "make them yourself",
	} {
		_, err := files(t).Remap(value)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", value, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q in it", value, err, want)
		}
	}
	// Root's own ids are nobody's to give away.
	f := files(t)
	if err := os.WriteFile(f.Subuid, []byte("ann:0:65536\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Remap("ann"); err == nil {
		t.Error("root of the host is in the map")
	}
}

func print(m user.IdentityMapping) string { return fmt.Sprintf("%v %v", m.UIDMaps, m.GIDMaps) }

func TestFree(t *testing.T) {
	if got := free(nil); got != lowest {
		t.Errorf("got %d", got)
	}
	if got := free([]user.SubID{{SubID: 500000, Count: 10}, {SubID: 100000, Count: 65536}}); got != 500010 {
		t.Errorf("got %d", got)
	}
}

func someMap() Map {
	ranges := []user.IDMap{{ParentID: 200000, Count: 65536}}
	return Map{user.IdentityMapping{UIDMaps: ranges, GIDMaps: ranges}}
}

// The check of the kernel passes where it can and fails where it cannot, and
// nothing of it is left.
func TestCheck(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("user namespaces for others need root")
	}
	dir := t.TempDir()
	if err := someMap().Check(dir); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	plain := t.TempDir()
	if err := unix.Mount("ramfs", plain, "ramfs", 0, ""); err != nil { // it maps no ids
		t.Fatal(err)
	}
	defer unix.Unmount(plain, unix.MNT_DETACH)
	if err := someMap().Check(plain); err == nil || !strings.Contains(err.Error(), "cannot map the ids") {
		t.Errorf("on a file system that cannot: %v", err)
	}
	if left, err := os.ReadDir(plain); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestPassable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	if err := os.Mkdir(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	// The directories of tests are open (testing.T.TempDir) but the one above may be not.
	for parent := filepath.Dir(dir); parent != os.TempDir(); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := someMap().Passable(dir); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := someMap().Passable(dir); err == nil {
		t.Error("a closed directory is passable")
	}
}
