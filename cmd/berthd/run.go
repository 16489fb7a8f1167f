package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/api"
	"github.com/seed-50ced230/berth/impl/api/listen"
	"github.com/seed-50ced230/berth/impl/authz"
	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/engine"
	"github.com/seed-50ced230/berth/impl/events"
	"github.com/seed-50ced230/berth/impl/grant"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/instance"
	"github.com/seed-50ced230/berth/impl/logs"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/thread"
	"github.com/seed-50ced230/berth/impl/userns"
	"github.com/seed-50ced230/berth/impl/volume"
)

// grace is how long requests under way may take at shutdown.
const grace = 10 * time.Second

// runtimeDir is where the runtime's state lies below the exec root.
const runtimeDir = "containers"

// threads are made in advance; a daemon with 30 clients at work needs about as many.
const threads = 64

// monitorSlack is how much later than it could Go's runtime lets another goroutine run in
// the place of one in a long system call, such as a write to the disk, which takes half
// a millisecond at least. More slack saves little more.
const monitorSlack = 200 * time.Microsecond

// run is the daemon's life: it composes the parts, serves until ctx ends, and
// takes the parts down in the reverse order.
func run(ctx context.Context, c *config.Config, log *slog.Logger, signals *signals) (err error) {
	slog.SetDefault(log)
	if err := thread.SlackenMonitor(monitorSlack); err != nil {
		log.Debug("the runtime's monitor thread wakes as often as it likes", "error", err)
	}
	if n := thread.Reserve(threads); n < threads {
		log.Warn("the daemon's control group has little room for threads and processes (pids.max): starts of containers may fail", "reserved", n)
	}
	var closers []func() error
	defer func() {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
	}()
	for _, dir := range []string{c.DataRoot, c.ExecRoot} {
		lock, err := instance.Acquire(dir)
		if err != nil {
			return err
		}
		closers = append(closers, lock.Release)
	}
	if c.Pidfile != "" {
		remove, err := instance.WritePidfile(c.Pidfile)
		if err != nil {
			return err
		}
		closers = append(closers, remove)
	}
	if earlier, err := instance.Clear(c.ExecRoot, runtimeDir, network.NamespacesDir, network.SandboxesDir); err != nil {
		log.Warn("the exec root is used as it is", "path", c.ExecRoot, "error", err)
	} else if earlier {
		log.Info("the exec root was of an earlier boot and is cleared", "path", c.ExecRoot)
	}
	if err := engine.CheckLogDriver(c.LogDriver, c.LogOptions); err != nil {
		return fmt.Errorf("log-opt: %w", err)
	}
	settings, err := settings(c)
	if err != nil {
		return err
	}
	// Listening comes first, so that clients wait in the queue instead of being
	// refused while the engine looks after its containers.
	options := listenOptions(c, log)
	hosts := c.Listen(listen.Passed())
	listeners, err := openListeners(ctx, hosts, c.Sockets, options)
	if err != nil {
		return err
	}
	served := false
	closers = append(closers, func() (err error) {
		if !served {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
		}
		return err
	})
	parts, err := open(c, log, &closers)
	if err != nil {
		return err
	}
	e, err := engine.New(ctx, settings, *parts)
	if err != nil {
		return err
	}
	closers = append(closers, func() error { e.Close(); return nil })
	closers = append(closers, signals.serve(ctx, &reloader{present: c, tls: options.TLS, engine: e, log: log, level: signals.level}))
	beside, observe := asides(ctx, c, e, log)
	for _, a := range beside {
		closeAside, err := a.open(ctx, log)
		if err != nil {
			return err
		}
		closers = append(closers, closeAside)
	}
	edge := api.New(e, api.Options{
		Version: version, CORS: c.CORS, Logger: log, Observe: observe, Documents: documents(), Authorize: authorization(c),
	})
	log.Info("berthd is ready", "hosts", hosts, "version", version)
	served = true
	tell(log, instance.Manager{}.Ready("serves "+strings.Join(hosts, ", ")))
	told := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(told)
		tell(log, instance.Manager{}.Stopping())
	})
	defer func() {
		if !stopped() { // it is being told: the process does not end before
			<-told
		}
	}()
	return edge.Serve(ctx, listeners, grace)
}

// openListeners opens the hosts, and the sockets with their grants.
func openListeners(ctx context.Context, hosts []string, sockets config.Sockets, options listen.Options) (_ []net.Listener, err error) {
	grants := make([]*grant.Grant, len(sockets))
	for i, s := range sockets {
		if grants[i], err = grant.New(s.Address, s.Allow, s.Labels); err != nil {
			return nil, fmt.Errorf("socket %s: %w", s.Address, err)
		}
	}
	listeners, err := listen.Open(ctx, hosts, options)
	if err != nil {
		return nil, err
	}
	for i, s := range sockets {
		own := options
		own.TLS = nil // there is none on unix sockets
		if s.Group != "" {
			own.Group = s.Group
		}
		opened, err := listen.Open(ctx, []string{s.Address}, own)
		if err != nil {
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		for _, l := range opened {
			listeners = append(listeners, &api.Door{Listener: l, Grant: grants[i]})
		}
		options.Logger.Info("a socket with limits", "socket", s.Address, "operations", grants[i].Operations(), "labels", s.Labels)
	}
	return listeners, nil
}

// authorization are the plugins that have to allow requests, nil for none.
func authorization(c *config.Config) *authz.Chain {
	if len(c.Authorization) == 0 {
		return nil
	}
	return authz.New(c.Authorization, c.PluginSockets, c.PluginSpecs)
}

// tell logs that the service manager could not be told: the daemon works all
// the same.
func tell(log *slog.Logger, err error) {
	if err != nil {
		log.Warn("service manager", "error", err)
	}
}

// shown are the settings that GET /info shows.
func shown(c *config.Config) engine.Shown {
	return engine.Shown{Labels: c.Labels, Debug: c.LogLevel == "debug"}
}

func listenOptions(c *config.Config, log *slog.Logger) listen.Options {
	o := listen.Options{Group: c.Group, InsecureTCP: c.AllowPlain, Logger: log}
	if c.TLS || c.TLSVerify {
		o.TLS = &listen.TLS{Cert: c.TLSCert, Key: c.TLSKey}
		if c.TLSVerify {
			o.TLS.CA = c.TLSCACert
		}
	}
	return o
}

// open opens the packages that the engine drives.
func open(c *config.Config, log *slog.Logger, closers *[]func() error) (*engine.Parts, error) {
	p := &engine.Parts{Logger: log}
	closing := func(f func() error) { *closers = append(*closers, f) }
	var err error
	if p.Containers, err = container.OpenStore(containersFile(c), containerDirs(c)...); err != nil {
		return nil, err
	}
	closing(p.Containers.Close)
	if p.Images, err = image.Open(filepath.Join(c.DataRoot, "image"), image.Options{Logger: log, ImageOf: imageOf(p.Containers)}); err != nil {
		return nil, err
	}
	closing(p.Images.Close)
	if p.Registry, err = registry.New(registry.Options{
		Insecure: c.InsecureRegistries, Mirrors: c.RegistryMirrors, UserAgent: "berth/" + version,
	}); err != nil {
		return nil, err
	}
	p.Plugins = plugin.New(plugin.Options{Sockets: c.PluginSockets, Specs: c.PluginSpecs})
	if p.Volumes, err = volume.Open(c.DataRoot, p.Plugins); err != nil {
		return nil, err
	}
	networks, err := networkOptions(c, log)
	if err != nil {
		return nil, err
	}
	networks.Plugins = p.Plugins
	if p.Networks, err = network.Open(networks); err != nil {
		return nil, err
	}
	closing(p.Networks.Close)
	if p.Runtime, err = openRuntime(c); err != nil {
		return nil, err
	}
	onError := func(err error) { log.Error("event history", "error", err) }
	if p.Events, err = events.Open(filepath.Join(c.DataRoot, "events"), onError); err != nil {
		return nil, err
	}
	closing(p.Events.Close)
	if p.Logs, err = logs.NewReader(); err != nil {
		return nil, err
	}
	closing(p.Logs.Close)
	return p, nil
}

// imageOf finds the image of a container.
func imageOf(containers *container.Store) func(string) digest.Digest {
	return func(id string) digest.Digest {
		if r := containers.Get(id); r != nil {
			return r.Image
		}
		return ""
	}
}

// shimPath is --shim or the program beside this one.
func shimPath(c *config.Config) (string, error) {
	if c.Shim != "" {
		return c.Shim, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find berth-shim: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "berth-shim"), nil
}

func openRuntime(c *config.Config) (*runtime.Runtime, error) {
	shim, err := shimPath(c)
	if err != nil {
		return nil, err
	}
	driver, err := c.CgroupDriver()
	if err != nil {
		return nil, err
	}
	spool := filepath.Join(c.DataRoot, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", spool, err)
	}
	return runtime.New(runtime.Options{
		Root: filepath.Join(c.ExecRoot, runtimeDir), Shim: shim, Spool: spool, CgroupDriver: driver,
	})
}

func networkOptions(c *config.Config, log *slog.Logger) (network.Options, error) {
	o := network.Options{
		Root: filepath.Join(c.DataRoot, "network"), ExecRoot: c.ExecRoot, Bridge: c.Bridge, MTU: c.MTU,
		NoDefault: c.Bridge == config.NoBridge, DisableICC: !c.ICC, DisableMasquerade: !c.Masquerade, Logger: log,
	}
	prefix := func(flag, value string, to *netip.Prefix) (err error) {
		if value != "" {
			if *to, err = netip.ParsePrefix(value); err != nil {
				return fmt.Errorf("%s %q: use ADDRESS/LENGTH: %w", flag, value, err)
			}
		}
		return nil
	}
	addr := func(flag, value string, to *netip.Addr) (err error) {
		if value != "" {
			if *to, err = netip.ParseAddr(value); err != nil {
				return fmt.Errorf("%s: %w", flag, err)
			}
		}
		return nil
	}
	if c.IPv6 != (c.FixedCIDR6 != "") {
		return o, errors.New("ipv6 and fixed-cidr-v6 need each other: the first turns IPv6 on, the second says which addresses the default network has")
	}
	return o, errors.Join(
		prefix("fixed-cidr-v6", c.FixedCIDR6, &o.FixedCIDR6),
		addr("default-gateway-v6", c.Gateway6, &o.DefaultGateway6),
		prefix("bip", c.BridgeIP, &o.BridgeIP),
		prefix("fixed-cidr", c.FixedCIDR, &o.FixedCIDR),
		addr("default-gateway", c.Gateway, &o.DefaultGateway),
		addr("ip", c.HostIP, &o.HostIP),
	)
}

func settings(c *config.Config) (engine.Settings, error) {
	driver, err := c.CgroupDriver()
	if err != nil {
		return engine.Settings{}, err
	}
	denied, err := c.BuildDenied()
	if err != nil {
		return engine.Settings{}, err
	}
	var ids userns.Map
	if c.UsernsRemap != "" {
		if ids, err = userns.System().Remap(c.UsernsRemap); err != nil {
			return engine.Settings{}, err
		}
	}
	shim, err := shimPath(c)
	return engine.Settings{
		DataRoot: c.DataRoot, ExecRoot: c.ExecRoot, Shown: shown(c),
		CgroupDriver: driver, CgroupParent: c.CgroupParent, IDs: ids,
		DNS: c.DNS, DNSSearch: c.DNSSearch, DNSOptions: c.DNSOptions,
		LogDriver: c.LogDriver, LogOptions: c.LogOptions, Ulimits: c.Ulimits,
		Authorization: c.Authorization, BuildDenied: denied, BuildPids: c.BuildPids, InitPath: shim, Version: version, Commit: commit, BuildTime: buildTime,
	}, err
}
