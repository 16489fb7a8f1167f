// Command berth-quickstart is "make run": it starts a berthd with a directory,
// a socket, a bridge and a cgroup of its own, loads the image that is built
// into it, runs a container through the API with the generated client, tells
// how to connect, and serves until Ctrl-C. Then it removes all of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Set by the build (-ldflags -X).
var (
	version   = "0.1.0-dev"
	commit    = "unknown"
	buildTime = ""
)

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "/var/tmp/berth-run", "`directory` for the engine's data and socket, removed at the end")
	flag.StringVar(&o.berthd, "berthd", "", "`path` of berthd (default: beside this program)")
	flag.BoolVar(&o.once, "once", false, "end after the container instead of serving until Ctrl-C")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "berth-quickstart %s (%s %s) tries berth without touching anything of this machine.\n\nUsage of berth-quickstart:\n", version, commit, buildTime)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "berth-quickstart:", err)
		os.Exit(1)
	}
}

type options struct {
	dir, berthd string
	once        bool
}

// settle fills in what was left to be chosen and refuses what cannot work.
func (o *options) settle() error {
	if os.Geteuid() != 0 {
		return errors.New("a container engine needs root: try sudo make run")
	}
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if o.berthd == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		o.berthd = filepath.Join(filepath.Dir(self), "berthd")
	}
	if _, err := os.Stat(o.berthd); err != nil {
		return fmt.Errorf("berthd is not built (make build): %w", err)
	}
	return nil
}
