package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// alone is an engine beside the arena's, for what would be in their way. Its
// network namespace stays when it is killed, so that the next one finds its
// containers' networks.
type alone struct {
	*engine
	remains daemon.Remains
	netns   string
	helpers map[int]bool // processes that are there without any container
}

// alone starts an engine of its own. dir is a new directory below the arena's, and
// the name of the parent of its cgroups.
func (a *arena) alone(ctx context.Context, name, dir string, command func(dir string) (daemon.Command, error)) (_ *alone, err error) {
	own := &alone{
		remains: daemon.Remains{Dir: filepath.Join(a.dir, dir), Cgroup: cgroup + "/" + dir},
		netns:   filepath.Join(a.dir, dir, "netns"),
	}
	c, err := command(own.remains.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, own.remains.Remove())
		}
	}()
	if err := netns.Create(own.netns, func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() }); err != nil {
		return nil, err
	}
	c.Isolated = false
	c.Args = append([]string{"nsenter", "--net=" + own.netns}, c.Args...)
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, err := daemon.Start(starting, c)
	if err != nil {
		return nil, err
	}
	own.engine = &engine{name: name, daemon: d, client: daemon.Client(d.Socket())}
	if err = own.load(ctx); err == nil {
		own.helpers, err = companions(own.engine)
	}
	if err != nil {
		return nil, errors.Join(err, own.close())
	}
	return own, nil
}

// berthAlone is a berthd of the arena's program.
func (a *arena) berthAlone(ctx context.Context, dir string, flags ...string) (*alone, error) {
	program, err := filepath.Abs(a.berthd)
	if err != nil {
		return nil, err
	}
	return a.alone(ctx, "berth", dir, func(path string) (daemon.Command, error) {
		return daemon.Berth(program, path, slices.Concat([]string{"--cgroup-parent", cgroup + "/" + dir}, flags)...)
	})
}

// close ends the engine and removes all that it has. Docker Engine's monitors end
// with their containers only if these are removed before.
func (o *alone) close() error {
	o.client.CloseIdleConnections()
	var all []error
	select {
	case <-o.daemon.Ended():
	default:
		all = append(all, o.daemon.Stop(time.Minute))
	}
	return errors.Join(append(all, o.remains.Remove())...)
}

// again ends the engine, killed if so wanted as by a crash, and starts it again. It
// gives the time from the start of the process to its first answer, ms.
func (o *alone) again(ctx context.Context, kill bool) (ms float64, err error) {
	if kill {
		o.daemon.Kill()
	} else if err := o.daemon.Stop(time.Minute); err != nil {
		return 0, err
	}
	o.client.CloseIdleConnections()
	began := time.Now()
	if err := o.restart(ctx); err != nil {
		return 0, err
	}
	return float64(time.Since(began).Microseconds()) / 1000, nil
}

// descriptors is how many files the daemon has open.
func (o *alone) descriptors() (float64, error) {
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", o.daemon.Pid()))
	return float64(len(fds)), err
}
