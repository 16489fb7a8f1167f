package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/testbed/busybox"
)

// writable measures berth's image store alone, without a daemon around it: a
// container's layer is made and removed, beside one other and beside many.
func writable(ctx context.Context, a *arena, r *report) (err error) {
	store, err := image.Open(filepath.Join(a.dir, "store"), image.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var archive bytes.Buffer
	if err := busybox.Archive(&archive, "busybox:latest"); err != nil {
		return err
	}
	if _, err := store.Load(ctx, &archive, nil); err != nil {
		return err
	}
	base, err := store.Get("busybox:latest")
	if err != nil {
		return err
	}
	have := 0
	for _, beside := range []int{1, a.layers} {
		for ; have < beside; have++ {
			if _, err := store.NewWritable(ctx, fmt.Sprintf("other%d", have), base.ID); err != nil {
				return err
			}
		}
		names, values, err := takeTurns(ctx, 10*a.rounds, []turn{{"berth", func() error {
			if _, err := store.NewWritable(ctx, "one", base.ID); err != nil {
				return err
			}
			return store.RemoveWritable("one")
		}}})
		if err != nil {
			return err
		}
		r.add(fmt.Sprintf("writable layer alone, create+remove beside %d", beside), "ms", "less", names, values)
	}
	return nil
}
