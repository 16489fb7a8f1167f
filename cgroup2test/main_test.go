package cgroup2test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/census"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

const (
	root   = "/sys/fs/cgroup"
	bridge = "berthcg0"
)

var (
	binaries = flag.String("bin", "../bin", "`directory` of berthd, berth-shim and berth-logger")
	driver   = flag.String("driver", "cgroupfs", "cgroup driver of the daemon: cgroupfs or systemd")
)

// The daemon of all tests; set by TestMain before them.
var engine *client

// parent is the daemon's parent of cgroups, dir is where that is in the
// hierarchy.
func parent() (name, dir string) {
	if *driver == "systemd" {
		return "berthcg.slice", filepath.Join(root, "berthcg.slice")
	}
	return "/berthcg", filepath.Join(root, "berthcg")
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cgroup v2 tests:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		return 1, err
	}
	if fs.Type != unix.CGROUP2_SUPER_MAGIC || os.Geteuid() != 0 {
		return 1, fmt.Errorf("they need root and a kernel with only the unified hierarchy at %s: use make test-cgroup2", root)
	}
	dir, err := os.MkdirTemp("/tmp", "berth-cgroup2-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	name, _ := parent()
	command, err := daemon.Berth(filepath.Join(*binaries, "berthd"), dir, "--bridge", bridge, "--bip", "10.213.200.1/24",
		"--exec-opt", "native.cgroupdriver="+*driver, "--cgroup-parent", name)
	if err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := daemon.Start(ctx, command)
	if err != nil {
		return 1, err
	}
	engine = &client{http: daemon.Client(d.Socket()), log: d.Log()}
	if err := loadBusybox(); err != nil {
		d.Kill()
		return 1, err
	}
	place := census.Place{Dir: dir, Bridge: bridge, Pid: d.Pid(), Depth: 3}
	_, in := parent()
	place.Cgroup = strings.TrimPrefix(in, root)
	if err := warm(); err != nil {
		d.Kill()
		return 1, err
	}
	before, err := take(place)
	if err != nil {
		d.Kill()
		return 1, err
	}
	code = m.Run()
	if err := settles(place, before); err != nil {
		code = 1
		fmt.Fprintln(os.Stderr, "cgroup v2 tests:", err)
	}
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the end of berthd's log:\n%s\n", daemon.Tail(d.Log(), 6000))
	}
	if err := d.Stop(30 * time.Second); err != nil {
		return 1, err
	}
	if err := daemon.Healthy(d.Log()); err != nil {
		return 1, err
	}
	return code, nil
}

func loadBusybox() error {
	var image bytes.Buffer
	if err := busybox.Archive(&image, "busybox:latest"); err != nil {
		return err
	}
	resp, err := engine.http.Post("http://engine/v1.23/images/load", "application/x-tar", &image)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("load busybox: %s: %s (%v)", resp.Status, &answer, err)
	}
	return nil
}

// warm has the engine make what it makes once and keeps.
func warm() error {
	id, _, err := engine.create(object{"Image": "busybox", "Cmd": []string{"sleep", "100000"}})
	if err != nil {
		return err
	}
	var made struct{ ID string }
	for _, c := range []struct {
		method, path string
		body, out    any
	}{
		{"POST", "/containers/" + id + "/start", nil, nil},
		{"POST", "/containers/" + id + "/exec", object{"Cmd": []string{"true"}}, &made},
		{"GET", "/containers/" + id + "/stats?stream=0", nil, nil},
		{"POST", "/containers/" + id + "/update", object{"Memory": 64 << 20}, nil},
		{"DELETE", "/containers/" + id + "?force=1&v=1", nil, nil},
	} {
		if _, err := engine.call(c.method, c.path, c.body, c.out); err != nil {
			return fmt.Errorf("%s %s: %w", c.method, c.path, err)
		}
		if made.ID != "" {
			if _, err := engine.call("POST", "/exec/"+made.ID+"/start", object{"Detach": false}, nil); err != nil {
				return err
			}
			made.ID = ""
		}
	}
	return nil
}

// take is a census and the units that systemd has for containers.
func take(p census.Place) (census.Census, error) {
	c, err := census.Take(p)
	if err != nil || *driver != "systemd" {
		return c, err
	}
	units, err := scopes()
	return append(c, units...), err
}

func settles(p census.Place, before census.Census) error {
	var left []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		now, err := take(p)
		if err != nil {
			return err
		}
		if left = now.Since(before); len(left) == 0 {
			return nil
		}
	}
	return fmt.Errorf("left over:\n%s", strings.Join(left, "\n"))
}
