package engine

import (
	"context"
	"fmt"
	"net/url"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/host"
)

// newestVersion is the newest version of the API, the one that gen/hub has.
const newestVersion = "1.23"

// indexAddress is the index that names without a registry refer to.
const indexAddress = "https://index.docker.io/v1/"

// SystemPing serves GET /_ping.
func (e *Engine) SystemPing(context.Context, *hub.SystemPingParams) (string, error) {
	return "OK", nil
}

// SystemVersion serves GET /version.
func (e *Engine) SystemVersion(context.Context, *hub.SystemVersionParams) (*models.Version, error) {
	kernel, err := host.ReadKernel()
	if err != nil {
		return nil, fault.Internal("%w", err)
	}
	return &models.Version{
		Version:       e.Version,
		APIVersion:    newestVersion,
		GitCommit:     e.Commit,
		GoVersion:     goruntime.Version(),
		Os:            goruntime.GOOS,
		Arch:          goruntime.GOARCH,
		KernelVersion: kernel.Release,
		BuildTime:     e.BuildTime,
	}, nil
}

// SystemInfo serves GET /info. Every figure is read when it is asked for.
func (e *Engine) SystemInfo(ctx context.Context, _ *hub.SystemInfoParams) (*models.Info, error) {
	shown := e.shown.Load()
	m := &models.Info{
		ID:                 e.id,
		Images:             int64(e.Images.Count()),
		Driver:             driverName,
		Debug:              shown.Debug,
		NGoroutines:        int64(goruntime.NumGoroutine()),
		SystemTime:         time.Now().Format(time.RFC3339Nano),
		ExecutionDriver:    execDriver,
		LoggingDriver:      e.LogDriver,
		NEventsListener:    int64(e.Events.Readers()),
		OperatingSystem:    host.OperatingSystem("/"),
		IndexServerAddress: indexAddress,
		RegistryConfig:     e.registryConfig(),
		InitPath:           e.InitPath,
		NCPU:               int64(goruntime.NumCPU()),
		DockerRootDir:      e.DataRoot,
		HTTPProxy:          proxy("http_proxy"),
		HTTPSProxy:         proxy("https_proxy"),
		NoProxy:            daemonEnv("no_proxy"),
		ServerVersion:      e.Version,
		OSType:             goruntime.GOOS,
		CgroupDriver:       e.CgroupDriver,
		Plugins:            models.PluginsInfo{Volume: e.Volumes.Drivers(ctx), Network: e.networkDrivers(ctx), Authorization: e.Authorization},
		IPv4Forwarding:     host.Enabled("net/ipv4/ip_forward"),
		BridgeNfIptables:   host.Enabled("net/bridge/bridge-nf-call-iptables"),
		BridgeNfIp6tables:  host.Enabled("net/bridge/bridge-nf-call-ip6tables"),
	}
	if len(shown.Labels) > 0 {
		m.Labels = slices.Clone(shown.Labels)
	}
	e.countContainers(m)
	if err := e.describeHost(m); err != nil {
		return nil, fault.Internal("describe the host: %w", err)
	}
	return m, nil
}

func (e *Engine) countContainers(m *models.Info) {
	for _, c := range e.containers.List() {
		m.Containers++
		switch s := c.Record().State; {
		case s.Status == container.Paused:
			m.ContainersPaused++
		case s.Active():
			m.ContainersRunning++
		default:
			m.ContainersStopped++
		}
	}
}

// describeHost fills in what the kernel and the file systems tell.
func (e *Engine) describeHost(m *models.Info) error {
	kernel, err := host.ReadKernel()
	if err != nil {
		return err
	}
	m.KernelVersion, m.Architecture = kernel.Release, kernel.Machine
	if m.MemTotal, err = host.Memory(); err != nil {
		return err
	}
	if m.Name, err = os.Hostname(); err != nil {
		return err
	}
	filesystem, err := host.Filesystem(e.DataRoot)
	if err != nil {
		return err
	}
	m.DriverStatus = [][]string{{"Backing Filesystem", filesystem}}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	m.NFd = int64(len(open) - 1) // without the one that reads the directory
	can := e.controls()
	m.MemoryLimit, m.SwapLimit, m.KernelMemory = can.Memory, can.Swap, can.KernelMemory
	m.OomKillDisable = can.OOMKillDisable
	m.CPUShares, m.CPUSet = can.CPUShares, can.CPUSet
	m.CPUCfsPeriod, m.CPUCfsQuota = can.CFSPeriod, can.CFSQuota
	return nil
}

// registryConfig tells how registries are treated: over TLS with a valid
// certificate, but for those that were named or are on this machine.
func (e *Engine) registryConfig() *models.RegistryConfig {
	trust := e.Registry.Trust()
	m := &models.RegistryConfig{
		Mirrors: trust.Mirrors,
		IndexConfigs: map[string]models.IndexConfig{
			"docker.io": {Name: "docker.io", Mirrors: trust.Mirrors, Secure: true, Official: true},
		},
	}
	for _, network := range trust.Networks {
		m.InsecureRegistryCIDRs = append(m.InsecureRegistryCIDRs, network.String())
	}
	for _, host := range trust.Hosts {
		m.IndexConfigs[host] = models.IndexConfig{Name: host}
	}
	return m
}

// networkDrivers are those of the networks that the manager has made.
func (e *Engine) networkDrivers(ctx context.Context) []string {
	drivers := e.Networks.Drivers(ctx)
	for _, n := range e.Networks.Networks() {
		drivers = append(drivers, n.Driver)
	}
	slices.Sort(drivers)
	return slices.Compact(drivers)
}

// daemonEnv gives a variable that is spelled in small or in capital letters.
func daemonEnv(name string) string {
	if v := os.Getenv(strings.ToUpper(name)); v != "" {
		return v
	}
	return os.Getenv(name)
}

// proxy gives a proxy's address from the environment without name and password,
// which are nobody's business.
func proxy(name string) string {
	address := daemonEnv(name)
	if address == "" || !strings.Contains(address, "@") {
		return address
	}
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		u.User = nil
		return u.String()
	}
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "", address
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if scheme == "" {
		return rest
	}
	return fmt.Sprintf("%s://%s", scheme, rest)
}
