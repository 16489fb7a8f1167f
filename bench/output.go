package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// outputBytes is what a container writes in one turn: lines of 80 bytes.
const outputBytes = 32 << 20

// output: what a container writes, as it goes into its log, as it is read from
// there, and as it comes to a client that is attached from the start.
func output(ctx context.Context, a *arena, r *report) error {
	text := filepath.Join(a.dir, "text")
	line := append(bytes.Repeat([]byte("0123456789abcde "), 5)[:79], '\n')
	if err := os.WriteFile(text, bytes.Repeat(line, outputBytes/len(line)), 0o644); err != nil {
		return err
	}
	c := withoutNetwork("cat", "/text")
	c.HostConfig.Binds = []string{text + ":/text:ro"}
	c.AttachStdout = true
	var writing, reading, attached []turn
	for _, e := range a.engines {
		logged, err := e.create(ctx, c)
		if err != nil {
			return err
		}
		defer func() { _ = e.remove(context.WithoutCancel(ctx), logged) }()
		if err := errors.Join(e.start(ctx, logged), e.wait(ctx, logged)); err != nil {
			return err
		}
		writing = append(writing, turn{e.name, func() error { return e.live(ctx, c) }})
		reading = append(reading, turn{e.name, func() error {
			return e.readOutput(ctx, http.MethodGet, "/containers/"+logged+"/logs?stdout=1&stderr=1", nil)
		}})
		attached = append(attached, turn{e.name, func() error { return e.attachedLife(ctx, c) }})
	}
	for _, m := range []struct {
		name  string
		turns []turn
	}{
		{"a life that writes 32 MiB into its log", writing},
		{"log of 32 MiB read", reading},
		{"a life that writes 32 MiB to an attached client and its log", attached},
	} {
		names, values, err := takeTurns(ctx, max(a.rounds/3, 1), m.turns)
		if err != nil {
			return err
		}
		r.add(m.name, "MB/s", "more", names, rates(values, outputBytes/1e6))
	}
	return nil
}

// attachedLife is a life with a client that reads all of the output.
func (e *engine) attachedLife(ctx context.Context, c config) error {
	id, err := e.create(ctx, c)
	if err != nil {
		return err
	}
	begin := func() error { return e.start(ctx, id) }
	if err := e.readOutput(ctx, http.MethodPost, "/containers/"+id+"/attach?stream=1&stdout=1&stderr=1", begin); err != nil {
		return errors.Join(err, e.remove(context.WithoutCancel(ctx), id))
	}
	return errors.Join(e.wait(ctx, id), e.remove(ctx, id))
}

// readOutput reads a multiplexed stream to its end, which must hold all that the
// container wrote. begin, if there is one, is called when the answer has begun.
func (e *engine) readOutput(ctx context.Context, method, path string, begin func() error) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://engine"+prefix+path, nil)
	if err != nil {
		return err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s: %s", e.name, method, path, resp.Status)
	}
	if begin != nil {
		if err := begin(); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n < outputBytes {
		err = fmt.Errorf("%s: %s %s: %d bytes of %d came", e.name, method, path, n, outputBytes)
	}
	return err
}
