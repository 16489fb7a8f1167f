package clienttest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// registry starts Debian's docker-registry and gives its address.
func registry(t *testing.T) string {
	t.Helper()
	return registryAt(t, t.TempDir(), freeAddress(t))
}

// freeAddress is an address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return free.Addr().String()
}

// registryAt starts a registry of what is in dir, at an address, by the command wrap if
// there is one: in another network, for one.
func registryAt(t *testing.T, dir, address string, wrap ...string) string {
	t.Helper()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %q}\ncompatibility: {schema1: {enabled: true}}\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.CreateTemp(dir, "log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := append(slices.Clone(wrap), "/usr/bin/docker-registry", "serve", config)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("the registry is missing (make setup-test installs Debian's docker-registry): %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log("registry: ", daemon.Tail(log.Name(), 2000))
		}
	})
	probe := append(slices.Clone(wrap), "bash", "-c", "exec 3<>/dev/tcp/"+strings.Replace(address, ":", "/", 1))
	eventually(t, "the registry answers", func() bool { return exec.Command(probe[0], probe[1:]...).Run() == nil })
	return address
}

// An image survives push and pull with its id and its content.
func TestPushAndPull(t *testing.T) {
	address := registry(t)
	t.Run("versions", func(t *testing.T) { // ends before the registry does
		atEachVersion(t, func(t *testing.T, d *docker) {
			name := address + "/" + strings.TrimSuffix(d.tag("pushed"), ":pushed") + ":pushed"
			t.Cleanup(func() { d.try("", "rmi", "-f", name) })
			d.run("import", root(t, "through the registry"), name)
			id := d.inspect(name, "{{.Id}}")
			digest := d.run("push", name)
			d.matches("push", digest, `(?m)^pushed: digest: sha256:[0-9a-f]{64} size: \d+$`)
			d.run("rmi", name)
			d.matches("pull", d.run("pull", name), `(?m)^Status: Downloaded newer image for `+name)
			d.equal("id after pull", d.inspect(name, "{{.Id}}"), id)
			d.equal("content", d.run("run", "--rm", "--name", d.name("c"), name, "/bin/cat", "/file"), "through the registry")
			d.matches("pull again", d.run("pull", name), `(?m)^Status: Image is up to date for `+name)
			d.fails(1, "(?i)not found|unknown", "pull", address+"/nosuch:tag")
			// run pulls what is not there.
			d.run("rmi", name)
			d.equal("run of an absent image", d.run("run", "--rm", "--name", d.name("absent"), name, "/bin/cat", "/file"), "through the registry")
		})
	})
}
