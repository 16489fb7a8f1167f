package overlay

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func stack(t *testing.T, lower int) Stack {
	t.Helper()
	root := t.TempDir()
	dir := func(name string) string {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(p, 0o755); err != nil {
			t.Fatal(err)
		}
		return p
	}
	s := Stack{Upper: dir("upper,with:marks"), Work: dir("work")}
	for i := range lower {
		p := dir(filepath.Join("lower", strings.Repeat("n", 60)+string(rune('a'+i%26))+string(rune('a'+i/26))))
		if err := os.WriteFile(filepath.Join(p, "file"), []byte{byte(i)}, 0o644); err != nil {
			t.Fatal(err)
		}
		s.Lower = append(s.Lower, p)
	}
	return s
}

func TestMount(t *testing.T) {
	for name, mount := range map[string]func(string, Stack) error{"each": mountEach, "once": mountOnce} {
		t.Run(name, func(t *testing.T) {
			s := stack(t, 127) // Docker's bound on layers
			target := t.TempDir()
			if err := mount(target, s); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := Unmount(target); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(filepath.Join(target, "file")); !os.IsNotExist(err) {
					t.Errorf("still mounted: %v", err)
				}
			}()
			if b, err := os.ReadFile(filepath.Join(target, "file")); err != nil || b[0] != 0 {
				t.Errorf("the topmost directory does not win: %v %v", b, err)
			}
			if err := os.WriteFile(filepath.Join(target, "new"), nil, 0o644); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(s.Upper, "new")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	for name, open := range map[string]func(Stack) (*os.File, error){"detached": Open, "once": openOnce} {
		t.Run(name, func(t *testing.T) {
			s := stack(t, 2)
			s.Upper, s.Work = "", ""
			before, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil {
				t.Fatal(err)
			}
			f, err := open(s)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			after, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil || string(before) != string(after) {
				t.Errorf("the mount has a place: %v", err)
			}
			names, err := f.Readdirnames(-1)
			if err != nil || !slices.Equal(names, []string{"file"}) {
				t.Errorf("names %v %v", names, err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	if err := Mount(t.TempDir(), Stack{}); err == nil {
		t.Error("mounted nothing")
	}
	s := stack(t, 1)
	s.Lower = append(s.Lower, filepath.Join(s.Lower[0], "missing"))
	if err := Mount(t.TempDir(), s); err == nil {
		t.Error("mounted a missing directory")
	}
	if err := Unmount(t.TempDir()); err != nil {
		t.Errorf("unmount of no mount: %v", err)
	}
	if err := Unmount("/nonexistent/folder"); err != nil {
		t.Errorf("unmount of nothing: %v", err)
	}
}
