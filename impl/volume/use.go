package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Acquire records that a container (running or not) refers to the volume.
// Recording it twice is no error. Class NotFound.
func (s *Store) Acquire(name, containerID string) error {
	if containerID == "" || containerID != filepath.Base(containerID) {
		return fault.Invalid("invalid container id %q", containerID)
	}
	vol, err := s.lock(name)
	if err != nil {
		return err
	}
	defer vol.mu.Unlock()
	s.mu.Lock()
	_, known := vol.users[containerID]
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := os.WriteFile(vol.userPath(containerID), nil, 0o600); err != nil {
		return fmt.Errorf("record user of volume %s: %w", name, err)
	}
	s.mu.Lock()
	vol.users[containerID] = struct{}{}
	s.mu.Unlock()
	return nil
}

// Release forgets what Acquire recorded; unknown pairs are no error.
func (s *Store) Release(name, containerID string) error {
	vol, err := s.lock(name)
	if err != nil {
		return nil
	}
	defer vol.mu.Unlock()
	s.mu.Lock()
	_, used := vol.users[containerID]
	s.mu.Unlock()
	if !used {
		return nil
	}
	if err := os.Remove(vol.userPath(containerID)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget user of volume %s: %w", name, err)
	}
	s.mu.Lock()
	delete(vol.users, containerID)
	s.mu.Unlock()
	return nil
}

// Reconcile drops the references of containers for which alive is false.
func (s *Store) Reconcile(alive func(containerID string) bool) error {
	var errs []error
	for _, v := range s.Kept() {
		for _, id := range v.Users {
			if !alive(id) {
				errs = append(errs, s.Release(v.Name, id))
			}
		}
	}
	return errors.Join(errs...)
}

// Populate fills a volume with an image's content: copy is called with the data
// directory if, and only if, that is empty and never got content this way. When
// copy fails, or is interrupted by the end of the process, the directory is
// emptied again. Calls for one volume are serialized. What a driver has to mount
// is mounted meanwhile for the user.
func (s *Store) Populate(ctx context.Context, name, user string, copy func(dir string) error) (err error) {
	vol, err := s.lock(name)
	if err != nil {
		return err
	}
	vol.mu.Unlock()
	if !vol.plain() {
		if vol.populated() {
			return nil
		}
		dir, err := s.Mount(ctx, name, user)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Unmount(context.WithoutCancel(ctx), name, user)) }()
		if vol, err = s.lock(name); err != nil {
			return err
		}
		defer vol.mu.Unlock()
		return vol.populate(dir, copy)
	}
	if vol, err = s.lock(name); err != nil {
		return err
	}
	defer vol.mu.Unlock()
	return vol.populate(vol.dataPath(), copy)
}
