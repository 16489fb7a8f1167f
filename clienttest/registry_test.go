package clienttest

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// registry starts Debian's docker-registry and gives its address.
func registry(t *testing.T) string {
	t.Helper()
	return registryAt(t, t.TempDir(), freeAddress(t), "")
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

// registryAt starts a registry of what is in dir, at an address, with more lines of
// configuration, by the command wrap if there is one: in another network, for one.
func registryAt(t *testing.T, dir, address, more string, wrap ...string) string {
	t.Helper()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %q}\ncompatibility: {schema1: {enabled: true}}\n%s", filepath.Join(dir, "data"), address, more)
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

// With an account the docker command may do what it may not without, and its password
// is in no answer, event or log.
func TestLogin(t *testing.T) {
	const name, password = "jane", "s3cret-of-jane"
	// bcrypt of the password, cost 5.
	const account = name + ":$2b$05$7hKOO4WxUrLW291BPN5oA.XzreY14TnBEF.eyk4MWTm0vbeXV4Tny\n"
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, []byte(account), 0o600); err != nil {
		t.Fatal(err)
	}
	address := registryAt(t, dir, freeAddress(t), fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", users))
	t.Cleanup(func() { noSecrets(t, password, base64.StdEncoding.EncodeToString([]byte(name+":"+password))) }) // when all versions have had their turn
	t.Run("versions", func(t *testing.T) {                                                                     // ends before the registry does
		atEachVersion(t, func(t *testing.T, d *docker) {
			image := address + "/" + strings.TrimSuffix(d.tag("private"), ":private") + ":private"
			t.Cleanup(func() { d.try("", "rmi", "-f", image) })
			d.run("tag", "busybox", image)
			d.fails(1, "(?i)no basic auth credentials|unauthorized|authentication required", "push", image)
			d.fails(1, "(?i)unauthorized", "login", "-u", name, "-p", password+"-typo", address)
			d.matches("login", d.run("login", "-u", name, "-p", password, address), "Login Succeeded")
			d.run("push", image)
			d.run("rmi", image)
			d.run("pull", image)
			d.run("rmi", image)
			context := filepath.Dir(file(t, "Dockerfile", "FROM "+image+"\nLABEL a=b\n"))
			d.run("build", "-q", "-t", d.tag("of-private"), context)
			d.run("logout", address)
			d.fails(1, "(?i)unauthorized|authentication required|not found", "pull", address+"/nosuch:private")
		})
	})
}

// noSecrets looks for secrets in the shared engine's events and log.
func noSecrets(t *testing.T, secrets ...string) {
	t.Helper()
	texts := map[string]string{"events": newDocker(t, engine, "1.23").run("events", "--since", "0", "--until", strconv.FormatInt(time.Now().Unix(), 10))}
	if !strings.Contains(texts["events"], " push ") {
		t.Error("there are no events of a push")
	}
	if *host == "" {
		log, err := os.ReadFile(filepath.Join(scratch, "shared", "berthd.log"))
		if err != nil {
			t.Fatal(err)
		}
		if texts["log"] = string(log); !strings.Contains(texts["log"], "/auth") {
			t.Error("the log has no login")
		}
	}
	for where, text := range texts {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("the %s: there is a secret in it", where)
			}
		}
	}
}
