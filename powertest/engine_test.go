package powertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// engine is a berthd whose data root is a mounted disk. All else of it, its network
// namespace too, is new: after a loss of power there is nothing but the disk.
type engine struct {
	*daemon.Daemon
	t          *testing.T
	command    daemon.Command
	dir, netns string
	hc         *http.Client
}

// cgroup is the parent of the containers' control groups.
const cgroup = "/berth-power"

// place makes a directory for an engine, with the place for the disk.
func place(t *testing.T) (dir, data string) {
	t.Helper()
	// /tmp and not TMPDIR: a socket's path must be short.
	dir, err := os.MkdirTemp("/tmp", "berth-pow-")
	if err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := (daemon.Remains{Dir: dir}).Remove(); err != nil {
			t.Error(err)
		}
	})
	return dir, data
}

// boot starts a berthd in dir, where the disk is mounted.
func boot(t *testing.T, dir string) (e *engine, err error) {
	e = &engine{t: t, dir: dir, netns: filepath.Join(dir, "netns")}
	if err := netns.Create(e.netns, func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() }); err != nil {
		return nil, err
	}
	program, err := filepath.Abs(filepath.Join(*binaries, "berthd"))
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		return nil, fmt.Errorf("berthd is not built (make build): %w", err)
	}
	e.command, err = daemon.Berth(program, dir, "--bridge", "berth0", "--bip", "10.213.0.1/16", "--cgroup-parent", cgroup, "--log-level", "info")
	if err != nil {
		return nil, err
	}
	e.command.Args = slices.Concat([]string{"nsenter", "--net=" + e.netns}, e.command.Args)
	e.hc = daemon.Client(e.command.Socket)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if e.Daemon, err = daemon.Start(ctx, e.command); err != nil {
		return nil, errors.Join(err, e.clear())
	}
	return e, nil
}

// end stops the engine and removes all that is not on the disk. What it gives is what
// the engine's log complains of.
func (e *engine) end() (complaints []string, err error) {
	e.hc.CloseIdleConnections()
	err = e.Stop(30 * time.Second)
	log, rerr := os.ReadFile(e.command.Log)
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
			complaints = append(complaints, strings.TrimSpace(line))
		}
	}
	return complaints, errors.Join(err, rerr, daemon.Healthy(e.command.Log), e.clear())
}

// clear removes what an engine left outside of the disk, which stays mounted.
func (e *engine) clear() error {
	data := filepath.Join(e.dir, "data")
	entries, err := os.ReadDir(e.dir)
	errs := []error{err, daemon.Remains{Dir: filepath.Join(e.dir, "exec"), Cgroup: cgroup}.Remove(), netns.Remove(e.netns)}
	for _, f := range entries {
		if path := filepath.Join(e.dir, f.Name()); path != data {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}

// raw is a body that is no JSON.
type raw struct {
	kind string // Content-Type
	body []byte
}

// ask sends a request at version 1.23 and gives the whole answer; whatever is no success
// is an error, also one in a stream of JSON.
func (e *engine) ask(method, path string, body any) ([]byte, error) {
	status, text, err := e.send(method, path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if status < 200 || status > 299 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, status, text)
	}
	for line := range bytes.Lines(text) {
		var message struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(line, &message) == nil && message.Error != "" {
			return nil, fmt.Errorf("%s %s: %s", method, path, message.Error)
		}
	}
	return text, nil
}

func (e *engine) send(method, path string, body any) (status int, text []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case raw:
		kind, text = b.kind, b.body
	default:
		if text, err = json.Marshal(b); err != nil {
			return 0, nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://engine/v1.23"+path, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", kind)
	resp, err := e.hc.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// get is ask for an answer in JSON.
func get[T any](e *engine, path string) (into T, err error) {
	text, err := e.ask(http.MethodGet, path, nil)
	if err == nil {
		err = json.Unmarshal(text, &into)
	}
	return into, err
}
