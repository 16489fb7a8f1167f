package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/exp/trace"
)

// pprofAddress is where the daemons that are measured alone serve their profiles,
// each in its own network namespace.
const pprofAddress = "127.0.0.1:6060"

// profileSeconds is how long each kind of life is traced.
const profileSeconds = 3

// phase is a row of a profile: its depth below the whole, and the key of its
// values; with an empty key it is what the rows before it leave of the one above.
type phase struct {
	depth     int
	name, key string
}

var lifePhases = []phase{
	{0, "a life, as its client sees it", "life"},
	{1, "create", "create"},
	{2, "writable layer", "create: writable layer"},
	{2, "record, on the disk", "create: record"},
	{2, "the rest, with HTTP and JSON", ""},
	{1, "start", "start"},
	{2, "network", "start: network"},
	{2, "files and specification", "start: files and specification"},
	{2, "process, by the shim", "start: process"},
	{3, "read the order", "shim: read the order"},
	{3, "mount the root", "shim: mount the root"},
	{3, "configure the container", "shim: configure the container"},
	{3, "make the container: namespaces, control groups, mounts, filter", "shim: make the container"},
	{3, "wait for the execution", "shim: wait for the execution"},
	{3, "write the handle", "shim: write the handle"},
	{3, "the rest: order and report from process to process", ""},
	{2, "record, on the disk", "start: record"},
	{2, "the rest, with HTTP and JSON", ""},
	{1, "wait", "wait"},
	{2, "network given back", "end: network"},
	{2, "the rest: the process ends, with HTTP and JSON", ""},
	{1, "remove", "remove"},
	{2, "the end's work comes to its end: record, control groups", "remove: wait for the end's work"},
	{2, "record, on the disk", "remove: record"},
	{2, "files and writable layer", "remove: files and writable layer"},
	{2, "the rest, with HTTP and JSON", ""},
	{0, "beside it: the process, from its execution to its end", "end: run"},
	{0, "beside it: from its end to the daemon's notice", "end: notice"},
	{0, "beside it: record of the end, on the disk", "end: record"},
	{0, "beside it: control groups and handle removed", "end: control groups and handle"},
}

var execPhases = []phase{
	{0, "an exec, as its client sees it", "exec"},
	{1, "create", "ContainerExec"},
	{1, "start, to the end of the output", "ExecStart"},
	{2, "process, by the shim", "exec: process"},
	{3, "read the order", "shim: read the order"},
	{3, "find the container", "shim: find the container"},
	{3, "enter the container", "shim: enter the container"},
	{3, "wait for the execution", "shim: wait for the execution"},
	{3, "write the handle", "shim: write the handle"},
	{3, "the rest: order and report from process to process", ""},
	{2, "the rest: the process ends, its exit code is recorded", ""},
	{1, "inspect", "ExecInspect"},
	{1, "the rest: HTTP and JSON", ""},
}

// profile: where the time of a life and of an exec goes in berth, by the regions
// of the daemon's own execution trace and by what the shims say of their steps.
func profile(ctx context.Context, a *arena, r *report) (err error) {
	b, err := a.berthAlone(ctx, "profile", "--pprof-addr", pprofAddress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	lives := &sheet{Title: "Where a life's time goes (medians, ms)"}
	for _, l := range []struct {
		name string
		config
	}{{"net none", withoutNetwork("true")}, {"default net, one port", withPort("true")}} {
		values, err := b.traced(ctx, func(v durations) error { return b.steps(ctx, l.config, v) })
		if err != nil {
			return err
		}
		if err := lives.addPhases(l.name, lifePhases, values); err != nil {
			return err
		}
	}
	id, err := b.create(ctx, withoutNetwork("sleep", "100000"))
	if err != nil {
		return err
	}
	if err := b.start(ctx, id); err != nil {
		return err
	}
	values, err := b.traced(ctx, func(v durations) error {
		return v.time("exec", func() error { return b.execute(ctx, id, "true") })
	})
	if err != nil {
		return err
	}
	execs := &sheet{Title: "Where an exec's time goes (medians, ms)"}
	if err := execs.addPhases("berth", execPhases, values); err != nil {
		return err
	}
	r.Sheets = append(r.Sheets, lives, execs)
	return nil
}

// steps is a life with the time of each of its requests.
func (e *engine) steps(ctx context.Context, c config, v durations) error {
	var id string
	return v.time("life", func() error {
		return errors.Join(
			v.time("create", func() (err error) { id, err = e.create(ctx, c); return err }),
			v.time("start", func() error { return e.start(ctx, id) }),
			v.time("wait", func() error { return e.wait(ctx, id) }),
			v.time("remove", func() error { return e.remove(ctx, id) }),
		)
	})
}

// durations are times in ms by what took them.
type durations map[string][]float64

func (v durations) time(name string, f func() error) error {
	began := time.Now()
	err := f()
	v[name] = append(v[name], float64(time.Since(began).Microseconds())/1000)
	return err
}

// traced repeats f while the daemon traces itself and gives what both measured.
func (o *alone) traced(ctx context.Context, f func(durations) error) (durations, error) {
	for range 5 { // caches are warm, shims wait
		if err := f(durations{}); err != nil {
			return nil, err
		}
	}
	values := durations{}
	type result struct {
		regions durations
		err     error
	}
	done := make(chan result, 1)
	go func() {
		regions, err := o.trace(ctx)
		done <- result{regions, err}
	}()
	for {
		select {
		case r := <-done:
			for name, v := range r.regions {
				values[name] = v
			}
			return values, r.err
		default:
		}
		if err := f(values); err != nil {
			return nil, errors.Join(err, (<-done).err)
		}
	}
}

// trace has the daemon trace itself for a while (net/http/pprof) and gives the
// times of its regions, and those that its log messages hold as nanoseconds.
func (o *alone) trace(ctx context.Context) (durations, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = inNetns(o.netns, func() (err error) {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}}}
	url := fmt.Sprintf("http://%s/debug/pprof/trace?seconds=%d", pprofAddress, profileSeconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("trace the daemon: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("trace the daemon: %s", resp.Status)
	}
	return regions(resp.Body)
}

// regions reads an execution trace.
func regions(r io.Reader) (durations, error) {
	reader, err := trace.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read the daemon's trace: %w", err)
	}
	values := durations{}
	began := map[trace.GoID][]trace.Time{} // of the open regions, the innermost last
	for {
		event, err := reader.ReadEvent()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the daemon's trace: %w", err)
		}
		g := event.Goroutine()
		switch event.Kind() {
		case trace.EventRegionBegin:
			began[g] = append(began[g], event.Time())
		case trace.EventRegionEnd:
			open := began[g]
			if len(open) == 0 {
				continue // it began before the trace
			}
			name := event.Region().Type
			values[name] = append(values[name], float64(event.Time().Sub(open[len(open)-1]))/1e6)
			began[g] = open[:len(open)-1]
		case trace.EventLog:
			l := event.Log()
			if ns, err := strconv.ParseInt(l.Message, 10, 64); err == nil {
				values[l.Category] = append(values[l.Category], float64(ns)/1e6)
			}
		}
	}
}

// addPhases adds a column with the medians of the phases.
func (s *sheet) addPhases(column string, phases []phase, values durations) error {
	s.Columns = append(s.Columns, column)
	fresh := len(s.Rows) == 0
	left := map[int]float64{} // of the row at this depth, what its parts have not taken
	for i, p := range phases {
		ms := left[p.depth-1]
		if p.key != "" {
			if len(values[p.key]) == 0 {
				return fmt.Errorf("the trace has nothing of %q", p.key)
			}
			ms = medianOf(values[p.key])
			left[p.depth-1] -= ms
			left[p.depth] = ms
		}
		if fresh {
			s.Rows = append(s.Rows, sheetRow{Name: strings.Repeat("— ", p.depth) + p.name})
		}
		s.Rows[i].Cells = append(s.Rows[i].Cells, cell{Value: ms, Unit: "ms"})
	}
	return nil
}
