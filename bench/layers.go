package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
)

// edits are how many files containers have changed when their changes are asked for.
var edits = []int{10, 1000}

// layers measures writable layers: container create and remove, which is a writable
// layer and a record, beside one container and beside many; the list of those
// many; and the changes of containers of a large image.
func layers(ctx context.Context, a *arena, r *report) error {
	if err := a.changes(ctx, r); err != nil {
		return err
	}
	if err := writable(ctx, a, r); err != nil {
		return err
	}
	for _, beside := range []int{1, a.layers} {
		var turns []turn
		for _, e := range a.engines {
			var have []struct{ ID string }
			if err := e.call(ctx, http.MethodGet, "/containers/json?all=1", nil, http.StatusOK, &have); err != nil {
				return err
			}
			for range beside - len(have) {
				if _, err := e.create(ctx, withoutNetwork("true")); err != nil {
					return err
				}
			}
			turns = append(turns, turn{e.name, func() error {
				id, err := e.create(ctx, withoutNetwork("true"))
				if err != nil {
					return err
				}
				return e.remove(ctx, id)
			}})
		}
		names, values, err := takeTurns(ctx, a.rounds, turns)
		if err != nil {
			return err
		}
		r.add(fmt.Sprintf("container create+remove beside %d", beside), "ms", "less", names, values)
	}
	var turns []turn
	for _, e := range a.engines {
		turns = append(turns, turn{e.name, func() error { return e.list(ctx, "/containers/json?all=1", a.layers) }})
	}
	names, values, err := takeTurns(ctx, a.rounds, turns)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("list of %d created containers", a.layers), "ms", "less", names, values)
	return nil
}

// changes: what a container has changed, by the number of its edits.
func (a *arena) changes(ctx context.Context, r *report) error {
	s := shape{name: "wide", layers: 3, bytes: 256 << 20, images: 1}
	archive := filepath.Join(a.dir, s.name+".tar")
	if err := makeArchive(archive, s); err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	for _, e := range a.engines {
		if err := e.loadFile(ctx, archive); err != nil {
			return err
		}
	}
	for _, n := range edits {
		var turns []turn
		for _, e := range a.engines {
			c := withoutNetwork("sh", "-c", fmt.Sprintf("mkdir /edits; for i in $(seq %d); do echo $i >/edits/$i; done", n))
			c.Image = s.name + ":0"
			id, err := e.create(ctx, c)
			if err != nil {
				return err
			}
			defer func() { _ = e.remove(context.WithoutCancel(ctx), id) }()
			if err := e.start(ctx, id); err != nil {
				return err
			}
			if err := e.wait(ctx, id); err != nil {
				return err
			}
			turns = append(turns, turn{e.name, func() error { return e.list(ctx, "/containers/"+id+"/changes", n) }})
		}
		names, values, err := takeTurns(ctx, a.rounds, turns)
		if err != nil {
			return err
		}
		r.add(fmt.Sprintf("changes, %d files edited", n), "ms", "less", names, values)
	}
	return nil
}
