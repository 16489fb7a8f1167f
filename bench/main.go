// Command bench times berth beside Docker Engine, runc and crun on one machine:
// the life of a container, networks and published ports, exec, requests, memory, start of the daemon. It
// prints a table and writes the figures as JSON. It judges nothing: it fails
// only if something could not be measured.
//
// The contenders take turns, round after round (A B C D A B C D …), so that
// what else the machine does falls on all of them alike, and each figure is a
// median. Each engine has roots and a network namespace of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// options are what the flags say.
type options struct {
	berthd, dockerd string
	runtimes        string
	dir             string
	rounds          int
	containers      int
	requests        int
	running         int
	starts          int
	imageMB         int
	imageRounds     int
	images, layers  int
	full            size
	diskGB          int
	json, markdown  string
	only            string
}

func main() {
	var o options
	flag.StringVar(&o.berthd, "berthd", "bin/berthd", "`path` of berthd, empty to leave it out")
	flag.StringVar(&o.dockerd, "dockerd", "/usr/sbin/dockerd", "`path` of Docker Engine's daemon, empty to leave it out")
	flag.StringVar(&o.runtimes, "runtimes", "/usr/sbin/runc,/usr/bin/crun", "`paths` of OCI runtimes, with commas")
	flag.StringVar(&o.dir, "dir", "/var/tmp/berth-bench", "`directory` to work in, removed at the end; a real disk")
	flag.IntVar(&o.diskGB, "disk-gb", 40, "`size` in GB of an ext4 with a journal, in a sparse file beside the directory, that all work on; 0: the directory itself")
	flag.IntVar(&o.rounds, "rounds", 30, "`number` of lives and execs to time for each contender")
	flag.IntVar(&o.containers, "containers", 500, "`number` of stopped containers for lists and daemon starts")
	flag.IntVar(&o.requests, "requests", 400, "`number` of requests in each slice of a throughput measurement")
	flag.IntVar(&o.running, "running", 20, "`number` of running containers for the memory measurement")
	flag.IntVar(&o.starts, "starts", 5, "`number` of daemon starts to time for each engine")
	flag.IntVar(&o.imageMB, "image-mb", 1024, "`size` in MB of the image that is moved around")
	flag.IntVar(&o.imageRounds, "image-rounds", 3, "`number` of times to move the image")
	flag.IntVar(&o.images, "images", 500, "`number` of images for the list")
	flag.IntVar(&o.layers, "layers", 2000, "`number` of containers beside which one is made and removed")
	o.full = size{running: 500, stopped: 2000, images: 500, networks: 100}
	flag.Var(&o.full, "scale", "`size` of the full engine of the scale measurement: running and stopped containers, images, networks")
	flag.StringVar(&o.json, "json", "", "`file` for the figures as JSON")
	flag.StringVar(&o.markdown, "markdown", "", "`file` for the figures as a Markdown table")
	flag.StringVar(&o.only, "only", "", "measure only these, with commas: life, flight, port, profile, networks, ports, traffic, exec, output, memory, requests, start, images, layers, build, scale")
	flag.Parse()
	if err := retire(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// retired marks the process that has a mount namespace of its own.
const retired = "BERTH_BENCH_RETIRED"

// retire starts the program again in a mount namespace of its own, so that no
// mount of an engine stays on the machine. There the second cgroup hierarchy
// of a hybrid machine is hidden: crun refuses to work with both.
func retire() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("container engines need root: run it as root")
	}
	if os.Getenv(retired) != "" {
		err := syscall.Unmount("/sys/fs/cgroup/unified", syscall.MNT_DETACH)
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("hide the second cgroup hierarchy: %w", err)
		}
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return err
	}
	args := append([]string{"unshare", "--mount", "--propagation", "private", self}, os.Args[1:]...)
	return syscall.Exec(unshare, args, append(os.Environ(), retired+"=yes"))
}

// wants says whether a measurement was asked for.
func (o options) wants(name string) bool {
	if o.only == "" {
		return true
	}
	for part := range strings.SplitSeq(o.only, ",") {
		if strings.TrimSpace(part) == name {
			return true
		}
	}
	return false
}

func run(ctx context.Context, o options) (err error) {
	if o.rounds < 1 || o.containers < 1 || o.requests < 1 || o.running < 1 || o.starts < 1 || o.imageMB < 1 || o.imageRounds < 1 || o.images < 1 || o.layers < 1 || o.diskGB < 0 {
		return fmt.Errorf("all numbers must be at least 1 (-disk-gb 0)")
	}
	a, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		if e := a.close(); e != nil && err == nil {
			err = e
		}
	}()
	r := newReport(a)
	for _, m := range []struct {
		name    string
		measure func(context.Context, *arena, *report) error
	}{
		{"life", life}, {"flight", flight}, {"port", port}, {"profile", profile}, {"networks", networks}, {"ports", ports}, {"traffic", traffic},
		{"exec", execs}, {"output", output}, {"memory", memory}, {"requests", requests}, {"start", starts}, {"images", images}, {"layers", layers}, {"build", builds},
		{"scale", scale},
	} {
		if !o.wants(m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring: %s\n", m.name)
		if err := m.measure(ctx, a, r); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	r.print(os.Stdout)
	if err := r.saveTable(o.markdown); err != nil {
		return err
	}
	return r.save(o.json)
}
