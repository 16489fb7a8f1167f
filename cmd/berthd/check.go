package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/go-units"

	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/instance"
)

// Exit statuses of berthd check.
const (
	checkWhole   = 0
	checkDamaged = 1
	checkFailed  = 2
)

// check is berthd check: it says on out what it finds in the data root, one line
// each, and then a summary.
func check(ctx context.Context, c *config.Config, out io.Writer) (status int) {
	damaged, err := checkRoot(ctx, c, out)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "berthd check:", err)
		return checkFailed
	case damaged:
		return checkDamaged
	}
	return checkWhole
}

func checkRoot(ctx context.Context, c *config.Config, out io.Writer) (damaged bool, err error) {
	if _, err := os.Stat(c.DataRoot); err != nil {
		return false, fmt.Errorf("no data root: %w", err)
	}
	lock, err := instance.Acquire(c.DataRoot)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	began := time.Now()
	containersDamaged, err := checkContainers(c, out)
	if err != nil {
		return false, err
	}
	root := filepath.Join(c.DataRoot, "image")
	if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "there are no images")
		return containersDamaged, nil
	}
	report, imagesDamaged, err := checkImages(ctx, root, c.Repair, out)
	if err != nil {
		return false, err
	}
	for _, path := range report.Leftovers {
		fmt.Fprintf(out, "left over from an operation that was cut short, swept at the next start: %s\n", path)
	}
	outcomes := map[image.Outcome]int{}
	for _, f := range report.Findings {
		outcomes[f.Outcome]++
	}
	fmt.Fprintf(out, "checked %d images, %d layers (%s), %d compressed layers, %d containers in %s: %d repaired, %d removed, %d left as they are\n",
		report.Images, report.Layers, units.HumanSize(float64(report.LayerBytes)), report.Blobs, report.Containers, time.Since(began).Round(time.Millisecond),
		outcomes[image.Repaired], outcomes[image.Discarded], outcomes[image.Reported])
	return containersDamaged || imagesDamaged, nil
}

// checkImages gives an empty report if the database is damaged and may not be repaired.
func checkImages(ctx context.Context, root string, repair bool, out io.Writer) (report *image.Report, damaged bool, err error) {
	if repair {
		done, err := image.RepairDatabase(root)
		if err != nil {
			return nil, false, err
		}
		if done != nil {
			printSalvaged(out, "images", done)
		}
	}
	// What it logs is in the report, too.
	store, err := image.Open(root, image.Options{ReadOnly: !repair, Logger: slog.New(slog.DiscardHandler)})
	if errors.Is(err, database.ErrDamaged) {
		fmt.Fprintln(out, "images:", err)
		return &image.Report{}, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	report, err = store.Check(ctx, repair)
	if err != nil {
		return nil, false, err
	}
	for _, f := range report.Findings {
		fmt.Fprintln(out, f)
	}
	return report, !report.Whole(), nil
}

func printSalvaged(out io.Writer, what string, done *database.Salvaged) {
	for _, lost := range done.Lost {
		fmt.Fprintf(out, "%s: %v\n", what, lost)
	}
	fmt.Fprintf(out, "%s: the database was damaged; %d records could be read and were kept; the damaged file is %s\n", what, done.Kept, done.Aside)
}

// checkContainers looks at the records of the containers. One that makes no sense
// is left: the daemon does not serve it, but its files may be wanted.
func checkContainers(c *config.Config, out io.Writer) (damaged bool, err error) {
	file := filepath.Join(c.DataRoot, "containers.db")
	err = database.Check(file)
	switch {
	case errors.Is(err, database.ErrDamaged) && c.Repair:
		done, err := database.Salvage(file)
		if err != nil {
			return false, err
		}
		printSalvaged(out, "containers", done)
		if err := keepStrays(c, file, out); err != nil {
			return false, err
		}
	case errors.Is(err, database.ErrDamaged):
		fmt.Fprintln(out, "containers:", err)
		return true, nil
	case err != nil:
		return false, err
	}
	err = container.ReadStore(file, func(id string, err error) {
		damaged = true
		fmt.Fprintf(out, "container %s: its record cannot be read, so it is not served; its files are kept: %v\n", id, err)
	})
	return damaged, err
}

// keepStrays moves the files of containers whose records were lost out of the
// daemon's reach, which would take them for leftovers.
func keepStrays(c *config.Config, file string, out io.Writer) error {
	known := map[string]bool{}
	store, err := container.OpenStore(file)
	if err != nil {
		return err
	}
	records, err := store.Load(func(id string, _ error) { known[id] = true })
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	for _, r := range records {
		known[r.ID] = true
	}
	layers := filepath.Join(c.DataRoot, "image", "rw")
	entries, err := os.ReadDir(layers)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if known[e.Name()] || e.Name()[0] == '.' {
			continue
		}
		lost := filepath.Join(c.DataRoot, "lost")
		if err := os.MkdirAll(lost, 0o700); err != nil {
			return err
		}
		to := filepath.Join(lost, e.Name())
		if err := os.Rename(filepath.Join(layers, e.Name()), to); err != nil {
			return err
		}
		fmt.Fprintf(out, "container %s: its record is lost; what it wrote is in %s now\n", e.Name(), filepath.Join(to, "upper"))
	}
	return nil
}
