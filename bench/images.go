package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// transfer is one way of moving an image that is measured.
type transfer string

// In the order in which each round does them.
const (
	load      transfer = "load"
	save      transfer = "save"
	push      transfer = "push"
	pushAgain transfer = "push again, unchanged"
	pull      transfer = "pull"
	pushOther transfer = "push of what was pulled, to another registry"
)

var transfers = []transfer{load, save, push, pushAgain, pull, pushOther}

// images moves a large image and one of many layers: load, save, push and pull, with
// the processor time and the peak of memory of each; and lists many images. Each
// engine has registries in its network namespace; those of all serve the same files.
// All engines pull what one of them has pushed.
func images(ctx context.Context, a *arena, r *report) error {
	for _, e := range a.engines {
		for _, address := range []string{source, target} {
			stop, err := a.registry(ctx, e, address)
			if err != nil {
				return err
			}
			defer stop()
		}
	}
	for _, s := range []shape{
		{name: "large", layers: 7, bytes: int64(a.imageMB) << 20, images: 1},
		{name: "tall", layers: 100, bytes: int64(a.imageMB) << 20 / 8, images: 1},
	} {
		if err := a.move(ctx, r, s); err != nil {
			return err
		}
	}
	return a.listImages(ctx, r)
}

// move measures all transfers of one image.
func (a *arena) move(ctx context.Context, r *report, s shape) error {
	archive := filepath.Join(a.dir, s.name+".tar")
	if err := makeArchive(archive, s); err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	defer os.Remove(archive)
	// Docker Engine, the last one, pushes what all pull.
	if err := a.engines[len(a.engines)-1].publish(ctx, archive, s.name); err != nil {
		return err
	}
	m := &moves{a: a, seconds: figures{}, processor: figures{}, memory: figures{}}
	for range a.imageRounds {
		for _, e := range a.engines {
			if err := m.round(ctx, e, archive, s.name); err != nil {
				return err
			}
		}
	}
	var names []string
	for _, e := range a.engines {
		names = append(names, e.name)
	}
	size := fmt.Sprintf("%d MB in %d layers", s.bytes>>20, s.layers)
	for _, t := range transfers {
		r.add(fmt.Sprintf("%s, %s", t, size), "s", "less", names, m.seconds[t])
		r.add(fmt.Sprintf("%s, %s: processor time", t, size), "s", "less", names, m.processor[t])
		r.add(fmt.Sprintf("%s, %s: peak memory", t, size), "MB", "less", names, m.memory[t])
	}
	return nil
}

// publish puts the image into the registry and forgets it.
func (e *engine) publish(ctx context.Context, archive, name string) error {
	if err := e.loadFile(ctx, archive); err != nil {
		return err
	}
	remote := source + "/" + name
	if err := e.tag(ctx, name+":0", remote, "1"); err != nil {
		return err
	}
	if err := e.post(ctx, "/images/"+remote+"/push?tag=1"); err != nil {
		return err
	}
	return e.forget(ctx, name+":0", remote+":1")
}

// figures are the values of each engine for each transfer.
type figures map[transfer]map[string][]float64

func (f figures) note(t transfer, e *engine, value float64) {
	if f[t] == nil {
		f[t] = map[string][]float64{}
	}
	f[t][e.name] = append(f[t][e.name], value)
}

type moves struct {
	a                          *arena
	seconds, processor, memory figures
}

// timed does one transfer and notes what it cost. What was written before is on disk
// first, so that nobody pays for another's writes.
func (m *moves) timed(e *engine, t transfer, fn func() error) error {
	syscall.Sync()
	if err := e.resetPeak(); err != nil {
		return err
	}
	before, err := e.processor()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fn(); err != nil {
		return fmt.Errorf("%s: %s: %w", e.name, t, err)
	}
	m.seconds.note(t, e, time.Since(began).Seconds())
	after, err := e.processor()
	if err != nil {
		return err
	}
	m.processor.note(t, e, after-before)
	peak, err := e.peak()
	if err != nil {
		return err
	}
	m.memory.note(t, e, peak)
	return nil
}

// round moves the image once through the engine.
func (m *moves) round(ctx context.Context, e *engine, archive, name string) error {
	local, theirs, ours := name+":0", source+"/"+name, target+"/"+name
	if err := m.timed(e, load, func() error { return e.loadFile(ctx, archive) }); err != nil {
		return err
	}
	if err := m.timed(e, save, func() error { return e.stream(ctx, http.MethodGet, "/images/"+local+"/get", nil) }); err != nil {
		return err
	}
	if err := m.pushes(ctx, e, local, ours, push, pushAgain); err != nil {
		return err
	}
	if err := e.forget(ctx, local, ours+":1"); err != nil {
		return err
	}
	if err := m.timed(e, pull, func() error { return e.post(ctx, "/images/create?fromImage="+theirs+"&tag=1") }); err != nil {
		return err
	}
	if err := m.pushes(ctx, e, theirs+":1", ours, pushOther); err != nil {
		return err
	}
	return e.forget(ctx, theirs+":1", ours+":1")
}

// pushes measures pushes of one image into a registry that has nothing before the first.
func (m *moves) pushes(ctx context.Context, e *engine, image, to string, each ...transfer) error {
	if err := m.a.empty(target); err != nil {
		return err
	}
	if err := e.tag(ctx, image, to, "1"); err != nil {
		return err
	}
	for _, t := range each {
		if err := m.timed(e, t, func() error { return e.post(ctx, "/images/"+to+"/push?tag=1") }); err != nil {
			return err
		}
	}
	return nil
}

// listImages measures the list of many images.
func (a *arena) listImages(ctx context.Context, r *report) error {
	many := filepath.Join(a.dir, "many.tar")
	if err := makeArchive(many, shape{name: "many", layers: 1, bytes: 1 << 10, images: a.images}); err != nil {
		return fmt.Errorf("make %d images: %w", a.images, err)
	}
	var turns []turn
	for _, e := range a.engines {
		if err := e.loadFile(ctx, many); err != nil {
			return err
		}
		turns = append(turns, turn{e.name, func() error { return e.list(ctx, "/images/json", a.images) }})
	}
	names, values, err := takeTurns(ctx, a.rounds, turns)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("list of %d images", a.images), "ms", "less", names, values)
	return nil
}

// list asks for a list, which must have so many entries at least.
func (e *engine) list(ctx context.Context, path string, least int) error {
	var list []struct{ ID string }
	if err := e.call(ctx, http.MethodGet, path, nil, http.StatusOK, &list); err != nil {
		return err
	}
	if len(list) < least {
		return fmt.Errorf("%s lists %d of %d", e.name, len(list), least)
	}
	return nil
}

func (e *engine) tag(ctx context.Context, image, repo, tag string) error {
	return e.call(ctx, http.MethodPost, "/images/"+image+"/tag?force=1&repo="+repo+"&tag="+tag, nil, anySuccess, nil)
}

func (e *engine) forget(ctx context.Context, names ...string) error {
	for _, n := range names {
		if err := e.call(ctx, http.MethodDelete, "/images/"+n+"?force=1", nil, http.StatusOK, nil); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) post(ctx context.Context, path string) error {
	return e.stream(ctx, http.MethodPost, path, nil)
}

// stream sends a request whose answer is long, reads it to its end, and takes an
// error in it for one.
func (e *engine) stream(ctx context.Context, method, path string, body io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+prefix+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-Registry-Auth", "e30=") // {}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var last bytes.Buffer
	if resp.Header.Get("Content-Type") == "application/json" {
		_, err = last.ReadFrom(resp.Body)
	} else {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || strings.Contains(last.String(), `"errorDetail"`) {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, last.String())
	}
	return nil
}

func (e *engine) loadFile(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return e.stream(ctx, http.MethodPost, "/images/load", f)
}
