package container

import (
	"slices"
	"strings"
	"sync"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Registry finds containers. A name belongs to one container from Reserve (or
// Add) to Release (or Remove), so that two creations cannot both get it.
type Registry struct {
	mu    sync.RWMutex
	byID  map[string]*Container
	names map[string]string // name with slash → id
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	return &Registry{byID: map[string]*Container{}, names: map[string]string{}}
}

// Reserve takes a name for an id; class Conflict when another has it.
func (r *Registry) Reserve(name, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if owner, ok := r.names[name]; ok && owner != id {
		return fault.Conflict("Conflict. The name %q is already in use by container %s. You have to remove (or rename) that container to be able to reuse that name.", name, owner)
	}
	r.names[name] = id
	return nil
}

// Release frees a name if id has it.
func (r *Registry) Release(name, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names[name] == id {
		delete(r.names, name)
	}
}

// Add makes a container findable, under its name too.
func (r *Registry) Add(c *Container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[c.ID] = c
	r.names[c.Record().Name] = c.ID
}

// Remove makes a container and all its names unknown.
func (r *Registry) Remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, id)
	for name, owner := range r.names {
		if owner == id {
			delete(r.names, name)
		}
	}
}

// Get finds a container by full id, name (with or without slash) or unambiguous
// id prefix, in this order. Class NotFound, or Conflict for an ambiguous prefix.
func (r *Registry) Get(ref string) (*Container, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c, ok := r.byID[ref]; ok {
		return c, nil
	}
	name := ref
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if id, ok := r.names[name]; ok {
		if c, ok := r.byID[id]; ok {
			return c, nil
		}
	}
	var found *Container
	if ref != "" {
		for id, c := range r.byID {
			if !strings.HasPrefix(id, ref) {
				continue
			}
			if found != nil {
				return nil, fault.Invalid("Multiple IDs found with provided prefix: %s", ref)
			}
			found = c
		}
	}
	if found == nil {
		return nil, fault.NotFound("No such container: %s", ref)
	}
	return found, nil
}

// List gives all containers, the newest first.
func (r *Registry) List() []*Container {
	r.mu.RLock()
	all := make([]*Container, 0, len(r.byID))
	for _, c := range r.byID {
		all = append(all, c)
	}
	r.mu.RUnlock()
	slices.SortFunc(all, func(a, b *Container) int {
		if n := b.Record().Created.Compare(a.Record().Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Len is the number of containers.
func (r *Registry) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byID)
}
