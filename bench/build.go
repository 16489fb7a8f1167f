package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Sizes of the contexts.
const (
	buildRounds  = 3
	contextFiles = 20_000
	contextBytes = 1 << 30
)

// tenSteps is a Dockerfile of ten steps, of which five run a command.
const tenSteps = `FROM busybox
ENV A=1
RUN echo one > /one
WORKDIR /work
RUN echo two > two
COPY Dockerfile /work/
RUN mkdir d && touch d/a d/b
LABEL of=bench
RUN rm -r d
RUN cat /one two > three
`

// builds: a Dockerfile of ten steps without and with the cache, a COPY of many
// files, and a context of one large file.
func builds(ctx context.Context, a *arena, r *report) error {
	steps := filepath.Join(a.dir, "steps.tar")
	if err := packContext(steps, tenSteps, 0, 0); err != nil {
		return err
	}
	many := filepath.Join(a.dir, "many.tar")
	if err := packContext(many, "FROM busybox\nCOPY many /many\n", contextFiles, 0); err != nil {
		return err
	}
	large := filepath.Join(a.dir, "large.tar")
	if err := packContext(large, "FROM busybox\nCOPY large /large\n", 0, contextBytes); err != nil {
		return err
	}
	for _, m := range []struct {
		name, archive, query string
	}{
		{"build of ten steps, no cache", steps, "nocache=1&rm=1&forcerm=1"}, {"build of ten steps, cached", steps, "rm=1&forcerm=1"},
		{fmt.Sprintf("build: COPY of %d files", contextFiles), many, "nocache=1&rm=1&forcerm=1"},
		{fmt.Sprintf("build: context and COPY of %d MiB", contextBytes>>20), large, "nocache=1&rm=1&forcerm=1"},
	} {
		var turns []turn
		for _, e := range a.engines {
			turns = append(turns, turn{e.name, func() error { return e.build(ctx, m.archive, m.query) }})
		}
		names, values, err := takeTurns(ctx, min(a.rounds, buildRounds), turns)
		if err != nil {
			return err
		}
		r.add(m.name, "ms", "less", names, values)
	}
	return nil
}

// build sends a context from a file and reads the answer to its end.
func (e *engine) build(ctx context.Context, archive, query string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine"+prefix+"/build?t=bench&"+query, f)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/tar")
	resp, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: build: %w", e.name, err)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(said), "Successfully built") {
		return fmt.Errorf("%s: build: %s: %s", e.name, resp.Status, said[max(0, len(said)-512):])
	}
	return nil
}

// packContext writes a context with a number of small files and one of size bytes.
func packContext(name, dockerfile string, files int, size int64) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	w := tar.NewWriter(f)
	add := func(name string, size int64, body io.Reader) {
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size})
		}
		if err == nil {
			_, err = io.CopyN(w, body, size)
		}
	}
	add("Dockerfile", int64(len(dockerfile)), strings.NewReader(dockerfile))
	for i := range files {
		text := fmt.Sprintf("file %d\n", i)
		add(fmt.Sprintf("many/%d/%d", i%100, i), int64(len(text)), strings.NewReader(text))
	}
	if size > 0 {
		add("large", size, &pattern{})
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// pattern gives bytes without end that are no hole and not all alike.
type pattern struct{ n byte }

func (p *pattern) Read(b []byte) (int, error) {
	p.n++
	copy(b, bytes.Repeat([]byte{p.n, 1, p.n, 3, 5}, len(b)/5+1))
	return len(b), nil
}
