package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/instance"
)

// signals are those that do not end the daemon: SIGHUP has it read its
// configuration again, SIGUSR1 has it write the stacks of its goroutines. They
// are caught from the first moment on: uncaught they would end the process.
type signals struct {
	level  *slog.LevelVar
	caught chan os.Signal
}

// catch begins to catch; what comes before serve waits.
func catch(c *config.Config) *signals {
	s := &signals{level: &slog.LevelVar{}, caught: make(chan os.Signal, 16)}
	s.level.Set(levelOf(c))
	signal.Notify(s.caught, syscall.SIGHUP, syscall.SIGUSR1)
	return s
}

// levelOf is the level of the log. The configuration has checked its name.
func levelOf(c *config.Config) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel))
	return level
}

// serve answers signals until stop is called.
func (s *signals) serve(ctx context.Context, r *reloader) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case caught := <-s.caught:
				if caught == syscall.SIGHUP {
					tell(r.log, instance.Manager{}.Reloading())
					r.reload(os.Args[1:])
					tell(r.log, instance.Manager{}.Ready("read its configuration again"))
					continue
				}
				path, err := writeStacks(r.present.ExecRoot)
				if err != nil {
					r.log.Error("the stacks of the goroutines could not be written", "error", err)
					continue
				}
				r.log.Info("the stacks of all goroutines are written", "path", path)
			}
		}
	}()
	return func() error {
		cancel()
		<-done
		return nil
	}
}

// writeStacks writes what every goroutine is doing to a new file in dir. It
// appears under its name when it is whole.
func writeStacks(dir string) (path string, err error) {
	var text bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&text, 2); err != nil {
		return "", err
	}
	path = filepath.Join(dir, fmt.Sprintf("goroutines-%s.txt", time.Now().UTC().Format("20060102T150405.000000000")))
	// 0600: stacks tell paths and names of containers.
	return path, atomicfile.Write(path, text.Bytes(), 0o600)
}
