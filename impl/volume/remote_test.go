package volume

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	registry "github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// shelf is a store beside volume plugins in processes of their own.
type shelf struct {
	*Store
	t       *testing.T
	root    string
	sockets string
	opts    registry.Options
}

func newShelf(t *testing.T) *shelf {
	// Not t.TempDir: a socket's path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "shelf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &shelf{t: t, root: t.TempDir(), sockets: dir,
		opts: registry.Options{Sockets: dir, Connect: 300 * time.Millisecond, Call: 3 * time.Second}}
	s.reopen()
	return s
}

// reopen is a restart of the engine.
func (s *shelf) reopen() {
	s.t.Helper()
	var err error
	if s.Store, err = Open(s.root, registry.New(s.opts)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) start(name string) *plugin.Process {
	s.t.Helper()
	dir := filepath.Join(s.sockets, name+".d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	p, err := plugin.Start("volume", filepath.Join(s.sockets, name+".sock"), dir)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.Kill)
	return p
}

func (s *shelf) names() (names, warnings []string) {
	list, warnings := s.List(s.t.Context())
	for _, v := range list {
		names = append(names, v.Driver+"/"+v.Name)
	}
	return names, warnings
}

// TestPluginLife is the life of a volume that a plugin keeps.
func TestPluginLife(t *testing.T) {
	s := newShelf(t)
	p := s.start("shelf")
	spec := Spec{Name: "a strange näme", Driver: "shelf", Options: map[string]string{"size": "7"}, Labels: map[string]string{"l": "1"}}
	v, created, err := s.Create(t.Context(), spec)
	if err != nil || !created || v.Mountpoint != filepath.Join(p.Dir, "volumes", spec.Name) {
		t.Fatalf("%+v %v %v", v, created, err)
	}
	if !slices.Contains(p.Calls(), "Create a strange näme map[size:7]") {
		t.Errorf("calls %q", p.Calls())
	}
	if again, created, err := s.Create(t.Context(), spec); err != nil || created || again.Labels["l"] != "1" || p.Count("Create") != 1 {
		t.Errorf("again: %+v %v %v", again, created, err)
	}
	if _, _, err := s.Create(t.Context(), Spec{Name: spec.Name}); !errdefs.IsConflict(err) {
		t.Errorf("with another driver: %v", err)
	}
	if v, _, err := s.Ensure(t.Context(), spec.Name, ""); err != nil || v.Driver != "shelf" {
		t.Errorf("for a container that does not care: %+v %v", v, err)
	}
	if err := s.Acquire(spec.Name, "c1"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if dir, err := s.Mount(t.Context(), spec.Name, "c1"); err != nil || dir != v.Mountpoint {
			t.Fatalf("mount %q %v", dir, err)
		}
	}
	s.reopen() // killed; c1 ended meanwhile
	if got, err := s.Get(spec.Name); err != nil || got.Labels["l"] != "1" || !slices.Equal(got.Users, []string{"c1"}) {
		t.Errorf("after a restart: %+v %v", got, err)
	}
	if err := s.ReconcileMounts(func(string) bool { return false })(t.Context()); err != nil || p.Count("Unmount a strange näme c1") != 1 {
		t.Errorf("unmount after a restart: %v, calls %q", err, p.Calls())
	}
	err = s.Remove(t.Context(), spec.Name, func(string) string { return "web" })
	if !errdefs.IsConflict(err) || !strings.Contains(err.Error(), "volume is in use - [web]") {
		t.Errorf("removal in use: %v", err)
	}
	if err := s.Release(spec.Name, "c1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), spec.Name, self); err != nil || p.Count("Remove") != 1 {
		t.Errorf("removal: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(s.root, "volumes")); err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}

	// Volumes that somebody else made at the plugin are volumes, too.
	if err := os.Mkdir(filepath.Join(p.Dir, "volumes", "theirs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if names, warnings := s.names(); !slices.Equal(names, []string{"shelf/theirs"}) || warnings != nil {
		t.Errorf("list %q %q", names, warnings)
	}
	if v, err := s.Inspect(t.Context(), "theirs"); err != nil || v.Driver != "shelf" {
		t.Errorf("inspect: %+v %v", v, err)
	}
	if _, _, err := s.Ensure(t.Context(), "theirs", "shelf"); err != nil || p.Count("Create theirs") != 0 {
		t.Errorf("adopt: %v", err)
	}
	if err := s.Remove(t.Context(), "theirs", self); err != nil {
		t.Error(err)
	}
	if _, err := s.Inspect(t.Context(), "theirs"); !errdefs.IsNotFound(err) {
		t.Errorf("removed: %v", err)
	}
	if _, _, err := s.Create(t.Context(), Spec{Name: "x1", Driver: "nothere"}); !errdefs.IsNotFound(err) {
		t.Errorf("no such plugin: %v", err)
	}
}

// TestBadPlugins has a slow, a dead, a failing and a lying plugin beside a good
// one: only their own volumes suffer.
func TestBadPlugins(t *testing.T) {
	s := newShelf(t)
	good, bad := s.start("good"), s.start("bad")
	create(t, s.Store, "mine")
	for name, driver := range map[string]string{"g1": "good", "b1": "bad"} {
		if _, _, err := s.Create(t.Context(), Spec{Name: name, Driver: driver}); err != nil {
			t.Fatal(err)
		}
	}
	behave := func(method, how string) {
		t.Helper()
		if err := bad.Behave(method, how); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"bad/b1", "good/g1", "local/mine"}
	slices.Sort(all)
	check := func(what string, longest time.Duration, warned string) {
		t.Helper()
		start := time.Now()
		names, warnings := s.names()
		slices.Sort(names)
		if !slices.Equal(names, all) || (len(warnings) > 0) != (warned != "") || !strings.Contains(strings.Join(warnings, "\n"), warned) {
			t.Errorf("%s: list %q, warnings %q", what, names, warnings)
		}
		if v, err := s.Inspect(t.Context(), "g1"); err != nil || v.Mountpoint != filepath.Join(good.Dir, "volumes/g1") {
			t.Errorf("%s: %+v %v", what, v, err)
		}
		if v, err := s.Inspect(t.Context(), "b1"); err != nil || v.Driver != "bad" {
			t.Errorf("%s: %+v %v", what, v, err)
		}
		if took := time.Since(start); took > longest {
			t.Errorf("%s: looking took %v", what, took)
		}
		if _, err := s.Mount(t.Context(), "g1", "c"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("all well", time.Second, "")

	for _, m := range []string{"List", "Get", "Mount"} {
		behave(m, "lie")
	}
	all = append(all, "bad/odd")
	slices.Sort(all)
	check("lying", time.Second, "")
	all = slices.DeleteFunc(all, func(n string) bool { return n == "bad/odd" })
	if dir, err := s.Mount(t.Context(), "b1", "c"); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), `"../../etc"`) {
		t.Errorf("mounted a lie at %q: %v", dir, err)
	}

	for _, m := range []string{"List", "Get", "Mount"} {
		behave(m, "fail")
	}
	check("failing", time.Second, "List fails as told")
	if _, err := s.Mount(t.Context(), "b1", "c"); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "plugin bad: VolumeDriver.Mount: Mount fails as told") {
		t.Errorf("failing: %v", err)
	}

	for _, m := range []string{"List", "Get", "Mount"} {
		behave(m, "hang")
	}
	check("slow", 6*time.Second, "no answer within 2s")
	if _, err := s.Mount(t.Context(), "b1", "c"); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "no answer within 3") {
		t.Errorf("slow: %v", err)
	}

	bad.Kill()
	check("dead", 6*time.Second, "cannot connect")
	if _, err := s.Mount(t.Context(), "b1", "c"); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "cannot connect") {
		t.Errorf("dead: %v", err)
	}
	s.reopen()
	check("dead since before the start", 6*time.Second, "cannot connect")

	// It comes back while somebody waits for it.
	for _, m := range []string{"List", "Get", "Mount"} {
		behave(m, "")
	}
	s.opts.Connect = 10 * time.Second
	s.reopen()
	mounted := make(chan error)
	go func() { _, err := s.Mount(t.Context(), "b1", "c"); mounted <- err }()
	time.Sleep(300 * time.Millisecond)
	s.start("bad")
	if err := <-mounted; err != nil {
		t.Errorf("mount while it came back: %v", err)
	}
	check("back", time.Second, "")
}

// TestUnknownOutcome: what a plugin may have done is taken back where nothing
// can be lost by it, and left alone where data can.
func TestUnknownOutcome(t *testing.T) {
	s := newShelf(t)
	s.opts.Call = 500 * time.Millisecond
	s.reopen()
	p := s.start("shelf")
	behave := func(method, how string) {
		t.Helper()
		if err := p.Behave(method, how); err != nil {
			t.Fatal(err)
		}
	}
	// A volume with data, of which the plugin's Get does not tell.
	file := filepath.Join(p.Dir, "volumes/old/file")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	behave("Get", "fail")
	behave("Path", "hang")
	if _, _, err := s.Create(t.Context(), Spec{Name: "old", Driver: "shelf"}); !errdefs.IsInternal(err) {
		t.Errorf("create: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the failed creation took what was there: %v", err)
	}
	behave("Get", "")
	behave("Path", "")
	if _, _, err := s.Create(t.Context(), Spec{Name: "old", Driver: "shelf"}); err != nil {
		t.Fatal(err)
	}

	// A mount without an answer is taken back before the volume goes, also by
	// the next engine; one that was refused is not.
	for i, restart := range []bool{false, true} {
		name := []string{"one", "two"}[i]
		if _, _, err := s.Create(t.Context(), Spec{Name: name, Driver: "shelf"}); err != nil {
			t.Fatal(err)
		}
		behave("Mount", "fail")
		if _, err := s.Mount(t.Context(), name, "c1"); err == nil {
			t.Error("mounted")
		}
		behave("Mount", "hang")
		if _, err := s.Mount(t.Context(), name, "c2"); err == nil {
			t.Error("mounted")
		}
		behave("Mount", "fail")
		if _, err := s.Mount(t.Context(), name, "c2"); err == nil {
			t.Error("mounted")
		}
		if restart {
			s.reopen()
			if err := s.ReconcileMounts(func(string) bool { return false })(t.Context()); err != nil {
				t.Error(err)
			}
		} else {
			behave("Unmount", "fail") // it was not mounted
		}
		if err := s.Remove(t.Context(), name, self); err != nil {
			t.Error(err)
		}
		behave("Mount", "")
		behave("Unmount", "")
		if p.Count("Unmount "+name+" c2") != 1 || p.Count("Unmount "+name+" c1") != 0 {
			t.Errorf("calls %q", p.Calls())
		}
	}

	// The engine was killed when the plugin had removed it already.
	if err := os.RemoveAll(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	behave("Remove", "fail")
	if err := s.Remove(t.Context(), "old", self); err != nil {
		t.Errorf("removal once more: %v", err)
	}
	if _, _, err := s.Create(t.Context(), Spec{Name: "kept", Driver: "shelf"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "kept", self); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "Remove fails as told") {
		t.Errorf("removal that the plugin refuses: %v", err)
	}
}

// TestMountsOfAnEarlierBoot: a plugin that knows nothing of a mount any more, since
// the host or the plugin was restarted, keeps neither its record nor the volume.
func TestMountsOfAnEarlierBoot(t *testing.T) {
	s := newShelf(t)
	p := s.start("shelf")
	fail := func(how string) {
		t.Helper()
		if err := p.Behave("Unmount", how); err != nil {
			t.Fatal(err)
		}
	}
	record := func(user string) string { return filepath.Join(s.root, "volumes", "v1", mountsDir, user) }
	if _, _, err := s.Create(t.Context(), Spec{Name: "v1", Driver: "shelf"}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"c1", "c2"} {
		if _, err := s.Mount(t.Context(), "v1", user); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(record(user), []byte("11111111-2222-3333-4444-555555555555"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.reopen()
	if _, err := s.Mount(t.Context(), "v1", "c2"); err != nil { // by its restart policy
		t.Fatal(err)
	}
	fail("fail")
	if err := s.ReconcileMounts(func(user string) bool { return user == "c2" })(t.Context()); err != nil || p.Count("Unmount v1 c1") != 1 {
		t.Errorf("unmount after a reboot: %v, calls %q", err, p.Calls())
	}
	if _, err := os.Stat(record("c1")); !os.IsNotExist(err) {
		t.Errorf("the record: %v", err)
	}
	// The other one was mounted in this boot: it may be in use.
	if err := s.Unmount(t.Context(), "v1", "c2"); !errdefs.IsInternal(err) {
		t.Errorf("unmount that the plugin refuses: %v", err)
	}
	if _, err := os.Stat(record("c2")); err != nil {
		t.Errorf("the record: %v", err)
	}
	// Whether the volume can go the plugin decides at its removal.
	if err := p.Behave("Remove", "fail"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "v1", self); !errdefs.IsInternal(err) || !strings.Contains(err.Error(), "Remove fails as told") {
		t.Errorf("removal that the plugin refuses: %v", err)
	}
	if err := p.Behave("Remove", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "v1", self); err != nil {
		t.Errorf("removal: %v", err)
	}
}

// TestInterruptedElsewhere: a copy that was interrupted is taken back where it was
// made, not where a plugin says afterwards that the volume is.
func TestInterruptedElsewhere(t *testing.T) {
	s := newShelf(t)
	p := s.start("shelf")
	if _, _, err := s.Create(t.Context(), Spec{Name: "v1", Driver: "shelf"}); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(s.root, "volumes", "v1", populatingFile)
	var begun []byte
	err := s.Populate(t.Context(), "v1", "copy", func(dir string) (err error) {
		begun, err = os.ReadFile(marker)
		return errors.Join(err, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs := t.TempDir()
	file := filepath.Join(theirs, "file")
	if err := errors.Join(os.Remove(filepath.Join(s.root, "volumes", "v1", populatedFile)), os.WriteFile(marker, begun, 0o600),
		os.WriteFile(file, nil, 0o600), p.Behave("Mount", theirs)); err != nil {
		t.Fatal(err)
	}
	s.reopen() // killed in the middle of the copy
	if dir, err := s.Mount(t.Context(), "v1", "c1"); err != nil || dir != theirs {
		t.Errorf("mounted at %q: %v", dir, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file of somebody else: %v", err)
	}
	if err := errors.Join(s.Unmount(t.Context(), "v1", "c1"), p.Behave("Mount", ""), os.WriteFile(marker, begun, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.reopen()
	dir, err := s.Mount(t.Context(), "v1", "c1")
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left of the copy: %v %v", left, err)
	}
}
