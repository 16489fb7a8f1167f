// Command berthd is the daemon: a container engine that speaks the Docker
// Remote API v1.18 to v1.23.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/manual"
)

// Set by the build (-ldflags -X).
var (
	version   = "0.1.0-dev"
	commit    = "unknown"
	buildTime = ""
)

func main() {
	c, err := config.Parse(os.Args[1:], os.Stderr)
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil && c.ShowVersion {
		fmt.Printf("berthd version %s, commit %s\n", version, commit)
		return
	}
	if err == nil && c.Manual != "" {
		err = manual.Write(os.Stdout, config.Manual(), c.Manual)
	} else if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if c.Check {
			os.Exit(check(ctx, c, os.Stdout))
		}
		if c.Doctor {
			os.Exit(examine(c, os.Stdout))
		}
		signals := catch(c)
		err = run(ctx, c, logger(c, signals.level), signals)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "berthd:", err)
		if len(os.Args) > 1 && (os.Args[1] == "check" || os.Args[1] == "doctor") {
			os.Exit(checkFailed) // its arguments were wrong
		}
		os.Exit(1)
	}
}

// logger writes to the standard error what is at least as grave as level says
// at that moment.
func logger(c *config.Config, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
