// Package volume keeps named volumes: directories that outlive containers.
//
// The driver is "local". A volume lives at root/volumes/<name>: _data is what
// containers mount, volume.json its definition, and users holds one empty file
// per container that refers to it. Everything is found again by Open.
package volume

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
)

// DriverLocal is the name of the only driver so far.
const DriverLocal = "local"

// Volume is a snapshot of a volume; it is the caller's copy.
type Volume struct {
	Name   string
	Driver string
	// Mountpoint is the absolute path of the data.
	Mountpoint string
	// Labels and Options are nil when none were given.
	Labels  map[string]string
	Options map[string]string
	Created time.Time
	// Users are the ids of the containers that refer to the volume, sorted.
	Users []string
}

// Store holds the volumes of one engine; its methods may be called at once.
type Store struct {
	dir string

	mu      sync.Mutex
	volumes map[string]*volume
}

// volume is a volume of the store. mu is held while its files change; the
// fields are guarded by the store's mutex.
type volume struct {
	dir string
	def definition

	mu      sync.Mutex
	removed bool // guarded by mu

	users map[string]struct{}
}

// nameForm and nameChars are the rule and its words in Docker's error text.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

const nameChars = "[a-zA-Z0-9][a-zA-Z0-9_.-]"

// maxName leaves room in a file name of 255 bytes.
const maxName = 240

// Create makes a volume, or returns the one of this name (created false) if
// its driver is the same. An empty name makes 64 hex digits, an empty driver
// is DriverLocal. Classes: InvalidArgument (name, options), NotFound (driver),
// Unimplemented (options), Conflict (name taken by a volume of another driver).
func (s *Store) Create(name, driver string, options, labels map[string]string) (v Volume, created bool, err error) {
	if driver == "" {
		driver = DriverLocal
	}
	if name == "" {
		var b [32]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		name = hex.EncodeToString(b[:])
	}
	if driver != DriverLocal {
		return Volume{}, false, fault.NotFound("create %s: Error looking up volume plugin %s: plugin not found", name, driver)
	}
	if len(name) == 1 {
		return Volume{}, false, fault.Invalid("create %s: volume name is too short, names should be at least two alphanumeric characters", name)
	}
	if !nameForm.MatchString(name) {
		return Volume{}, false, fault.Invalid("create %s: %q includes invalid characters for a local volume name, only %q are allowed", name, name, nameChars)
	}
	if len(name) > maxName {
		return Volume{}, false, fault.Invalid("create %s: a volume name has at most %d characters", name, maxName)
	}
	for key := range options {
		if key == "type" || key == "o" || key == "device" {
			return Volume{}, false, fault.Unimplemented("create %s: option %q of the local driver is not implemented", name, key)
		}
		return Volume{}, false, fault.Invalid("create %s: invalid option key: %q", name, key)
	}

	for {
		v, created, err = s.create(definition{Version: definitionVersion, Name: name, Driver: driver,
			Labels: nilIfEmpty(labels), Options: nilIfEmpty(options), Created: time.Now().UTC()})
		if !errors.Is(err, errRemoved) {
			return v, created, err
		}
	}
}

// errRemoved says that a volume went while it was waited for.
var errRemoved = errors.New("volume was removed meanwhile")

func (s *Store) create(def definition) (v Volume, created bool, err error) {
	s.mu.Lock()
	if vol := s.volumes[def.Name]; vol != nil {
		s.mu.Unlock()
		vol.mu.Lock()
		defer vol.mu.Unlock()
		switch {
		case vol.removed:
			return Volume{}, false, errRemoved
		case vol.def.Driver != def.Driver:
			return Volume{}, false, fault.Conflict("create %s: conflict: volume name must be unique", def.Name)
		}
		return s.snapshot(vol), false, nil
	}
	vol := &volume{dir: filepath.Join(s.dir, def.Name), def: def, users: make(map[string]struct{})}
	vol.mu.Lock() // at once, since nobody else has it
	defer vol.mu.Unlock()
	s.volumes[def.Name] = vol
	s.mu.Unlock()
	if err := vol.make(); err != nil {
		vol.removed = true
		s.mu.Lock()
		delete(s.volumes, def.Name)
		s.mu.Unlock()
		return Volume{}, false, fmt.Errorf("create %s: %w", def.Name, err)
	}
	return s.snapshot(vol), true, nil
}

// Get gives a volume; class NotFound.
func (s *Store) Get(name string) (Volume, error) {
	s.mu.Lock()
	vol := s.volumes[name]
	s.mu.Unlock()
	if vol == nil {
		return Volume{}, noSuch(name)
	}
	return s.snapshot(vol), nil
}

func noSuch(name string) error { return fault.NotFound("get %s: no such volume", name) }

// List gives all volumes sorted by name.
func (s *Store) List() []Volume {
	s.mu.Lock()
	vols := slices.Collect(maps.Values(s.volumes))
	s.mu.Unlock()
	list := make([]Volume, len(vols))
	for i, v := range vols {
		list[i] = s.snapshot(v)
	}
	slices.SortFunc(list, func(a, b Volume) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list
}

// Remove deletes a volume and its data. Classes: NotFound, Conflict (in use).
func (s *Store) Remove(name string) error {
	vol, err := s.lock(name)
	if err != nil {
		return err
	}
	defer vol.mu.Unlock()
	if users := s.snapshot(vol).Users; len(users) > 0 {
		return fault.Conflict("Unable to remove volume, volume still in use: remove %s: volume is in use - %v", name, users)
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
	for _, v := range s.List() {
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
// emptied again. Calls for one volume are serialized.
func (s *Store) Populate(name string, copy func(dir string) error) error {
	vol, err := s.lock(name)
	if err != nil {
		return err
	}
	defer vol.mu.Unlock()
	return vol.populate(copy)
}

// lock gives a volume with its mutex held; class NotFound.
func (s *Store) lock(name string) (*volume, error) {
	s.mu.Lock()
	vol := s.volumes[name]
	s.mu.Unlock()
	if vol == nil {
		return nil, noSuch(name)
	}
	vol.mu.Lock()
	if vol.removed {
		vol.mu.Unlock()
		return nil, noSuch(name)
	}
	return vol, nil
}

func (s *Store) snapshot(vol *volume) Volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Volume{
		Name: vol.def.Name, Driver: vol.def.Driver, Mountpoint: vol.dataPath(),
		Labels: maps.Clone(vol.def.Labels), Options: maps.Clone(vol.def.Options),
		Created: vol.def.Created, Users: slices.Sorted(maps.Keys(vol.users)),
	}
}

func nilIfEmpty(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}
