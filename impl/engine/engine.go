// Package engine does what the Remote API asks for: it holds the rules of
// containers, execs and images and drives the packages that know the kernel
// (runtime, image, network, volume). It implements gen/hub's API once, for all
// versions.
//
// Lists, inspects and events are served from snapshots and never wait for a
// container's operation. Every operation undoes its own half-made work when it
// fails; what a killed daemon left half-made is removed at the next start.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/go-units"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/host"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/logs"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
	"github.com/seed-50ced230/berth/impl/userns"
	"github.com/seed-50ced230/berth/impl/volume"
)

// Settings are the daemon's choices that operations look at.
type Settings struct {
	// DataRoot is durable, ExecRoot need not outlive a reboot.
	DataRoot, ExecRoot string
	// Shown are the settings that a running engine may be given anew.
	Shown
	// CgroupDriver is cgroupfs or systemd; CgroupParent the parent of all
	// containers' cgroups, empty for the default.
	CgroupDriver, CgroupParent string
	// DNS, DNSSearch and DNSOptions are used by containers that have none.
	DNS, DNSSearch, DNSOptions []string
	// LogDriver and LogOptions are used by containers that have none.
	LogDriver  string
	LogOptions map[string]string
	// Ulimits are the default resource limits by name.
	Ulimits map[string]*units.Ulimit
	// IDs is the map of the user namespaces that containers get; none: they have
	// the host's.
	IDs userns.Map
	// InitPath is the program that is a container's first process until its
	// command runs (GET /info).
	InitPath string
	// Authorization are the plugins that allow requests, shown by GET /info.
	Authorization []string
	// BuildDenied are networks that ADD and remote contexts of builds may not reach.
	BuildDenied []netip.Prefix
	// BuildPids is the most processes and threads of a RUN step; 0 for no limit.
	BuildPids int64
	// Version, Commit and BuildTime describe this program.
	Version, Commit, BuildTime string
}

// Shown are settings that GET /info shows and that change nothing else.
type Shown struct {
	Labels []string // key=value
	Debug  bool
}

// Show replaces them.
func (e *Engine) Show(s Shown) { e.shown.Store(&s) }

// Parts are the packages that the engine drives. It does not close them.
type Parts struct {
	Containers *container.Store
	Images     *image.Store
	Registry   *registry.Client
	Networks   *network.Manager
	Volumes    *volume.Store
	Plugins    *plugin.Registry
	Runtime    *runtime.Runtime
	Events     *events.Log
	Logs       *logs.Reader
	Logger     *slog.Logger
}

// Engine is the running engine. Make it with New and end it with Close.
type Engine struct {
	hub.Unimplemented
	Settings
	Parts

	id         string
	shown      atomic.Pointer[Shown] // never nil
	containers *container.Registry
	profiles   defaults.Profiles
	// kernel and hierarchies are the host's, as they were at the start.
	kernel      host.Kernel
	hierarchies host.Hierarchies

	// ctx ends when the engine closes; work in the background belongs to it.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex
	lives map[string]*live // by container id, see live.go
	execs map[string]*exec // by exec id, see exec.go
}

var _ hub.API = (*Engine)(nil)

// New takes over what an earlier engine left: it loads all containers, finds
// those that run, finishes those that ended meanwhile, removes what was
// half-made, and starts those whose restart policy asks for it.
func New(ctx context.Context, s Settings, p Parts) (*Engine, error) {
	e := &Engine{
		Settings:   s,
		Parts:      p,
		containers: container.NewRegistry(),
		lives:      map[string]*live{},
		execs:      map[string]*exec{},
	}
	e.Show(s.Shown)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	id, err := readOrMakeID(filepath.Join(s.DataRoot, "engine-id"))
	if err != nil {
		p.Logger.Error("the engine has another id after its next start", "error", err)
	}
	e.id = id
	if e.kernel, err = host.ReadKernel(); err != nil {
		return nil, err
	}
	if e.hierarchies, err = host.FindHierarchies(); err != nil {
		return nil, fmt.Errorf("find the control groups: %w", err)
	}
	if err := e.checkCgroupParent(s.CgroupParent); err != nil {
		return nil, fmt.Errorf("cgroup-parent: %w", err)
	}
	if err := e.prepareUserns(); err != nil {
		return nil, fmt.Errorf("userns-remap: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(s.DataRoot, "containers"), 0o700); err != nil {
		return nil, fmt.Errorf("make the containers' directory: %w", err)
	}
	if err := e.builder().Sweep(); err != nil {
		p.Logger.Error("something of earlier builds is left", "error", err)
	}
	if err := e.prepareRuntime(); err != nil {
		return nil, err
	}
	if err := e.restore(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// prepareRuntime has the default system call filter compiled aside, so that the
// first container does not wait for it.
func (e *Engine) prepareRuntime() error {
	host, err := defaults.HostCapabilities()
	if err != nil {
		return err
	}
	granted, _, err := defaults.Grant(host, nil, nil, false)
	if err != nil {
		return err
	}
	profile, err := e.profiles.Default(granted)
	if err != nil {
		return err
	}
	e.Runtime.Prepare(profile)
	return nil
}

// Close ends the engine's work in the background. Containers go on.
func (e *Engine) Close() {
	e.cancel()
	e.work.Wait()
}

// background runs f as work that Close waits for.
func (e *Engine) background(f func(ctx context.Context)) {
	e.work.Go(func() { f(e.ctx) })
}

// newID makes an id of containers and execs: 64 lower-case hex digits that are
// not all decimal in the first 12, so that a short id is no number (Docker
// Engine has the same rule, for host names).
func newID() string {
	for {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		id := hex.EncodeToString(b[:])
		if strings.ContainsAny(id[:12], "abcdef") {
			return id
		}
	}
}

// readOrMakeID gives the engine's id as GET /info shows it: twelve groups of
// four, stable over restarts unless there is an error, too.
func readOrMakeID(path string) (string, error) {
	data, readErr := os.ReadFile(path)
	if readErr == nil && len(strings.TrimSpace(string(data))) == 59 {
		return strings.TrimSpace(string(data)), nil
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [48]byte
	_, _ = rand.Read(b[:])
	var id strings.Builder
	for i, c := range b {
		if i > 0 && i%4 == 0 {
			id.WriteByte(':')
		}
		id.WriteByte(alphabet[int(c)%len(alphabet)])
	}
	if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
		// There may be a good one, to be read the next time.
		return id.String(), fmt.Errorf("read the engine's id: %w", readErr)
	}
	if err := atomicfile.Write(path, []byte(id.String()+"\n"), 0o600, atomicfile.Synced()); err != nil {
		return id.String(), fmt.Errorf("write the engine's id: %w", err)
	}
	return id.String(), nil
}

// dir is the directory of a container's own files (log, hosts, resolv.conf …).
func (e *Engine) dir(id string) string { return filepath.Join(e.DataRoot, "containers", id) }

// logPath is the container's log; empty if its driver keeps none here.
func (e *Engine) logPath(r *container.Record) string {
	if r.HostConfig.LogConfig.Type != "json-file" {
		return ""
	}
	return filepath.Join(e.dir(r.ID), r.ID+"-json.log")
}

// stamp is a time in the text form of inspect: RFC 3339 with nanoseconds, the
// zero time as "0001-01-01T00:00:00Z".
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
