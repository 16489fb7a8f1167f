// Package volume keeps named volumes: directories that outlive containers.
//
// A volume of the driver "local" lives at root/volumes/<name>: _data is what
// containers mount, volume.json its definition, users holds one empty file per
// container that refers to it, and mounts one per user for whom the driver has
// something mounted. Everything is found again by Open. Of a volume that a plugin
// keeps all but the data lives there.
//
// The life of a volume: Create (or Ensure, for a container that names it),
// Acquire for each container that refers to it, Populate with what the image has
// there, Mount and Unmount around each run, Release, Remove. Calls to plugins
// are made with the lock of that one volume; lists and inspections take none.
package volume

import (
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
)

// DriverLocal is the name of the driver that needs no plugin.
const DriverLocal = "local"

// Volume is a snapshot of a volume; it is the caller's copy.
type Volume struct {
	Name   string
	Driver string
	// Mountpoint is the absolute path of the data; empty where a plugin has not
	// said it.
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
	dir     string
	plugins Plugins // nil without

	mu      sync.Mutex
	volumes map[string]*volume
	lists   map[string]*listing // by plugin
}

// volume is a volume of the store. mu is held while its files change and its
// driver works.
type volume struct {
	dir string
	def definition // never changed

	mu      sync.Mutex
	removed bool // guarded by mu, as are:
	// mounts are the users for whom the driver has mounted it; true where that was
	// before the host was restarted.
	mounts map[string]bool
	// stale are those of mounts that are gone; true where the driver did not say
	// whether it has mounted.
	stale map[string]bool

	// The rest is guarded by the store's mutex.
	ready      bool // its making is complete
	users      map[string]struct{}
	mountpoint string // as the plugin said last; of plugins' volumes only
}

// nameForm and nameChars are the rule and its words in Docker's error text.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

const nameChars = "[a-zA-Z0-9][a-zA-Z0-9_.-]"

// maxName leaves room in a file name of 255 bytes.
const maxName = 240

func noSuch(name string) error { return fault.NotFound("get %s: no such volume", name) }

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
	mountpoint := vol.mountpoint
	if vol.def.Driver == DriverLocal {
		mountpoint = vol.dataPath()
	}
	return Volume{
		Name: vol.def.Name, Driver: vol.def.Driver, Mountpoint: mountpoint,
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
