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
		{"LogConfig", !slices.Contains([]string{"", "json-file", "none"}, h.LogConfig.Type)},
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
	switch h.NetworkMode {
	case "", "default", "bridge", "none":
	default:
		if strings.HasPrefix(h.NetworkMode, "container:") || h.NetworkMode == "host" {
			if err := l.checkMode(ctx, "NetworkMode", &h.NetworkMode); err != nil {
				return err
			}
		} else if err := l.checkNetwork(ctx, h.NetworkMode); err != nil {
			return err
		}
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
	if err := l.checkLinks(ctx, h.Links); err != nil {
		return err
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

// checkLinks looks at links in the form name:alias. Their text stays: what is
// linked to may be looked for by name later, and then gives an address only.
func (l *limited) checkLinks(ctx context.Context, links []string) error {
	for _, link := range links {
		name, _, _ := strings.Cut(link, ":")
		if _, err := l.container(ctx, name); err != nil {
			return err
		}
	}
	return nil
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
// within reach.
func (l *limited) checkNetwork(ctx context.Context, name string) error {
	if name == "bridge" || name == "none" || name == "default" {
		return nil
	}
	_, err := l.network(ctx, name)
	return err
}

func (l *limited) checkEndpoint(ctx context.Context, network string, s *models.EndpointSettings) error {
	if err := l.checkNetwork(ctx, network); err != nil {
		return err
	}
	return l.checkLinks(ctx, s.Links)
}
