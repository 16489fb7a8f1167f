package plugin

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// role is the environment variable that makes a test's own program a plugin.
const role = "BERTH_TEST_PLUGIN"

// Main is called first by the TestMain of packages that use Start. In a process
// that is to be a plugin it does not return.
func Main() {
	kind, rest, ok := strings.Cut(os.Getenv(role), " ")
	if !ok {
		return
	}
	socket, dir, _ := strings.Cut(rest, " ")
	var err error
	switch kind {
	case "volume":
		err = ServeVolumes(socket, dir)
	case "authorization":
		err = ServeAuthorization(socket, dir)
	case "network":
		err = ServeNetworks(socket, dir)
	case "address":
		err = ServeAddresses(socket, dir)
	default:
		err = fmt.Errorf("no plugin of kind %q", kind)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Process is a plugin that runs.
type Process struct {
	Desk
	cmd *exec.Cmd
}

// Start starts this program again as a plugin of a kind (volume, network, address or
// authorization), serving at a socket with a desk in dir, and waits until it listens.
// Neither path may have blanks.
func Start(kind, socket, dir string) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s", role, kind, socket, dir))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{NewDesk(dir), cmd}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			return p, nil
		}
		if time.Now().After(deadline) {
			p.Kill()
			return nil, fmt.Errorf("the plugin at %s does not listen: %w", socket, err)
		}
	}
}

// Kill ends the plugin as a crash would; its socket's file stays.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}
