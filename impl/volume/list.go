package volume

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// all gives the volumes whose making is complete.
func (s *Store) all() []*volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Values(s.volumes)), func(v *volume) bool { return !v.ready })
}

// Kept gives the volumes that were made here, sorted by name. It asks no plugin.
func (s *Store) Kept() []Volume {
	vols := s.all()
	list := make([]Volume, len(vols))
	for i, v := range vols {
		list[i] = s.snapshot(v)
	}
	slices.SortFunc(list, byName)
	return list
}

func byName(a, b Volume) int { return strings.Compare(a.Name, b.Name) }

// Get gives a volume that was made here; class NotFound. It asks no plugin.
func (s *Store) Get(name string) (Volume, error) {
	s.mu.Lock()
	vol := s.volumes[name]
	s.mu.Unlock()
	if vol == nil || !s.isReady(vol) {
		return Volume{}, noSuch(name)
	}
	return s.snapshot(vol), nil
}

func (s *Store) isReady(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.ready
}

// listing is one question for a plugin's volumes, shared by all who ask.
type listing struct {
	done    chan struct{}
	volumes []known
	err     error
}

// List gives all volumes, those that only plugins know too, sorted by name, and
// a warning for each plugin that could not be asked in time. The volumes that
// were made here are in the list in any case.
func (s *Store) List(ctx context.Context) (list []Volume, warnings []string) {
	list = s.Kept()
	plugins, failed := s.drivers(ctx)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, f := range failed {
		warnings = append(warnings, f.Err.Error())
	}
	seen := make(map[string]int, len(list))
	for i, v := range list {
		seen[v.Name] = i
	}
	listings := make([]*listing, len(plugins))
	for i, p := range plugins {
		listings[i] = s.ask(remote{p})
	}
	for i, l := range listings {
		select {
		case <-l.done:
		case <-ctx.Done():
			warnings = append(warnings, fmt.Sprintf("plugin %s: its volumes are not in the list: no answer within %v", plugins[i].Name(), patience))
			continue
		}
		if l.err != nil {
			warnings = append(warnings, l.err.Error())
		}
		for _, k := range l.volumes {
			at, ok := seen[k.Name]
			switch {
			case !ok:
				seen[k.Name] = len(list)
				list = append(list, Volume{Name: k.Name, Driver: plugins[i].Name(), Mountpoint: k.Mountpoint})
			case list[at].Driver == plugins[i].Name():
				list[at].Mountpoint = k.Mountpoint
			}
		}
	}
	slices.SortFunc(list, byName)
	return list, warnings
}

// ask begins to ask a plugin for its volumes, or joins those who do.
func (s *Store) ask(r remote) *listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lists[r.Name()]; l != nil {
		return l
	}
	l := &listing{done: make(chan struct{})}
	s.lists[r.Name()] = l
	go func() {
		// Who asked may be gone by then; the answer is for the next one.
		ctx, cancel := context.WithTimeout(context.Background(), listPatience)
		defer cancel()
		l.volumes, l.err = r.list(ctx)
		s.mu.Lock()
		delete(s.lists, r.Name())
		s.mu.Unlock()
		close(l.done)
	}()
	return l
}

// Inspect gives a volume, also one that only a plugin knows. What a plugin says
// of it is waited for, but not for long. Class NotFound.
func (s *Store) Inspect(ctx context.Context, name string) (Volume, error) {
	v, err := s.Get(name)
	if err == nil && v.Driver == DriverLocal {
		return v, nil
	}
	if err != nil {
		_, v, err = s.seek(ctx, name)
		return v, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if r, err := s.remote(ctx, v.Driver); err == nil {
		if k, err := r.get(ctx, name); err == nil {
			v.Mountpoint = k.Mountpoint
		}
	}
	return v, nil
}

// seek asks all plugins for a volume that was not made here; class NotFound.
func (s *Store) seek(ctx context.Context, name string) (remote, Volume, error) {
	if checkRemoteName(name) != nil {
		return remote{}, Volume{}, noSuch(name)
	}
	plugins, _ := s.drivers(ctx)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found := make([]*known, len(plugins))
	var asking sync.WaitGroup
	for i, p := range plugins {
		asking.Go(func() {
			if k, err := (remote{p}).get(ctx, name); err == nil {
				found[i] = k
			}
		})
	}
	asking.Wait()
	for i, k := range found {
		if k != nil {
			return remote{plugins[i]}, Volume{Name: name, Driver: plugins[i].Name(), Mountpoint: k.Mountpoint}, nil
		}
	}
	return remote{}, Volume{}, noSuch(name)
}
