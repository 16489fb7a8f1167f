package volume

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// Plugins find the volume plugins; *plugin.Registry does.
type Plugins interface {
	Get(ctx context.Context, name, protocol string) (*plugin.Plugin, error)
	All(ctx context.Context, protocol string) ([]*plugin.Plugin, []plugin.Failed)
}

// Those who look (list, inspect) wait for the activation of plugins, which may
// hang, and after that for their answers.
const activationPatience, patience = time.Second, 2 * time.Second

// listPatience is how long a plugin may take to list its volumes at all.
const listPatience = 10 * time.Second

// drivers gives the plugins that keep volumes, those that can be had soon.
func (s *Store) drivers(ctx context.Context) ([]*plugin.Plugin, []plugin.Failed) {
	if s.plugins == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, activationPatience)
	defer cancel()
	return s.plugins.All(ctx, plugin.VolumeDriver)
}

// Drivers gives the names of the drivers that can be used, DriverLocal first.
func (s *Store) Drivers(ctx context.Context) []string {
	names := []string{DriverLocal}
	plugins, _ := s.drivers(ctx)
	for _, p := range plugins {
		names = append(names, p.Name())
	}
	return names
}

// remote speaks the VolumeDriver protocol with one plugin.
type remote struct{ *plugin.Plugin }

// known is a volume as a plugin describes it.
type known struct {
	Name, Mountpoint string
}

type request struct {
	Name string
	Opts map[string]string `json:",omitempty"`
	// ID is of the user of a mount: the container.
	ID string `json:",omitempty"`
}

func (s *Store) remote(ctx context.Context, name string) (remote, error) {
	if s.plugins == nil {
		return remote{}, fault.NotFound("plugin %s not found", name)
	}
	p, err := s.plugins.Get(ctx, name, plugin.VolumeDriver)
	return remote{p}, err
}

func (r remote) call(ctx context.Context, method string, in request, out any) error {
	return r.Call(ctx, plugin.VolumeDriver+"."+method, in, out)
}

// get asks for a volume; nil with the plugin's *plugin.AnswerError if it has none.
func (r remote) get(ctx context.Context, name string) (*known, error) {
	var answer struct{ Volume *known }
	if err := r.call(ctx, "Get", request{Name: name}, &answer); err != nil {
		return nil, err
	}
	if answer.Volume == nil || answer.Volume.Name != name {
		return nil, r.wrong("Get", "did not describe volume %s", name)
	}
	if !validPath(answer.Volume.Mountpoint) {
		answer.Volume.Mountpoint = "" // shown only; Mount has to give a real one
	}
	return answer.Volume, nil
}

// list gives the volumes with usable names.
func (r remote) list(ctx context.Context) ([]known, error) {
	var answer struct{ Volumes []*known }
	if err := r.call(ctx, "List", request{}, &answer); err != nil {
		return nil, err
	}
	var list []known
	for _, k := range answer.Volumes {
		if k == nil || checkRemoteName(k.Name) != nil {
			continue
		}
		if !validPath(k.Mountpoint) {
			k.Mountpoint = ""
		}
		list = append(list, *k)
	}
	return list, nil
}

func (r remote) create(ctx context.Context, name string, options map[string]string) error {
	if options == nil {
		options = map[string]string{}
	}
	return r.Call(ctx, plugin.VolumeDriver+".Create", struct {
		Name string
		Opts map[string]string
	}{name, options}, nil)
}

// path gives where the volume is mounted; "" while it is nowhere.
func (r remote) path(ctx context.Context, name string) (string, error) {
	var answer struct{ Mountpoint string }
	if err := r.call(ctx, "Path", request{Name: name}, &answer); err != nil {
		return "", err
	}
	if !validPath(answer.Mountpoint) {
		return "", nil
	}
	return answer.Mountpoint, nil
}

// mount has the volume mounted for a user and gives where.
func (r remote) mount(ctx context.Context, name, id string) (string, error) {
	var answer struct{ Mountpoint string }
	if err := r.call(ctx, "Mount", request{Name: name, ID: id}, &answer); err != nil {
		return "", err
	}
	if !validPath(answer.Mountpoint) {
		return "", r.wrong("Mount", "gave %q as the mountpoint of volume %s, which is no absolute path", answer.Mountpoint, name)
	}
	return answer.Mountpoint, nil
}

func (r remote) unmount(ctx context.Context, name, id string) error {
	return r.call(ctx, "Unmount", request{Name: name, ID: id}, nil)
}

func (r remote) remove(ctx context.Context, name string) error {
	return r.call(ctx, "Remove", request{Name: name}, nil)
}

// discard is remove, but a volume that the plugin has not (any more: an earlier
// removal was cut short) is no error.
func (r remote) discard(ctx context.Context, name string) error {
	err := r.remove(ctx, name)
	var said *plugin.AnswerError
	if errors.As(err, &said) {
		if _, getErr := r.get(ctx, name); errors.As(getErr, &said) {
			return nil
		}
	}
	return err
}

// wrong is the error of an answer that breaks the protocol.
func (r remote) wrong(method, format string, args ...any) error {
	return fault.Internal("plugin %s: %s.%s "+format, append([]any{r.Name(), plugin.VolumeDriver, method}, args...)...)
}

// validPath says whether a plugin's path can be mounted into a container: an
// absolute one that means what it says, and not the host's root.
func validPath(p string) bool {
	return len(p) < 4096 && filepath.IsAbs(p) && filepath.Clean(p) != "/" && !hasDots(p)
}

func hasDots(p string) bool {
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." || strings.ContainsRune(part, 0) {
			return true
		}
	}
	return false
}
