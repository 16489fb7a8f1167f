package volume

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// Spec asks for a volume.
type Spec struct {
	// Name may be empty: 64 hex digits are made up.
	Name string
	// Driver is DriverLocal if empty, or the name of a plugin.
	Driver string
	// Options are the driver's own: type, o and device of DriverLocal.
	Options map[string]string
	Labels  map[string]string
}

// Create makes a volume, or gives the one that is just as asked for (created
// false). Classes: InvalidArgument (name, options), NotFound (driver), Conflict
// (name taken by another volume), Internal (the driver failed).
func (s *Store) Create(ctx context.Context, spec Spec) (v Volume, created bool, err error) {
	return s.ensure(ctx, spec, func(have, want definition) bool {
		return have.Driver == want.Driver && maps.Equal(have.Options, want.Options) && maps.Equal(have.Labels, want.Labels)
	})
}

// Ensure is for whoever wants to use a volume: any one of this name will do
// unless another driver than DriverLocal was asked for and it is not of that.
func (s *Store) Ensure(ctx context.Context, name, driver string) (v Volume, created bool, err error) {
	return s.ensure(ctx, Spec{Name: name, Driver: driver}, func(have, want definition) bool {
		return want.Driver == DriverLocal || have.Driver == want.Driver
	})
}

// ensure gives the volume of the name if it fits, or makes it.
func (s *Store) ensure(ctx context.Context, spec Spec, fits func(have, want definition) bool) (Volume, bool, error) {
	if spec.Driver == "" {
		spec.Driver = DriverLocal
	}
	if spec.Name == "" {
		var b [32]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		spec.Name = hex.EncodeToString(b[:])
	}
	def := definition{Version: definitionVersion, Name: spec.Name, Driver: spec.Driver,
		Labels: nilIfEmpty(spec.Labels), Options: nilIfEmpty(spec.Options), Created: time.Now().UTC()}
	for {
		v, found, err := s.existing(ctx, def, fits)
		if !found && err == nil {
			var r remote
			if r, err = s.check(ctx, def); err == nil {
				v, err = s.make(ctx, def, r)
			}
		}
		if !errors.Is(err, errChanged) {
			return v, !found && err == nil, err
		}
	}
}

// errChanged says that a volume came or went while it was waited for.
var errChanged = errors.New("volume was changed meanwhile")

// check tells whether a new volume can be made, and finds its plugin.
func (s *Store) check(ctx context.Context, def definition) (r remote, err error) {
	if def.Driver == DriverLocal {
		if err := checkLocalName(def.Name); err != nil {
			return r, err
		}
		return r, checkOptions(def.Name, def.Options)
	}
	if err := checkRemoteName(def.Name); err != nil {
		return r, err
	}
	r, err = s.remote(ctx, def.Driver)
	if errdefs.IsNotFound(err) {
		return r, fault.NotFound("create %s: Error looking up volume plugin %s: plugin not found", def.Name, def.Driver)
	}
	if err != nil {
		err = fmt.Errorf("create %s: %w", def.Name, err)
	}
	return r, err
}

func checkLocalName(name string) error {
	switch {
	case len(name) == 1:
		return fault.Invalid("create %s: volume name is too short, names should be at least two alphanumeric characters", name)
	case !nameForm.MatchString(name):
		return fault.Invalid("create %s: %q includes invalid characters for a local volume name, only %q are allowed", name, name, nameChars)
	case len(name) > maxName:
		return fault.Invalid("create %s: a volume name has at most %d characters", name, maxName)
	}
	return nil
}

// checkRemoteName refuses names that no request could bear. What else a name may
// be is the plugin's business.
func checkRemoteName(name string) error {
	bad := func(r rune) bool { return r == '/' || r == ':' || !unicode.IsPrint(r) }
	if name == "" || len(name) > 255 || name == "." || name == ".." || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fault.Invalid("create %q: a volume name has 1 to 255 printable characters without / and :", name)
	}
	return nil
}

// existing gives the volume of the name if there is one.
func (s *Store) existing(ctx context.Context, def definition, fits func(have, want definition) bool) (v Volume, found bool, err error) {
	s.mu.Lock()
	vol := s.volumes[def.Name]
	s.mu.Unlock()
	if vol == nil {
		return Volume{}, false, nil
	}
	vol.mu.Lock()
	defer vol.mu.Unlock()
	switch {
	case vol.removed:
		return Volume{}, true, errChanged
	case !fits(vol.def, def):
		return Volume{}, true, fault.Conflict("create %s: conflict: volume name must be unique: there is one of driver %s with other options or labels",
			def.Name, vol.def.Driver)
	case vol.def.Driver != DriverLocal:
		// The plugin may have lost it meanwhile.
		if err := s.makeRemote(ctx, vol); err != nil {
			return Volume{}, true, err
		}
	}
	return s.snapshot(vol), true, nil
}

func (s *Store) makeRemote(ctx context.Context, vol *volume) error {
	r, err := s.remote(ctx, vol.def.Driver)
	if err == nil {
		err = s.bring(ctx, vol, r)
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", vol.def.Name, err)
	}
	return nil
}

// bring has the plugin make the volume unless it has one of this name.
func (s *Store) bring(ctx context.Context, vol *volume, r remote) error {
	k, err := r.get(ctx, vol.def.Name)
	var said *plugin.AnswerError
	if errors.As(err, &said) {
		if err := r.create(ctx, vol.def.Name, vol.def.Options); err != nil {
			return err
		}
		path, err := r.path(ctx, vol.def.Name)
		if err != nil && !errors.As(err, &said) {
			return err
		}
		k = &known{vol.def.Name, path}
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	vol.mountpoint = k.Mountpoint
	s.mu.Unlock()
	return nil
}

// make makes a volume of a name that nobody has.
func (s *Store) make(ctx context.Context, def definition, r remote) (v Volume, err error) {
	vol := newVolume(filepath.Join(s.dir, dirName(def.Name)), def)
	vol.mu.Lock() // at once, since nobody else has it
	defer vol.mu.Unlock()
	s.mu.Lock()
	if s.volumes[def.Name] != nil {
		s.mu.Unlock()
		return Volume{}, errChanged
	}
	s.volumes[def.Name] = vol
	s.mu.Unlock()
	if def.Driver != DriverLocal {
		err = s.bring(ctx, vol, r)
	}
	if err == nil {
		err = vol.make()
	}
	if err != nil {
		// What the plugin has stays: it may have had it, with data, before.
		vol.removed = true
		s.mu.Lock()
		delete(s.volumes, def.Name)
		s.mu.Unlock()
		return Volume{}, fmt.Errorf("create %s: %w", def.Name, err)
	}
	s.mu.Lock()
	vol.ready = true
	s.mu.Unlock()
	return s.snapshot(vol), nil
}

// Remove deletes a volume and its data; nameOf gives the words for a user in the
// error's text. Classes: NotFound (no such volume or driver), Conflict (in use),
// Internal (the driver failed).
func (s *Store) Remove(ctx context.Context, name string, nameOf func(containerID string) string) error {
	vol, err := s.lock(name)
	if errdefs.IsNotFound(err) {
		return s.removeForeign(ctx, name)
	}
	if err != nil {
		return err
	}
	defer vol.mu.Unlock()
	inUse := func(users []string) error {
		return fault.Conflict("Unable to remove volume, volume still in use: remove %s: volume is in use - %v", name, users)
	}
	if users := s.snapshot(vol).Users; len(users) > 0 {
		for i, id := range users {
			users[i] = nameOf(id)
		}
		return inUse(users)
	}
	if err := s.unmountStale(ctx, vol); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	for user := range vol.mounts {
		if _, gone := vol.stale[user]; !gone {
			return inUse([]string{user})
		}
	}
	if vol.def.Driver != DriverLocal {
		r, err := s.remote(ctx, vol.def.Driver)
		if err == nil {
			err = r.discard(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	if err := vol.unmake(); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	vol.removed = true
	s.mu.Lock()
	delete(s.volumes, name)
	s.mu.Unlock()
	return nil
}

// removeForeign removes a volume that only a plugin knows.
func (s *Store) removeForeign(ctx context.Context, name string) error {
	r, _, err := s.seek(ctx, name)
	if err != nil {
		return err
	}
	if err := r.remove(ctx, name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}
