package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
)

func open(t *testing.T, root string) *Store {
	t.Helper()
	s, err := Open(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t *testing.T, s *Store, name string) Volume {
	t.Helper()
	v, _, err := s.Create(t.Context(), Spec{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// self names users by their ids.
func self(id string) string { return id }

func TestLife(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	v, created, err := s.Create(t.Context(), Spec{Name: "tardis", Driver: "local", Labels: map[string]string{"a": "b"}})
	if err != nil || !created || v.Mountpoint != filepath.Join(root, "volumes/tardis/_data") || v.Options != nil {
		t.Fatalf("%+v %v %v", v, created, err)
	}
	if again, created, err := s.Create(t.Context(), Spec{Name: "tardis", Labels: map[string]string{"a": "b"}}); err != nil || created || again.Labels["a"] != "b" {
		t.Errorf("second creation: %+v %v %v", again, created, err)
	}
	for _, other := range []Spec{{Name: "tardis"}, {Name: "tardis", Labels: map[string]string{"a": "c"}},
		{Name: "tardis", Labels: map[string]string{"a": "b"}, Options: map[string]string{"type": "tmpfs", "device": "tmpfs"}}} {
		if _, created, err := s.Create(t.Context(), other); !errdefs.IsConflict(err) || created {
			t.Errorf("creation as %+v: %v %v", other, created, err)
		}
	}
	if again, created, err := s.Ensure(t.Context(), "tardis", ""); err != nil || created || again.Labels["a"] != "b" {
		t.Errorf("second creation: %+v %v %v", again, created, err)
	}
	if v := create(t, s, ""); len(v.Name) != 64 {
		t.Errorf("made-up name %q", v.Name)
	}
	for _, id := range []string{"c2", "c1", "c1"} {
		if err := s.Acquire("tardis", id); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(v.Mountpoint, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{s, open(t, root)} {
		err := s.Remove(t.Context(), "tardis", self)
		if !errdefs.IsConflict(err) || err.Error() != "Unable to remove volume, volume still in use: remove tardis: volume is in use - [c1 c2]" {
			t.Errorf("removal in use: %v", err)
		}
	}
	s = open(t, root)
	if err := s.Reconcile(func(id string) bool { return id == "c2" }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get("tardis"); err != nil || fmt.Sprint(got.Users) != "[c2]" || got.Labels["a"] != "b" || !got.Created.Equal(v.Created) {
		t.Errorf("after restart %+v %v", got, err)
	}
	if err := s.Release("tardis", "c2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Release("tardis", "never"); err != nil {
		t.Error(err)
	}
	if err := s.Remove(t.Context(), "tardis", self); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(v.Mountpoint)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed volume: %v", err)
	}
	for _, s := range []*Store{s, open(t, root)} {
		_, err := s.Get("tardis")
		if !errdefs.IsNotFound(err) || err.Error() != "get tardis: no such volume" {
			t.Errorf("get removed: %v", err)
		}
		if err := s.Remove(t.Context(), "tardis", self); !errdefs.IsNotFound(err) {
			t.Errorf("remove removed: %v", err)
		}
		if n := len(s.Kept()); n != 1 {
			t.Errorf("%d volumes", n)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, t.TempDir())
	for _, c := range []struct {
		name, driver string
		options      map[string]string
		is           func(error) bool
		text         string
	}{
		{"../x", "", nil, errdefs.IsInvalidArgument, `create ../x: "../x" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`},
		{".hidden", "", nil, errdefs.IsInvalidArgument, "includes invalid characters"},
		{"new\nline", "", nil, errdefs.IsInvalidArgument, "includes invalid characters"},
		{"a", "", nil, errdefs.IsInvalidArgument, "too short"},
		{strings.Repeat("a", 300), "", nil, errdefs.IsInvalidArgument, "at most 240"},
		{"ok", "flocker", nil, errdefs.IsNotFound, "create ok: Error looking up volume plugin flocker: plugin not found"},
		{"ok", "", map[string]string{"size": "1"}, errdefs.IsInvalidArgument, `create ok: invalid option key: "size"`},
		{"ok", "", map[string]string{"type": "tmpfs"}, errdefs.IsInvalidArgument, "missing device"},
		{"ok", "", map[string]string{"device": "/dev/null", "o": "ro"}, errdefs.IsInvalidArgument, "missing type"},
	} {
		if _, _, err := s.Create(t.Context(), Spec{Name: c.name, Driver: c.driver, Options: c.options}); !c.is(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v", c.name, err)
		}
	}
	if n := len(s.Kept()); n != 0 {
		t.Errorf("%d volumes of refused requests", n)
	}
	if err := s.Acquire("nope", "c"); !errdefs.IsNotFound(err) {
		t.Errorf("acquire missing: %v", err)
	}
	create(t, s, "vol")
	if err := s.Acquire("vol", "../../x"); !errdefs.IsInvalidArgument(err) {
		t.Errorf("container id with a path: %v", err)
	}
}

func TestPopulate(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	v := create(t, s, "vol")
	calls := 0
	fill := func(dir string) error {
		calls++
		return os.WriteFile(filepath.Join(dir, "f"), []byte("image"), 0o600)
	}
	nothing := func(string) error { calls++; return nil }
	failing := func(dir string) error {
		if err := fill(dir); err != nil {
			return err
		}
		return errors.New("disk full")
	}
	populate := func(fn func(string) error) error { return s.Populate(t.Context(), "vol", "c", fn) }
	if err := populate(nothing); err != nil || calls != 1 {
		t.Fatal(calls, err)
	}
	if err := populate(failing); err == nil || calls != 2 {
		t.Fatal(calls, err)
	}
	if left, _ := os.ReadDir(v.Mountpoint); len(left) != 0 {
		t.Errorf("failed copy left %v", left)
	}
	if err := populate(fill); err != nil || calls != 3 {
		t.Fatal(calls, err)
	}
	if err := populate(fill); err != nil || calls != 3 {
		t.Errorf("copied twice: %d %v", calls, err)
	}
	if err := os.Remove(filepath.Join(v.Mountpoint, "f")); err != nil {
		t.Fatal(err)
	}
	s = open(t, root)
	if err := populate(fill); err != nil || calls != 3 {
		t.Errorf("copied again after a restart: %d %v", calls, err)
	}
	other := create(t, s, "other")
	if err := os.WriteFile(filepath.Join(other.Mountpoint, "own"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Populate(t.Context(), "other", "c", fill); err != nil || calls != 3 {
		t.Errorf("copied over data: %d %v", calls, err)
	}
}

// TestInterrupted opens what a killed engine leaves at each step.
func TestInterrupted(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	v := create(t, s, "copying")
	create(t, s, "kept")
	for _, path := range []string{"copying/populating", "copying/_data/half", "kept/_data/whole"} {
		if err := os.WriteFile(filepath.Join(root, "volumes", path), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"halfmade/_data", "halfgone/_data/dir"} {
		if err := os.MkdirAll(filepath.Join(root, "volumes", path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, root)
	if list := s.Kept(); len(list) != 2 || list[0].Name != "copying" || list[1].Name != "kept" {
		t.Errorf("volumes %+v", list)
	}
	if left, _ := os.ReadDir(v.Mountpoint); len(left) != 0 {
		t.Errorf("interrupted copy left %v", left)
	}
	if _, err := os.Stat(filepath.Join(root, "volumes/kept/_data/whole")); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Join(root, "volumes")); len(entries) != 2 {
		t.Errorf("leftovers %v", entries)
	}
}

// TestAtOnce creates, uses and removes the same few volumes from many sides.
func TestAtOnce(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := fmt.Sprint("c", i)
			for j := range 20 {
				name := fmt.Sprint("vol", j%3)
				if _, _, err := s.Create(t.Context(), Spec{Name: name}); err != nil {
					t.Error(err)
				}
				if err := s.Acquire(name, id); err != nil && !errdefs.IsNotFound(err) {
					t.Error(err)
				}
				if err := s.Release(name, id); err != nil {
					t.Error(err)
				}
				if err := s.Remove(t.Context(), name, self); err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, v := range s.Kept() {
		if err := s.Remove(t.Context(), v.Name, self); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(root, "volumes")); err != nil || len(entries) != 0 {
		t.Errorf("left %v %v", entries, err)
	}
}
