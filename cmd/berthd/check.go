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
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/database"
	"github.com/seed-50ced230/berth/impl/image"
	"github.com/seed-50ced230/berth/impl/instance"
	"github.com/seed-50ced230/berth/impl/runtime"
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
	if c.Repair {
		if err := refuseRunning(c.ExecRoot); err != nil {
			return false, err
		}
	}
	began := time.Now()
	records, containersDamaged, err := checkContainers(c, out)
	if err != nil {
		return false, err
	}
	aside, err := database.Aside(containersFile(c))
	if err != nil {
		return false, err
	}
	// Else there may be containers of which nobody knows.
	complete := !containersDamaged && aside == ""
	root := filepath.Join(c.DataRoot, "image")
	if empty, err := image.IsEmpty(root); err != nil || empty {
		if empty {
			fmt.Fprintln(out, "there are no images")
		}
		return containersDamaged, err
	}
	report, imagesDamaged, err := checkImages(ctx, root, c.Repair, records, complete, out)
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

// refuseRunning fails if containers run: they go on without a daemon, on the layers
// that a repair replaces or removes.
func refuseRunning(execRoot string) error {
	ids, err := runtime.Live(filepath.Join(execRoot, runtimeDir))
	if err != nil {
		return fmt.Errorf("whether containers run cannot be told: %w", err)
	}
	if len(ids) > 0 {
		return fmt.Errorf("containers run, which need the layers that a repair replaces or removes: start berthd, stop them, stop berthd and repair again, or check without --repair: %s",
			strings.Join(ids, ", "))
	}
	return nil
}

// checkImages gives an empty report if the database is damaged and may not be repaired.
// complete says that the records are those of all containers.
func checkImages(ctx context.Context, root string, repair bool, records []*container.Record, complete bool, out io.Writer) (report *image.Report, damaged bool, err error) {
	if repair {
		done, err := image.RepairDatabase(root)
		if err != nil {
			return nil, false, err
		}
		if done != nil {
			printSalvaged(out, "images", done)
			damaged = len(done.Lost) > 0
		}
	}
	images := map[string]digest.Digest{}
	for _, r := range records {
		images[r.ID] = r.Image
	}
	// What it logs is in the report, too.
	options := image.Options{ReadOnly: !repair, Logger: slog.New(slog.DiscardHandler)}
	if complete {
		options.ImageOf = func(id string) digest.Digest { return images[id] }
	}
	store, err := image.Open(root, options)
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
	return report, damaged || !report.Whole(), nil
}

func printSalvaged(out io.Writer, what string, done *database.Salvaged) {
	for _, lost := range done.Lost {
		fmt.Fprintf(out, "%s: %v\n", what, lost)
	}
	fmt.Fprintf(out, "%s: the database was damaged; %d records could be read and were kept; the damaged file is %s\n", what, done.Kept, done.Aside)
}

// containersFile is the database of the containers, containerDirs the folders with
// what belongs to them, each by its id.
func containersFile(c *config.Config) string { return filepath.Join(c.DataRoot, "containers.db") }

func containerDirs(c *config.Config) []string {
	return []string{filepath.Join(c.DataRoot, "image", "rw"), filepath.Join(c.DataRoot, "containers")}
}

// checkContainers looks at the records of the containers. One that makes no sense
// is left: the daemon does not serve it, but its files may be wanted. So are the
// files of a container without a record, which the daemon keeps, too, as long as
// the damaged database lies aside. It gives those that can be read.
func checkContainers(c *config.Config, out io.Writer) (records []*container.Record, damaged bool, err error) {
	file := containersFile(c)
	err = database.Check(file, containerDirs(c)...)
	salvaged := false
	switch {
	case errors.Is(err, database.ErrDamaged) && c.Repair:
		done, err := database.Salvage(file)
		if err != nil {
			return nil, false, err
		}
		printSalvaged(out, "containers", done)
		salvaged, damaged = true, len(done.Lost) > 0
	case errors.Is(err, database.ErrDamaged):
		fmt.Fprintln(out, "containers:", err)
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	known := map[string]bool{}
	records, err = container.ReadStore(file, func(id string, err error) {
		damaged, known[id] = true, true
		fmt.Fprintf(out, "container %s: its record cannot be read, so it is not served; its files are kept: %v\n", id, err)
	})
	if err != nil || !salvaged {
		return records, damaged, err
	}
	for _, r := range records {
		known[r.ID] = true
	}
	return records, damaged, printStrays(filepath.Join(c.DataRoot, "image", "rw"), known, out)
}

// printStrays tells which containers' files have no record.
func printStrays(layers string, known map[string]bool, out io.Writer) error {
	entries, err := os.ReadDir(layers)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if id := e.Name(); !known[id] && id[0] != '.' {
			fmt.Fprintf(out, "container %s: its record is lost; what it wrote is kept in %s\n", id, filepath.Join(layers, id, "upper"))
		}
	}
	return nil
}
