// Package volume keeps named volumes: directories that outlive containers.
//
// The driver is "local". A volume lives at root/<name>: _data is what
// containers mount, volume.json its definition, users/ one empty file per
// container that refers to it. Everything is found again by Open.
package volume

import (
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
type Store struct{}

// Open reads the volumes below root/volumes, which it makes if needed.
func Open(root string) (*Store, error) { return nil, fault.Unimplemented("volumes") }

// Create makes a volume, or returns the one of this name (created false) if
// its driver is the same. An empty name makes 64 hex digits, an empty driver
// is DriverLocal. Classes: InvalidArgument (name, options), NotFound (driver),
// Conflict (name taken by another driver).
func (s *Store) Create(name, driver string, options, labels map[string]string) (v Volume, created bool, err error) {
	return Volume{}, false, fault.Unimplemented("volumes")
}

// Get gives a volume; class NotFound.
func (s *Store) Get(name string) (Volume, error) {
	return Volume{}, fault.NotFound("get %s: no such volume", name)
}

// List gives all volumes sorted by name.
func (s *Store) List() []Volume { return nil }

// Remove deletes a volume and its data. Classes: NotFound, Conflict (in use).
func (s *Store) Remove(name string) error { return fault.Unimplemented("volumes") }

// Acquire records that a container (running or not) refers to the volume.
// Recording it twice is no error. Class NotFound.
func (s *Store) Acquire(name, containerID string) error { return fault.Unimplemented("volumes") }

// Release forgets what Acquire recorded; unknown pairs are no error.
func (s *Store) Release(name, containerID string) error { return fault.Unimplemented("volumes") }

// Reconcile drops the references of containers for which alive is false.
func (s *Store) Reconcile(alive func(containerID string) bool) error {
	return fault.Unimplemented("volumes")
}

// Populate fills a volume with an image's content: copy is called with the data
// directory if, and only if, that is empty and was never populated. When copy
// fails the directory is emptied again. Calls for one volume are serialized.
func (s *Store) Populate(name string, copy func(dir string) error) error {
	return fault.Unimplemented("volumes")
}
