// Package buildtest builds the same Dockerfiles on berthd and on Debian's
// Docker Engine 20.10 with the classic builder, and compares what comes out:
// every layer's files, the configurations and the histories have to be equal
// but for ids and times. Each directory of testdata is one build; what cannot
// lie in a repository (archives, packages, links) is added by prepare.
//
// It needs root, the programs of bin/ ("make build") and Docker Engine ("make
// setup-test"); whatever is missing is a failure, not a skip. With -short only
// a few builds are made ("make test"); "make test-builds" makes all.
package buildtest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

const dockerProgram = "/usr/bin/docker"

var binaries = flag.String("bin", "../bin", "`directory` of berthd and berth-shim")

// engine is one of the two that build.
type engine struct {
	name string
	*daemon.Daemon
}

// pair are the engines of a test, started for it.
type pair struct {
	t             *testing.T
	berth, docker *engine
	dir           string
}

// bridge is the name of berthd's bridge and cgroup: nobody else's.
const bridge = "berthbuild0"

// newPair starts both engines, which are removed with all that they have when
// the test ends.
func newPair(t *testing.T) *pair {
	t.Helper()
	// /tmp and not TMPDIR: a socket's path must be short.
	dir, err := os.MkdirTemp("/tmp", "berth-builds-")
	if err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs(filepath.Join(*binaries, "berthd"))
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, dir: dir}
	berth, err := daemon.Berth(program, filepath.Join(dir, "berth"), "--bridge", bridge, "--bip", "10.214.0.1/22", "--cgroup-parent", "/"+bridge)
	if err != nil {
		t.Fatal(err)
	}
	docker, err := daemon.Docker("/usr/sbin/dockerd", filepath.Join(dir, "docker"), "--cgroup-parent", "/"+bridge+"-docker")
	if err != nil {
		t.Fatal(err)
	}
	// In memory, because this engine waits for the disk at every step.
	data := filepath.Join(dir, "docker", "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=75%"); err != nil {
		t.Fatal(err)
	}
	p.berth = p.start(berth, daemon.Remains{Dir: filepath.Join(dir, "berth"), Bridge: bridge, Cgroup: "/" + bridge})
	p.docker = p.start(docker, daemon.Remains{Dir: filepath.Join(dir, "docker"), Cgroup: "/" + bridge + "-docker"})
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		t.Fatal(err)
	}
	for _, e := range p.both() {
		e.post(t, "/images/load", image.Bytes())
	}
	return p
}

func (p *pair) both() []*engine { return []*engine{p.berth, p.docker} }

func (p *pair) start(c daemon.Command, remains daemon.Remains) *engine {
	p.t.Helper()
	p.t.Cleanup(func() {
		if err := remains.Remove(); err != nil {
			p.t.Error(err)
		}
		_ = os.Remove(p.dir) // the second one empties it
	})
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	d, err := daemon.Start(ctx, c)
	if err != nil {
		p.t.Fatal(err)
	}
	e := &engine{name: c.Name, Daemon: d}
	p.t.Cleanup(func() {
		if err := e.Stop(30 * time.Second); err != nil {
			p.t.Error(err)
		}
	})
	return e
}

// do sends a request and gives the body of an answer with status 200 or 201.
func (e *engine) do(t *testing.T, method, path string, body []byte) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://engine/v1.23"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := daemon.Client(e.Socket())
	t.Cleanup(client.CloseIdleConnections)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/x-tar")
		if body[0] == '{' {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", e.name, method, path, err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		said, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s %s: %s: %s", e.name, method, path, resp.Status, said)
	}
	return resp.Body
}

// post sends a body and gives the whole answer, which may hold no error.
func (e *engine) post(t *testing.T, path string, body []byte) string {
	t.Helper()
	r := e.do(t, http.MethodPost, path, body)
	defer r.Close()
	said, err := io.ReadAll(r)
	if err != nil || bytes.Contains(said, []byte(`"errorDetail"`)) {
		t.Fatalf("%s: POST %s: %v\n%s", e.name, path, err, said)
	}
	return string(said)
}

// build builds a directory with the docker command and gives what it printed.
func (e *engine) build(t *testing.T, dir, tag string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), dockerProgram, append(append([]string{"build", "-t", tag}, args...), dir)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "DOCKER_HOST=" + e.Host(), "DOCKER_API_VERSION=1.23", "DOCKER_BUILDKIT=0"}
	said, err := cmd.CombinedOutput()
	if err != nil {
		return string(said), fmt.Errorf("%s: build %s: %w\n%s", e.name, filepath.Base(dir), err, strings.TrimSpace(string(said)))
	}
	return string(said), nil
}
