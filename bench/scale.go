package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// size is how much an engine has.
type size struct{ running, stopped, images, networks int }

func (s size) String() string {
	return fmt.Sprintf("%d running, %d stopped, %d images, %d networks", s.running, s.stopped, s.images, s.networks)
}

// Set reads four numbers with slashes (flag.Value).
func (s *size) Set(text string) error {
	var n size
	if _, err := fmt.Sscanf(text, "%d/%d/%d/%d", &n.running, &n.stopped, &n.images, &n.networks); err != nil {
		return fmt.Errorf("use RUNNING/STOPPED/IMAGES/NETWORKS: %w", err)
	}
	if n.running < few.running || n.stopped < few.stopped || n.images < few.images || n.networks < few.networks {
		return fmt.Errorf("it must be at least %d/%d/%d/%d", few.running, few.stopped, few.images, few.networks)
	}
	*s = n
	return nil
}

// few is what the figures at the full size are held against.
var few = size{running: 10, stopped: 10, images: 10, networks: 5}

// scale measures an engine that has little and then much: what is asked for of one
// object must take the same time, what is asked for of all the same time for each.
// Docker Engine is asked at the small size only.
func scale(ctx context.Context, a *arena, r *report) error {
	s := &sheet{Title: "Scale", Note: scaleNote, Columns: []string{"berth, " + few.String(), "berth, " + a.full.String(), "ratio"}}
	b, err := a.berthAlone(ctx, "scale", "--pprof-addr", pprofAddress)
	if err != nil {
		return err
	}
	small, large := &sized{}, &sized{}
	err = errors.Join(b.measureAt(ctx, a, few, small))
	if err == nil {
		err = b.measureAt(ctx, a, a.full, large)
	}
	if err = errors.Join(err, b.close()); err != nil {
		return err
	}
	peer := &sized{}
	if a.dockerd != "" {
		s.Columns = append(s.Columns, "docker, "+few.String())
		if err := a.dockerAt(ctx, few, peer); err != nil {
			return err
		}
	}
	for i, row := range small.rows {
		cells := []cell{row.cell, large.rows[i].cell, {Value: large.rows[i].Value / row.Value, Unit: "×"}}
		if len(peer.rows) > 0 {
			cells = append(cells, peer.rows[i].cell)
		}
		s.Rows = append(s.Rows, sheetRow{row.name, cells})
	}
	r.Sheets = append(r.Sheets, s)
	return nil
}

const scaleNote = "An engine alone, at two sizes. berth is killed (SIGKILL) before each start and finds its running containers again; Docker Engine ends in order, with `--live-restore`."

// dockerAt measures Docker Engine, which keeps its containers over a restart with
// live-restore only.
func (a *arena) dockerAt(ctx context.Context, n size, to *sized) (err error) {
	d, err := a.alone(ctx, "docker", "scale-docker", func(dir string) (daemon.Command, error) {
		return daemon.Docker(a.dockerd, dir, "--cgroup-parent", cgroup+"/scale-docker", "--live-restore")
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.removeAll(context.WithoutCancel(ctx)), d.close()) }()
	return d.measureAt(ctx, a, n, to)
}

// sized are the figures of an engine at one size, always the same rows.
type sized struct {
	rows []struct {
		name string
		cell
	}
}

func (s *sized) add(name, unit string, values ...float64) {
	s.rows = append(s.rows, struct {
		name string
		cell
	}{name, cell{Value: medianOf(values), Unit: unit}})
}

// measureAt fills the engine up to a size and measures it.
func (o *alone) measureAt(ctx context.Context, a *arena, n size, to *sized) error {
	running, err := o.fillTo(ctx, a, n)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		name, path string
		per        float64 // entries, for what is the same for each
	}{
		{"list of all containers, for each", "/containers/json?all=1", float64(n.running + n.stopped)},
		{"list of the running containers, for each", "/containers/json", float64(n.running)},
		{"list of the images, for each", "/images/json", float64(n.images)},
		{"list of the networks, for each", "/networks", float64(n.networks)},
		{"list of all containers", "/containers/json?all=1", 0},
		{"inspect of a running container", "/containers/" + running[len(running)/2] + "/json", 0},
		{"inspect of an image", "/images/scale:0/json", 0},
		{"inspect of a network", "/networks/scale-0", 0},
	} {
		values, err := o.time(ctx, a.rounds, func() error { return o.call(ctx, http.MethodGet, q.path, nil, http.StatusOK, nil) })
		if err != nil {
			return err
		}
		unit := "ms"
		if q.per > 0 {
			unit = "µs"
			for i := range values {
				values[i] *= 1000 / q.per
			}
		}
		to.add(q.name, unit, values...)
	}
	heard, stop, err := o.hear(ctx)
	if err != nil {
		return err
	}
	for _, l := range []struct {
		name string
		config
	}{
		{"create+start+wait+remove, net none", withoutNetwork("true")},
		{"create+start+wait+remove, default net", config{Image: "busybox:latest", Cmd: []string{"true"}}},
	} {
		values, err := o.time(ctx, a.rounds, func() error { return o.live(ctx, l.config) })
		if err != nil {
			stop()
			return err
		}
		to.add(l.name, "ms", values...)
	}
	stop()
	to.add("an event, from its time to a client", "µs", <-heard...)
	return o.weigh(ctx, a, n, to)
}

// weigh measures memory and descriptors, and the start after a kill, which has to
// find everything again.
func (o *alone) weigh(ctx context.Context, a *arena, n size, to *sized) error {
	others, err := companions(o.engine)
	if err != nil {
		return err
	}
	var sum float64
	for pid := range others {
		if o.helpers[pid] {
			continue
		}
		kib, err := pss(pid)
		if err != nil {
			return err
		}
		sum += kib
	}
	to.add("memory (PSS) beside each running container", "KiB", sum/float64(n.running))
	if err := o.weighDaemon("memory (PSS) of the daemon at work", to); err != nil {
		return err
	}
	fds, err := o.descriptors()
	if err != nil {
		return err
	}
	to.add("open files of the daemon", "", fds)
	var starts []float64
	for i := range a.options.starts + 1 {
		ms, err := o.again(ctx, o.name == "berth")
		if err != nil {
			return err
		}
		var list []struct{ ID string }
		if err := o.call(ctx, http.MethodGet, "/containers/json", nil, http.StatusOK, &list); err != nil {
			return err
		}
		if len(list) != n.running {
			return fmt.Errorf("%s: %d containers run after a kill, want %d", o.name, len(list), n.running)
		}
		if i > 0 {
			starts = append(starts, ms)
		}
	}
	to.add("start of the daemon, until all is served", "ms", starts...)
	return o.weighDaemon("memory (PSS) of the daemon after the start", to)
}

func (o *alone) weighDaemon(name string, to *sized) error {
	time.Sleep(2 * time.Second) // what work needed is given back by then
	kib, err := pss(o.daemon.Pid())
	to.add(name, "MiB", kib/1024)
	return err
}

// time gives the times of a request in ms, after one that does not count.
func (o *alone) time(ctx context.Context, rounds int, f func() error) ([]float64, error) {
	_, values, err := takeTurns(ctx, rounds, []turn{{o.name, f}})
	return values[o.name], err
}

// fillTo makes what is missing of a size, and gives the ids of the running
// containers. The images have their layers in common; the running containers are
// spread over the images and the networks.
func (o *alone) fillTo(ctx context.Context, a *arena, n size) (running []string, err error) {
	var networks []struct{ Name string }
	if err := o.call(ctx, http.MethodGet, "/networks", nil, http.StatusOK, &networks); err != nil {
		return nil, err
	}
	const predefined = 3 // bridge, host, none
	for i := len(networks) - predefined; i < n.networks; i++ {
		// The engines' own choice of addresses ends after 31 networks.
		subnet := map[string]string{"Subnet": fmt.Sprintf("10.%d.%d.0/24", 100+i/256, i%256)}
		body := map[string]any{"Name": fmt.Sprintf("scale-%d", i), "IPAM": map[string]any{"Config": []any{subnet}}}
		if err := o.call(ctx, http.MethodPost, "/networks/create", body, http.StatusCreated, nil); err != nil {
			return nil, err
		}
	}
	archive := filepath.Join(a.dir, "scale.tar")
	if err := makeArchive(archive, shape{name: "scale", layers: 2, bytes: 64 << 10, images: n.images}); err != nil {
		return nil, fmt.Errorf("make %d images: %w", n.images, err)
	}
	if err := o.loadFile(ctx, archive); err != nil {
		return nil, err
	}
	var have []struct {
		ID string `json:"Id"`
	}
	if err := o.call(ctx, http.MethodGet, "/containers/json", nil, http.StatusOK, &have); err != nil {
		return nil, err
	}
	for _, c := range have {
		running = append(running, c.ID)
	}
	for i := len(running); i < n.running; i++ {
		id, err := o.create(ctx, config{
			Image: fmt.Sprintf("scale:%d", i%n.images), Cmd: []string{"sleep", "100000"},
			HostConfig: hostConfig{NetworkMode: fmt.Sprintf("scale-%d", i%n.networks)},
		})
		if err != nil {
			return nil, err
		}
		if err := o.start(ctx, id); err != nil {
			return nil, err
		}
		running = append(running, id)
	}
	return running, o.fill(ctx, n.running+n.stopped)
}

func (o *alone) removeAll(ctx context.Context) error {
	var all []struct {
		ID string `json:"Id"`
	}
	err := o.call(ctx, http.MethodGet, "/containers/json?all=1", nil, http.StatusOK, &all)
	for _, c := range all {
		err = errors.Join(err, o.remove(ctx, c.ID))
	}
	return err
}
