package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// cgroup is the parent of all cgroups that the benchmarks make.
const cgroup = "/berthbench"

// arena holds the contenders.
type arena struct {
	options
	engines  []*engine
	runtimes []*ociRuntime
	disk     disk
}

// open starts the engines and loads the image into each.
func open(ctx context.Context, o options) (a *arena, err error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return nil, err
	}
	o.dir = dir
	a = &arena{options: o}
	if err := a.remains().Remove(); err != nil {
		return nil, fmt.Errorf("clear %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if o.diskGB > 0 {
		if a.disk, err = newDisk(dir, o.diskGB); err != nil {
			return nil, fmt.Errorf("make a file system (-disk-gb 0 does without): %w", err)
		}
	}
	if o.berthd != "" {
		program, err := filepath.Abs(o.berthd)
		if err != nil {
			return nil, err
		}
		command, err := daemon.Berth(program, filepath.Join(dir, "berth"), "--cgroup-parent", cgroup)
		if err != nil {
			return nil, err
		}
		command.Isolated = true
		if err := a.enter(ctx, "berth", command); err != nil {
			return nil, err
		}
	}
	if o.dockerd != "" {
		command, err := daemon.Docker(o.dockerd, filepath.Join(dir, "docker"), "--cgroup-parent", cgroup)
		if err != nil {
			return nil, err
		}
		if err := a.enter(ctx, "docker", command); err != nil {
			return nil, err
		}
	}
	if o.runtimes != "" {
		bundle, err := makeBundle(filepath.Join(dir, "bundle"))
		if err != nil {
			return nil, fmt.Errorf("make a bundle: %w", err)
		}
		for path := range strings.SplitSeq(o.runtimes, ",") {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("a runtime to compare with is missing (make setup-test): %w", err)
			}
			name := filepath.Base(path)
			a.runtimes = append(a.runtimes, &ociRuntime{name: name, path: path, bundle: bundle, root: filepath.Join(dir, name)})
		}
	}
	return a, nil
}

func (a *arena) enter(ctx context.Context, name string, command daemon.Command) error {
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, err := daemon.Start(starting, command)
	if err != nil {
		return err
	}
	e := &engine{name: name, daemon: d, client: daemon.Client(d.Socket())}
	a.engines = append(a.engines, e)
	return e.load(ctx)
}

func (a *arena) remains() daemon.Remains { return daemon.Remains{Dir: a.dir, Cgroup: cgroup} }

func (a *arena) close() error {
	var all []error
	for _, e := range a.engines {
		all = append(all, e.daemon.Stop(time.Minute))
	}
	for _, r := range a.runtimes {
		all = append(all, os.RemoveAll(r.root))
	}
	// The directory itself goes after what is mounted on it.
	return errors.Join(append(all, a.disk.remove(), a.remains().Remove())...)
}
