package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// plain says that a volume is a directory of ours with nothing mounted.
func (v *volume) plain() bool { return v.def.Driver == DriverLocal && len(v.def.Options) == 0 }

// Mount makes a volume's data accessible for a user (a container's id, or
// another name for what works on it) and gives the directory. The first user
// has it mounted. The record of users outlives the engine: whoever is not named
// to ReconcileMounts after a restart counts as gone. Mounting twice for one
// user is no error. Classes: NotFound, Internal (the driver failed).
func (s *Store) Mount(ctx context.Context, name, user string) (dir string, err error) {
	if user == "" || user != filepath.Base(user) {
		return "", fault.Invalid("invalid user %q of a volume", user)
	}
	vol, err := s.lock(name)
	if err != nil {
		return "", err
	}
	defer vol.mu.Unlock()
	if vol.plain() {
		return vol.dataPath(), nil
	}
	_, had := vol.mounts[user]
	doubt, stale := vol.stale[user]
	delete(vol.stale, user)
	// Recorded first: what was mounted and not recorded would stay for ever.
	if err := vol.recordMount(user); err != nil {
		return "", err
	}
	dir, err = s.mount(ctx, vol, user)
	mounted := err == nil
	if mounted {
		if err = vol.mend(dir, user); err == nil {
			return dir, nil
		}
	}
	switch {
	case stale || !had && (mounted || vol.def.Driver != DriverLocal && !plugin.Undone(err)):
		vol.stale[user] = doubt || !mounted
	case !had:
		err = errors.Join(err, vol.forgetMount(user))
	}
	return "", err
}

// mount has the driver mount a volume for a user.
func (s *Store) mount(ctx context.Context, vol *volume, user string) (dir string, err error) {
	if vol.def.Driver == DriverLocal {
		return vol.dataPath(), vol.mountDevice(ctx)
	}
	r, err := s.remote(ctx, vol.def.Driver)
	if err == nil {
		dir, err = r.mount(ctx, vol.def.Name, user)
	}
	if err != nil {
		return "", fmt.Errorf("mount volume %s: %w", vol.def.Name, err)
	}
	s.mu.Lock()
	vol.mountpoint = dir
	s.mu.Unlock()
	return dir, nil
}

// mend empties a mounted volume in which a copy was interrupted by the end of
// the process, before the first user writes into it. Where another one could
// write already, or which the copy was not made into, what is there stays.
func (v *volume) mend(dir, user string) error {
	begun, err := os.ReadFile(filepath.Join(v.dir, populatingFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mend volume %s: %w", v.def.Name, err)
	}
	mine := string(begun) == dir // else it is not what was begun
	for other := range v.mounts {
		_, gone := v.stale[other]
		mine = mine && (other == user || gone)
	}
	if !mine {
		return os.Remove(filepath.Join(v.dir, populatingFile))
	}
	if err := v.unpopulate(dir); err != nil {
		return fmt.Errorf("mend volume %s: %w", v.def.Name, err)
	}
	return nil
}

// Unmount ends what Mount began; the last user has the volume unmounted. A user
// that is not recorded is no error. When it fails the record stays, and
// ReconcileMounts or Remove try again.
func (s *Store) Unmount(ctx context.Context, name, user string) error {
	vol, err := s.lock(name)
	if err != nil {
		return nil
	}
	defer vol.mu.Unlock()
	return s.unmount(ctx, vol, user)
}

// unmount needs the volume's lock.
func (s *Store) unmount(ctx context.Context, vol *volume, user string) error {
	if _, ok := vol.mounts[user]; !ok {
		return nil
	}
	if vol.def.Driver != DriverLocal {
		r, err := s.remote(ctx, vol.def.Driver)
		if err == nil {
			err = r.unmount(ctx, vol.def.Name, user)
		}
		doubt := vol.stale[user]
		if (doubt || vol.mounts[user]) && plugin.Answered(err) {
			err = nil // it was not mounted
		}
		if err != nil {
			vol.stale[user] = doubt
			return fmt.Errorf("unmount volume %s: %w", vol.def.Name, err)
		}
	} else if len(vol.mounts) == 1 {
		if err := vol.unmountDevice(); err != nil {
			vol.stale[user] = false
			return err
		}
	}
	delete(vol.stale, user)
	return vol.forgetMount(user)
}

// ReconcileMounts forgets the users of mounts for which alive is false. It
// returns at once; done, which may be called later and aside, unmounts for
// them: a plugin may take its time.
func (s *Store) ReconcileMounts(alive func(user string) bool) (done func(context.Context) error) {
	type pair struct{ volume, user string }
	var gone []pair
	for _, vol := range s.all() {
		vol.mu.Lock()
		for user := range vol.mounts {
			if !alive(user) {
				vol.stale[user] = false
				gone = append(gone, pair{vol.def.Name, user})
			}
		}
		vol.mu.Unlock()
	}
	return func(ctx context.Context) error {
		var errs []error
		for _, p := range gone {
			vol, err := s.lock(p.volume)
			if err != nil {
				continue
			}
			if _, still := vol.stale[p.user]; still { // else mounted again meanwhile
				errs = append(errs, s.unmount(ctx, vol, p.user))
			}
			vol.mu.Unlock()
		}
		return errors.Join(errs...)
	}
}

// unmountStale unmounts for users that went while the driver failed. What a plugin
// refuses once more, which may have no such mount any more, is no error: whether the
// volume can go it decides itself.
func (s *Store) unmountStale(ctx context.Context, vol *volume) error {
	var errs []error
	for _, user := range slices.Collect(maps.Keys(vol.stale)) {
		if err := s.unmount(ctx, vol, user); !plugin.Answered(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (v *volume) mountPath(user string) string { return filepath.Join(v.dir, mountsDir, user) }

func (v *volume) recordMount(user string) error {
	if earlier, ok := v.mounts[user]; ok && !earlier {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(v.dir, mountsDir), 0o700); err != nil {
		return fmt.Errorf("record a mount of volume %s: %w", v.def.Name, err)
	}
	if err := os.WriteFile(v.mountPath(user), []byte(boot()), 0o600); err != nil {
		return fmt.Errorf("record a mount of volume %s: %w", v.def.Name, err)
	}
	v.mounts[user] = false
	return nil
}

// ofEarlierBoot tells whether a mount was recorded before the host was restarted,
// which the driver may not remember.
func (v *volume) ofEarlierBoot(user string) (bool, error) {
	text, err := os.ReadFile(v.mountPath(user))
	return string(text) != boot(), err
}

// boot is the id of the kernel's present run; "" where it does not say.
func boot() string {
	text, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text))
}

func (v *volume) forgetMount(user string) error {
	if err := os.Remove(v.mountPath(user)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget a mount of volume %s: %w", v.def.Name, err)
	}
	delete(v.mounts, user)
	return nil
}
