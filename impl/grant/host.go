package grant

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
)

// checkHost refuses a HostConfig that reaches beyond its container. Volumes that
// it names and that do not exist are created, with the grant's labels.
func (l *limited) checkHost(ctx context.Context, h *models.HostConfig) error {
	if h == nil {
		return nil
	}
	for _, setting := range []struct {
		name    string
		reaches bool
	}{
		{"Privileged", h.Privileged},
		{"CapAdd", len(h.CapAdd) > 0},
		{"Devices", len(h.Devices) > 0},
		{"CgroupParent", h.CgroupParent != ""},
		{"UTSMode", h.UTSMode != ""},
		{"UsernsMode", h.UsernsMode != ""},
		{"OomScoreAdj", h.OomScoreAdj < 0},
		{"LxcConf", len(h.LxcConf) > 0},
		{"VolumeDriver", h.VolumeDriver != "" && h.VolumeDriver != "local"},
		{"LogConfig", !slices.Contains([]string{"", "json-file", "none"}, h.LogConfig.Type) || !harmless(h.LogConfig.Config)},
		{"SecurityOpt", slices.ContainsFunc(h.SecurityOpt, func(o string) bool { return o != "no-new-privileges" })},
	} {
		if setting.reaches {
			return l.refuse("this HostConfig.%s is not allowed", setting.name)
		}
	}
	for _, mode := range []struct {
		name  string
		value *string
	}{{"PidMode", &h.PidMode}, {"IpcMode", &h.IpcMode}} {
		if err := l.checkMode(ctx, mode.name, mode.value); err != nil {
			return err
		}
	}
	if strings.HasPrefix(h.NetworkMode, "container:") || h.NetworkMode == "host" {
		if err := l.checkMode(ctx, "NetworkMode", &h.NetworkMode); err != nil {
			return err
		}
	} else if err := l.checkNetwork(ctx, &h.NetworkMode); err != nil {
		return err
	}
	for i, from := range h.VolumesFrom {
		name, mode, _ := strings.Cut(from, ":")
		if err := l.within(ctx, &name); err != nil {
			return err
		}
		if mode != "" {
			name += ":" + mode
		}
		h.VolumesFrom[i] = name
	}
	ids, err := l.checkLinks(ctx, h.Links)
	if err != nil {
		return err
	}
	switch h.NetworkMode {
	case "", "default", "bridge":
		h.Links = ids // which the engine itself would write down
	}
	for _, bind := range h.Binds {
		if err := l.checkBind(ctx, bind); err != nil {
			return err
		}
	}
	return nil
}

// checkMode allows a namespace of the container's own or of another container
// within reach.
func (l *limited) checkMode(ctx context.Context, setting string, mode *string) error {
	if *mode == "" {
		return nil
	}
	name, ok := strings.CutPrefix(*mode, "container:")
	if !ok {
		return l.refuse("HostConfig.%s %s is not allowed", setting, *mode)
	}
	if err := l.within(ctx, &name); err != nil {
		return err
	}
	*mode = "container:" + name
	return nil
}

// harmless says whether a log's options are those of a file. Without a driver they
// are for the daemon's own choice, which may send to an address in them.
func harmless(options map[string]string) bool {
	for name := range options {
		if !slices.Contains([]string{"max-size", "max-file", "labels", "env", "tag"}, name) {
			return false
		}
	}
	return true
}

// checkLinks looks at links in the form name:alias and gives them with ids for
// names. On the default network a link tells of the other's environment, and its
// id must count; elsewhere the text is looked for by name at each question, and
// gives the address of a container in the same network only.
func (l *limited) checkLinks(ctx context.Context, links []string) ([]string, error) {
	ids := make([]string, len(links))
	for i, link := range links {
		name, alias, ok := strings.Cut(link, ":")
		if !ok {
			alias = strings.TrimPrefix(name, "/")
		}
		id, err := l.container(ctx, name)
		if err != nil {
			return nil, err
		}
		ids[i] = id + ":" + alias
	}
	if links == nil {
		ids = nil
	}
	return ids, nil
}

// checkBind allows volumes only: new ones, and those within reach.
func (l *limited) checkBind(ctx context.Context, bind string) error {
	source, _, ok := strings.Cut(bind, ":")
	if !ok {
		return nil // a new volume without a name
	}
	if path.IsAbs(source) || source == "" {
		return l.refuse("the bind %s of a host path is not allowed", bind)
	}
	m, err := l.engine.VolumeInspect(ctx, &hub.VolumeInspectParams{Name: source})
	switch {
	case err == nil && l.covers(m.Labels):
		return nil
	case err == nil:
		return l.refuse("the volume %s is not allowed", source)
	case !errdefs.IsNotFound(err):
		return err
	}
	_, err = l.VolumeCreate(ctx, &hub.VolumeCreateParams{Body: &models.VolumeCreateRequest{Name: source}})
	return err
}

// checkNetwork allows the default networks that share nothing, and networks
// within reach, whose name it replaces by the id.
func (l *limited) checkNetwork(ctx context.Context, name *string) error {
	switch *name {
	case "", "bridge", "none", "default":
		return nil
	}
	id, err := l.network(ctx, *name)
	if err == nil {
		*name = id
	}
	return err
}

// checkEndpoints looks at the networks of a new container and gives them by id.
func (l *limited) checkEndpoints(ctx context.Context, endpoints map[string]models.EndpointSettings) (map[string]models.EndpointSettings, error) {
	byID := make(map[string]models.EndpointSettings, len(endpoints))
	for name, s := range endpoints {
		if err := l.checkNetwork(ctx, &name); err != nil {
			return nil, err
		}
		if _, err := l.checkLinks(ctx, s.Links); err != nil {
			return nil, err
		}
		byID[name] = s
	}
	return byID, nil
}
