package volume

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"
)

func mounted(t *testing.T, path string) bool {
	t.Helper()
	is, err := mountinfo.Mounted(path)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// loop gives a block device with an ext4 file system on it.
func loop(t *testing.T) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	run := func(args ...string) string {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("truncate", "-s", "16M", image)
	run("mkfs.ext4", "-q", "-F", image)
	device := run("losetup", "--find", "--show", image)
	t.Cleanup(func() { run("losetup", "--detach", device) })
	return device
}

// TestOptions has the kernel mount what the options of a volume say, from the
// first user to the last, over a restart of the engine in between.
func TestOptions(t *testing.T) {
	host := t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "there"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]map[string]string{
		"tmpfs": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000,mode=0750"},
		"bind":  {"type": "none", "device": host, "o": "bind,ro"},
		"ext4":  {"type": "ext4", "device": "loop"},
	} {
		t.Run(name, func(t *testing.T) {
			if options["device"] == "loop" {
				options["device"] = loop(t)
			}
			root := t.TempDir()
			s := open(t, root)
			v, _, err := s.Create(t.Context(), Spec{Name: name, Options: options})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = removeTree(root) })
			if mounted(t, v.Mountpoint) {
				t.Error("mounted before its first use")
			}
			for _, user := range []string{"c1", "c2", "c1"} {
				if dir, err := s.Mount(t.Context(), name, user); err != nil || dir != v.Mountpoint || !mounted(t, dir) {
					t.Fatalf("mount: %q %v", dir, err)
				}
			}
			infos, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(v.Mountpoint))
			if err != nil || len(infos) != 1 {
				t.Fatalf("mounts %v %v", infos, err)
			}
			switch info, _ := os.Stat(v.Mountpoint); name {
			case "tmpfs":
				if infos[0].FSType != "tmpfs" || !strings.Contains(infos[0].VFSOptions, "size=1024k") || info.Mode().Perm() != 0o750 {
					t.Errorf("mounted %+v with mode %v", infos[0], info.Mode())
				}
			case "bind":
				if _, err := os.Stat(filepath.Join(v.Mountpoint, "there")); err != nil {
					t.Error(err)
				}
				if err := os.WriteFile(filepath.Join(v.Mountpoint, "new"), nil, 0o600); err == nil {
					t.Error("a read-only bind was written to")
				}
			case "ext4":
				if infos[0].FSType != "ext4" {
					t.Errorf("mounted %+v", infos[0])
				}
				if err := os.WriteFile(filepath.Join(v.Mountpoint, "kept"), nil, 0o600); err != nil {
					t.Error(err)
				}
			}
			if err := s.Remove(t.Context(), name, self); !errdefs.IsConflict(err) {
				t.Errorf("removal while mounted: %v", err)
			}
			// The engine is killed; c1 ends meanwhile.
			s = open(t, root)
			if err := s.ReconcileMounts(func(user string) bool { return user == "c2" })(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !mounted(t, v.Mountpoint) {
				t.Error("unmounted though c2 uses it")
			}
			if err := s.Unmount(t.Context(), name, "c2"); err != nil || mounted(t, v.Mountpoint) {
				t.Errorf("still mounted after the last user: %v", err)
			}
			if err := s.Unmount(t.Context(), name, "c2"); err != nil {
				t.Error(err)
			}
			if _, err := s.Mount(t.Context(), name, "c3"); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(v.Mountpoint, "kept")); name == "ext4" && err != nil {
				t.Error(err)
			}
			// The host is restarted: the record says c3, the kernel nothing.
			if err := s.volumes[name].unmountDevice(); err != nil {
				t.Fatal(err)
			}
			s = open(t, root)
			if err := s.ReconcileMounts(func(string) bool { return false })(t.Context()); err != nil {
				t.Fatal(err)
			}
			// Never removes what only is mounted there, whoever mounted it.
			if err := s.volumes[name].mountDevice(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Remove(t.Context(), name, self); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(host, "there")); err != nil {
				t.Errorf("the removal of the volume took the host's file: %v", err)
			}
			if _, err := os.Stat(filepath.Dir(v.Mountpoint)); !os.IsNotExist(err) {
				t.Errorf("left behind: %v", err)
			}
		})
	}
}

// A mount that fails says why and leaves neither a mount nor a record.
func TestMountFails(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	for name, options := range map[string]map[string]string{
		"gone": {"type": "none", "device": "/does/not/exist", "o": "bind"},
		"kind": {"type": "nosuchfs", "device": "none"},
		"opts": {"type": "tmpfs", "device": "tmpfs", "o": "size=lots"},
		// Bound first, which works, and only then made private and shared at once.
		"half": {"type": "none", "device": "/usr", "o": "bind,ro,private,shared"},
		"stay": {"type": "none", "device": "none", "o": "remount,bind"},
	} {
		v, _, err := s.Create(t.Context(), Spec{Name: name, Options: options})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Mount(t.Context(), name, "c1")
		if !errdefs.IsInternal(err) || !strings.Contains(err.Error(), options["device"]) || !strings.Contains(err.Error(), "mount volume "+name) {
			t.Errorf("%s: %v", name, err)
		}
		t.Log(err)
		if mounted(t, v.Mountpoint) {
			t.Errorf("%s is mounted", name)
		}
		if left, err := os.ReadDir(filepath.Join(root, "volumes", name, mountsDir)); err != nil || len(left) != 0 {
			t.Errorf("%s: recorded %v %v", name, left, err)
		}
		if err := s.Remove(t.Context(), name, self); err != nil {
			t.Error(err)
		}
	}
}

// TestLinkedRoot: what is bound below a data root that is a symbolic link is
// unmounted before the directory goes.
func TestLinkedRoot(t *testing.T) {
	host, real := t.TempDir(), t.TempDir()
	root := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, root); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(host, "there")
	if err := os.WriteFile(there, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeTree(filepath.Join(real, "volumes")) })
	s := open(t, root)
	v, _, err := s.Create(t.Context(), Spec{Name: "bound", Options: map[string]string{"type": "none", "device": host, "o": "bind"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.volumes["bound"].mountDevice(t.Context()); err != nil || !mounted(t, v.Mountpoint) {
		t.Fatal(err)
	}
	// A removal that was interrupted is finished by the next engine.
	if err := os.Remove(s.volumes["bound"].definitionPath()); err != nil {
		t.Fatal(err)
	}
	open(t, root)
	if _, err := os.Stat(there); err != nil {
		t.Errorf("the host's file is gone: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(real, "volumes")); err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}
}

// TestHalfPopulated: a copy that was interrupted is taken out of what is mounted
// before the first user sees it, and nothing that was written after that.
func TestHalfPopulated(t *testing.T) {
	root, host := t.TempDir(), t.TempDir()
	s := open(t, root)
	v, _, err := s.Create(t.Context(), Spec{Name: "bound", Options: map[string]string{"type": "none", "device": host, "o": "bind"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeTree(filepath.Join(root, "volumes")) })
	for _, path := range []string{filepath.Join(host, "half"), filepath.Join(filepath.Dir(v.Mountpoint), populatingFile)} {
		if err := os.WriteFile(path, []byte(v.Mountpoint), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, root)
	if _, err := s.Mount(t.Context(), "bound", "c1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(host, "half")); !os.IsNotExist(err) {
		t.Errorf("the half copy: %v", err)
	}
	if err := os.WriteFile(filepath.Join(host, "written"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = s.Populate(t.Context(), "bound", "c2-copy", func(string) error { t.Error("copied into what is used"); return nil })
	if _, gone := os.Stat(filepath.Join(host, "written")); err != nil || gone != nil {
		t.Errorf("populate: %v %v", err, gone)
	}
	if err := s.Unmount(t.Context(), "bound", "c1"); err != nil {
		t.Fatal(err)
	}
}
