package engine

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/network"
)

// driverName is the storage driver that the API shows.
const driverName = "overlay"

// execDriver is what Docker Engine called its libcontainer driver.
const execDriver = "native-0.2"

// ContainerInspect serves GET /containers/(id or name)/json from a snapshot.
func (e *Engine) ContainerInspect(ctx context.Context, p *hub.ContainerInspectParams) (*models.ContainerInspect, error) {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return nil, err
	}
	r := c.Record()
	m := &models.ContainerInspect{
		ID:              r.ID,
		Created:         stamp(r.Created),
		Path:            r.Path,
		Args:            append([]string{}, r.Args...),
		State:           stateOf(r.State),
		Image:           r.Image.String(),
		ResolvConfPath:  e.filePath(r, "resolv.conf"),
		HostnamePath:    e.filePath(r, "hostname"),
		HostsPath:       e.filePath(r, "hosts"),
		LogPath:         e.logPath(r),
		Name:            r.Name,
		RestartCount:    int64(r.RestartCount),
		Driver:          driverName,
		ExecDriver:      execDriver,
		ExecIDs:         e.runningExecs(r.ID),
		Config:          r.Config,
		HostConfig:      e.shownHostConfig(r),
		Mounts:          mountPoints(r),
		NetworkSettings: networkSettings(r),
	}
	m.Volumes, m.VolumesRW = volumeMaps(r)
	if w, err := e.Images.Writable(r.ID); err == nil {
		m.GraphDriver = &models.GraphDriverData{Name: driverName, Data: map[string]string{
			"LowerDir": strings.Join(w.Lower, ":"), "UpperDir": w.Upper, "WorkDir": w.Work, "MergedDir": w.Target,
		}}
	} else {
		m.GraphDriver = &models.GraphDriverData{Name: driverName}
	}
	if p.Size {
		rw, root, err := e.sizes(ctx, r)
		if err != nil {
			return nil, err
		}
		m.SizeRw, m.SizeRootFs = &rw, &root
	}
	return m, nil
}

// sizes are the bytes that the container wrote and those of its whole tree.
func (e *Engine) sizes(ctx context.Context, r *container.Record) (rw, root int64, err error) {
	rw, err = e.Images.WritableSize(ctx, r.ID)
	if err != nil && !(r.State.Status == container.Dead && errdefs.IsNotFound(err)) {
		return 0, 0, err
	}
	root = rw
	if img, err := e.Images.Get(r.Image.String()); err == nil {
		root += img.VirtualSize
	}
	return rw, root, nil
}

func stateOf(s container.State) *models.State {
	return &models.State{
		Status:     string(s.Status),
		Running:    s.Active(),
		Paused:     s.Status == container.Paused,
		Restarting: s.Status == container.Restarting,
		Dead:       s.Status == container.Dead,
		OOMKilled:  s.OOMKilled,
		Pid:        int64(s.Pid),
		ExitCode:   int64(s.ExitCode),
		Error:      s.Error,
		StartedAt:  stamp(s.StartedAt),
		FinishedAt: stamp(s.FinishedAt),
	}
}

// filePath is a container's own copy of a file of /etc; empty before the first
// start, when it does not exist.
func (e *Engine) filePath(r *container.Record, name string) string {
	if r.State.StartedAt.IsZero() {
		return ""
	}
	id := r.ID
	if mode, other := networkMode(r); mode == network.ModeContainer {
		id = other // whose files it shares
	}
	return filepath.Join(e.dir(id), name)
}

func mountPoints(r *container.Record) []models.MountPoint {
	points := make([]models.MountPoint, 0, len(r.Mounts))
	for _, m := range r.Mounts {
		points = append(points, models.MountPoint{
			Name: m.Name, Driver: m.Driver, Source: m.Source, Destination: m.Destination,
			Mode: m.Mode, RW: m.RW, Propagation: m.Propagation,
		})
	}
	return points
}

// volumeMaps is the form in which versions before 1.20 show mounts.
func volumeMaps(r *container.Record) (map[string]string, map[string]bool) {
	sources, writable := map[string]string{}, map[string]bool{}
	for _, m := range r.Mounts {
		sources[m.Destination] = m.Source
		writable[m.Destination] = m.RW
	}
	return sources, writable
}

// networkSettings shows the network of the present run. The fields beside
// Networks are those of the default network, for older clients.
func networkSettings(r *container.Record) *models.NetworkSettings {
	m := &models.NetworkSettings{
		SandboxID:  r.Network.SandboxID,
		SandboxKey: r.Network.SandboxKey,
		Ports:      portMap(r),
		Networks:   map[string]models.EndpointSettings{},
	}
	if !r.State.Live() {
		for _, p := range r.Places {
			m.Networks[p.Network] = models.EndpointSettings{
				NetworkID: p.NetworkID, IPAMConfig: p.IPAMConfig, Links: p.Links, Aliases: p.Aliases,
			}
		}
		return m
	}
	for _, ep := range r.Network.Endpoints {
		s := ep.EndpointSettings
		m.Networks[ep.Network] = s
		if ep.Network != "bridge" {
			continue
		}
		m.EndpointID = s.EndpointID
		m.Gateway, m.IPAddress, m.IPPrefixLen, m.MacAddress = s.Gateway, s.IPAddress, s.IPPrefixLen, s.MacAddress
		m.IPv6Gateway, m.GlobalIPv6Address, m.GlobalIPv6PrefixLen = s.IPv6Gateway, s.GlobalIPv6Address, s.GlobalIPv6PrefixLen
	}
	return m
}

// portMap shows the exposed ports (null values) and the published ones.
func portMap(r *container.Record) models.PortMap {
	if !r.State.Live() {
		return nil
	}
	ports := models.PortMap{}
	for port := range r.Config.ExposedPorts {
		ports[canonicalPort(port)] = nil
	}
	for port, bindings := range r.Network.Ports {
		ports[port] = bindings
	}
	return ports
}

// execContainer is the container inside exec inspect of versions before 1.22.
func (e *Engine) execContainer(r *container.Record) *models.ExecContainer {
	m := &models.ExecContainer{
		State: stateOf(r.State), ID: r.ID, Created: stamp(r.Created), Path: r.Path, Args: append([]string{}, r.Args...),
		Config: r.Config, Image: r.Image.String(), NetworkSettings: networkSettings(r),
		ResolvConfPath: e.filePath(r, "resolv.conf"), HostnamePath: e.filePath(r, "hostname"), HostsPath: e.filePath(r, "hosts"),
		LogPath: e.logPath(r), Name: r.Name, Driver: driverName, ExecDriver: execDriver,
		RestartCount: int64(r.RestartCount), Mounts: mountPoints(r),
	}
	m.Volumes, m.VolumesRW = volumeMaps(r)
	return m
}
