package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/impl/logs"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/volume"
)

// insideEnv marks the process that runs the tests.
const insideEnv = "BERTH_TEST_OWN_NETNS"

// TestMain runs the tests in a process with a network and a mount namespace of
// its own, so that the engines in them touch neither the machine's devices nor
// its mounts.
func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) == "" {
		cmd := osexec.Command("/proc/self/exe", os.Args[1:]...)
		cmd.Env = append(os.Environ(), insideEnv+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
			Pdeathsig:  syscall.SIGKILL,
		}
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "engine tests need root and namespaces:", err)
			os.Exit(1)
		}
		return
	}
	if err := prepareHost(); err != nil {
		fmt.Fprintln(os.Stderr, "prepare the test's namespaces:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepareHost() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// newEngine makes an engine on fresh directories with all its real parts. The
// tests here start no container, so the program that would be the shim is any.
func newEngine(t *testing.T) *Engine {
	t.Helper()
	root, execRoot := t.TempDir(), t.TempDir()
	var p Parts
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	closing := func(f func() error) {
		t.Cleanup(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	var err error
	p.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	p.Containers, err = container.OpenStore(filepath.Join(root, "containers.db"))
	check(err)
	closing(p.Containers.Close)
	p.Images, err = image.Open(filepath.Join(root, "image"), image.Options{Logger: p.Logger})
	check(err)
	closing(p.Images.Close)
	p.Registry, err = registry.New(registry.Options{CertsDir: t.TempDir()})
	check(err)
	p.Volumes, err = volume.Open(root, nil)
	check(err)
	p.Networks, err = network.Open(network.Options{
		Root: filepath.Join(root, "network"), ExecRoot: execRoot, Bridge: "bertheng0", Logger: p.Logger,
	})
	check(err)
	closing(p.Networks.Close)
	p.Runtime, err = runtime.New(runtime.Options{Root: filepath.Join(execRoot, "containers"), Shim: "/bin/busybox"})
	check(err)
	closing(p.Runtime.Close)
	p.Events, err = events.Open(filepath.Join(root, "events"), func(err error) { t.Error(err) })
	check(err)
	closing(p.Events.Close)
	p.Logs, err = logs.NewReader()
	check(err)
	closing(p.Logs.Close)
	e, err := New(t.Context(), Settings{
		DataRoot: root, ExecRoot: execRoot, Shown: Shown{Labels: []string{"place=test"}},
		CgroupDriver: "cgroupfs", LogDriver: "json-file", Version: "0.0.1", Commit: "abc1234",
	}, p)
	check(err)
	t.Cleanup(e.Close)
	return e
}

// output keeps what a streaming operation answers.
type output struct {
	bytes.Buffer
	header  http.Header
	started bool
	values  []any
	onValue func()
}

func (o *output) Header() http.Header {
	if o.header == nil {
		o.header = http.Header{}
	}
	return o.header
}
func (o *output) SetContentType(mediaType string) { o.Header().Set("Content-Type", mediaType) }
func (o *output) Begin() error                    { o.started = true; return nil }
func (o *output) Started() bool                   { return o.started }

func (o *output) Write(p []byte) (int, error) {
	o.started = true
	return o.Buffer.Write(p)
}

func (o *output) Encode(v any) error {
	o.started = true
	o.values = append(o.values, v)
	if o.onValue != nil {
		o.onValue()
	}
	return json.NewEncoder(&o.Buffer).Encode(v)
}

// happened gives the events from the first to now.
func happened(t *testing.T, e *Engine, filters string) []*models.Event {
	t.Helper()
	var out output
	now := e.Events.Publish(events.Event{Type: "test", Action: "mark"}).Time
	until := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()-1)
	if err := e.SystemEvents(t.Context(), &hub.SystemEventsParams{Since: "0", Until: until, Filters: filters}, &out); err != nil {
		t.Fatal(err)
	}
	var list []*models.Event
	for _, v := range out.values {
		if ev := v.(*models.Event); ev.Type != "test" {
			list = append(list, ev)
		}
	}
	return list
}

// actions writes events as "type action name" in their order.
func actions(list []*models.Event) string {
	var b bytes.Buffer
	for _, ev := range list {
		fmt.Fprintf(&b, "%s %s %s\n", ev.Type, ev.Action, ev.Actor.Attributes["name"])
	}
	return b.String()
}

// layer is a tar of a few small files.
func layer(t *testing.T) []byte {
	t.Helper()
	data, err := testimage.Layer([]testimage.File{
		{Name: "bin/"}, {Name: "bin/true", Body: []byte("no program"), Mode: 0o755}, {Name: "data/"}, {Name: "data/a", Body: []byte("hello")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
