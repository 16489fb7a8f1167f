// Package daemon starts container engines as child processes, each with roots,
// a socket and a pidfile of its own, so that nothing of the machine's own
// engines is touched: berthd for the client tests, the benchmarks and "make
// run", and Docker Engine as a peer to compare with.
package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Command says how to start an engine.
type Command struct {
	// Name is shown in errors: "berthd", "dockerd".
	Name string
	// Args are the program and its arguments.
	Args []string
	// Socket is the path of the unix socket that the engine will serve.
	Socket string
	// Log is a file that gets the engine's standard output and error.
	Log string
	// Isolated gives the engine a network namespace of its own with nothing
	// but a loopback device, so that its bridges, rules and ports meet nobody.
	Isolated bool
}

// Daemon is an engine that was started and answers.
type Daemon struct {
	command Command
	cmd     *exec.Cmd
	// ended is closed when the process is gone; err is set before.
	ended chan struct{}
	err   error
	once  sync.Once
}

// Start starts the engine and waits until it answers GET /_ping. When it does
// not, because it ended or because ctx ended, it is killed and the error holds
// the end of its log.
func Start(ctx context.Context, c Command) (*Daemon, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := c.Args
	if c.Isolated {
		// The loopback device must be up for published ports. unshare(1) and not
		// ip-netns(8): the latter mounts a new /sys, without cgroups.
		args = append([]string{"unshare", "--net", "sh", "-c", `ip link set lo up && exec "$@"`, c.Name}, args...)
	}
	d := &Daemon{command: c, ended: make(chan struct{})}
	d.cmd = exec.Command(args[0], args[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// A Ctrl-C in the terminal is for the program that started the engine; the
	// death of that program is for the engine.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := d.run(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	if err := d.ready(ctx); err != nil {
		d.Kill()
		return nil, fmt.Errorf("%s did not come up: %w\n%s", c.Name, err, Tail(c.Log, 4096))
	}
	return d, nil
}

// run starts the process and waits for it in the background. The kernel sends
// the parent-death signal when the starting thread ends (prctl(2)), so the
// thread is held until then.
func (d *Daemon) run() error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	return <-started
}

func (d *Daemon) ready(ctx context.Context) error {
	client := Client(d.command.Socket)
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/_ping", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-d.ended:
			return fmt.Errorf("it ended: %v", d.err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Millisecond):
		}
	}
}

// Host is the engine's address as DOCKER_HOST has it.
func (d *Daemon) Host() string { return "unix://" + d.command.Socket }

// Socket is the path of the engine's socket.
func (d *Daemon) Socket() string { return d.command.Socket }

// Pid is the engine's process id.
func (d *Daemon) Pid() int { return d.cmd.Process.Pid }

// Ended is closed when the engine's process is gone.
func (d *Daemon) Ended() <-chan struct{} { return d.ended }

// Log is the engine's log file.
func (d *Daemon) Log() string { return d.command.Log }

// Stop asks the engine to end and waits; after patience it is killed, which is
// an error, as is an exit code other than 0.
func (d *Daemon) Stop(patience time.Duration) error {
	select {
	case <-d.ended:
		return fmt.Errorf("%s had ended by itself: %v\n%s", d.command.Name, d.err, Tail(d.command.Log, 4096))
	default:
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-d.ended:
		if d.err != nil {
			return fmt.Errorf("%s ended with %w\n%s", d.command.Name, d.err, Tail(d.command.Log, 4096))
		}
		return nil
	case <-time.After(patience):
		d.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM and was killed", d.command.Name, patience)
	}
}

// Kill ends the engine with SIGKILL, as a crash would, and waits.
func (d *Daemon) Kill() {
	d.once.Do(func() { _ = d.cmd.Process.Kill() })
	<-d.ended
}

// Restart starts the same engine again after Stop or Kill.
func (d *Daemon) Restart(ctx context.Context) (*Daemon, error) { return Start(ctx, d.command) }

// Healthy is an error if the log at path holds what no daemon's log should: a
// data race, a panic, also one that the daemon survived, or the stacks of its end.
func Healthy(path string) error {
	log, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "panic while serving", "goroutine 1 ["} {
		if i := bytes.Index(log, []byte(bad)); i >= 0 {
			return fmt.Errorf("the log of the daemon holds %q:\n%s", bad, log[i:min(len(log), i+4000)])
		}
	}
	return nil
}

// Client is an HTTP client that reaches only the given unix socket, whatever
// the URL's host is. It keeps up to 16 connections.
func Client(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 16,
	}}
}

// Tail is the last n bytes of a file, for messages; empty when there is none.
func Tail(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		_, _ = f.Seek(-n, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return string(bytes.TrimSpace(b))
}
