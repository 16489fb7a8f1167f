// Package clienttest runs real clients against a real berthd: Debian's docker
// command (Docker 20.10) and dockerode at every version from 1.18 to 1.23, and
// docker-py 5 at the three that it speaks. What none of them can ask for, the
// tests ask for themselves. It needs root, the programs of bin/ ("make
// build") and the clients ("make setup-test"); whatever is missing is a
// failure, not a skip.
package clienttest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
	"github.com/seed-50ced230/berth/testbed/plugin"
)

// The clients are named by path: another docker may come first in PATH.
const (
	dockerProgram = "/usr/bin/docker"
	pythonProgram = "/usr/bin/python3"
	nodeProgram   = "node"
)

// versions are all versions of the API that berth serves.
var versions = []string{"1.18", "1.19", "1.20", "1.21", "1.22", "1.23"}

var (
	binaries = flag.String("bin", "../bin", "`directory` of berthd and berth-shim")
	keep     = flag.Bool("keep", false, "keep the daemons' directory and logs")
	host     = flag.String("host", "", "test the engine at this `address` (unix:///…) instead of a berthd of our own, to try the tests themselves")
)

// The suite's own engine. TestMain sets these before the tests and nothing
// changes them afterwards.
var (
	// engine is where the tests that share an engine find it: DOCKER_HOST's form.
	engine string
	// scratch is a directory for the tests, removed at the end.
	scratch string
)

func TestMain(m *testing.M) {
	plugin.Main()
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "client tests:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if err := clients(); err != nil {
		return 1, err
	}
	release, err := takeTurns()
	if err != nil {
		return 1, err
	}
	defer release()
	// /tmp and not TMPDIR: a socket's path must be short.
	if scratch, err = os.MkdirTemp("/tmp", "berth-clients-"); err != nil {
		return 1, err
	}
	defer func() {
		if *keep {
			fmt.Fprintln(os.Stderr, "client tests: kept", scratch)
			return
		}
		if e := os.RemoveAll(scratch); e != nil && err == nil {
			code, err = 1, e
		}
	}()
	engine = *host
	if engine == "" {
		d, err := startBerth(filepath.Join(scratch, "shared"), "berthtest0", "10.213.0.1/22", launch{})
		if err != nil {
			return 1, err
		}
		engine = d.Host()
		defer func() {
			if *keep {
				return
			}
			if e := remains(filepath.Join(scratch, "shared"), "berthtest0").Remove(); e != nil {
				code = 1
				fmt.Fprintln(os.Stderr, "client tests:", e)
			}
		}()
		defer func() {
			if e := d.Stop(30 * time.Second); e != nil {
				code = 1
				fmt.Fprintln(os.Stderr, "client tests: stop the shared berthd:", e)
			}
			if e := daemon.Healthy(d.Log()); e != nil {
				code = 1
				fmt.Fprintln(os.Stderr, "client tests:", e)
			}
		}()
	}
	if err := loadBusybox(engine); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// takeTurns waits until no other run of these tests is at work on the machine:
// their bridges and cgroups have the same names.
func takeTurns() (release func(), err error) {
	lock, err := os.OpenFile("/tmp/berth-clients.lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return func() { lock.Close() }, nil
}

// clients says which client is missing and how to get it.
func clients() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("a container engine needs root: run them as root")
	}
	out, err := exec.Command(dockerProgram, "--version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("the docker command is missing (make setup-test installs Debian's docker.io): %w", err)
	}
	fmt.Fprintf(os.Stderr, "client tests: %s", out)
	out, err = exec.Command(pythonProgram, "-c", "import docker; print('docker-py', docker.__version__)").CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker-py is missing (make setup-test installs Debian's python3-docker): %w\n%s", err, out)
	}
	fmt.Fprintf(os.Stderr, "client tests: %s", out)
	dockerode := exec.Command(nodeProgram, "-p", `"dockerode " + require("./node_modules/dockerode/package.json").version`)
	dockerode.Dir = filepath.Join("testdata", "dockerode")
	if out, err = dockerode.CombinedOutput(); err != nil {
		return fmt.Errorf("dockerode is missing (make setup-test installs it with npm): %w\n%s", err, out)
	}
	fmt.Fprintf(os.Stderr, "client tests: %s", out)
	return nil
}

// launch is what a test wants of its daemon's start: flags beside those that all
// have, and a command that runs it.
type launch struct{ flags, wrap []string }

// startBerth starts a berthd in dir with a bridge of its own. Everything that
// it makes carries the bridge's name or lies in dir, so that the census can
// tell it from the machine's.
func startBerth(dir, bridge, cidr string, l launch) (*daemon.Daemon, error) {
	program, err := filepath.Abs(filepath.Join(*binaries, "berthd"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("berthd is not built (make build): %w", err)
	}
	// What an earlier run left that was killed.
	if err := remains(dir, bridge).Remove(); err != nil {
		return nil, err
	}
	flags := append([]string{"--bridge", bridge, "--bip", cidr, "--cgroup-parent", "/" + bridge, "--debug"}, l.flags...)
	command, err := daemon.Berth(program, dir, flags...)
	if err != nil {
		return nil, err
	}
	command.Args = append(slices.Clone(l.wrap), command.Args...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return daemon.Start(ctx, command)
}

// remains are what startBerth's daemon leaves.
func remains(dir, bridge string) daemon.Remains {
	return daemon.Remains{Dir: dir, Bridge: bridge, Cgroup: "/" + bridge}
}

// loadBusybox loads the image that all tests use, busybox:latest.
func loadBusybox(host string) error {
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		return err
	}
	client := daemon.Client(strings.TrimPrefix(host, "unix://"))
	defer client.CloseIdleConnections()
	resp, err := client.Post("http://engine/v1.23/images/load", "application/x-tar", &image)
	if err != nil {
		return fmt.Errorf("load the busybox image: %w", err)
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(resp.Body); err != nil {
		return fmt.Errorf("load the busybox image: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("load the busybox image: %s: %s", resp.Status, &answer)
	}
	return nil
}
