package clienttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const composeProgram = "/usr/bin/docker-compose"

// compose is docker-compose 1.29 with one project.
type compose struct {
	t       *testing.T
	host    string
	dir     string
	project string
	// version of the API; empty leaves it to compose: 1.21 for files of format
	// 1, 1.22 for 2.0.
	version string
	docker  *docker
	// environment are more variables of the command.
	environment []string
}

// newCompose writes the project's file; whatever of the project is left is
// removed when the test ends.
func newCompose(t *testing.T, host, version, project, file string) *compose {
	t.Helper()
	if _, err := os.Stat(composeProgram); err != nil {
		t.Fatalf("docker-compose is missing (make setup-test installs Debian's docker-compose): %v", err)
	}
	c := &compose{t: t, host: host, dir: t.TempDir(), project: project, version: version, docker: newDocker(t, host, "1.23")}
	if err := os.WriteFile(filepath.Join(c.dir, "docker-compose.yml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.try("down", "-v", "-t", "0") })
	return c
}

func (c *compose) try(args ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, composeProgram, append([]string{"--ansi", "never", "-p", c.project}, args...)...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + c.dir, "DOCKER_CONFIG=" + c.dir, "DOCKER_HOST=" + c.host}
	cmd.Env = append(cmd.Env, c.environment...)
	if c.version != "" {
		cmd.Env = append(cmd.Env, "COMPOSE_API_VERSION="+c.version)
	}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run runs a command, which must succeed.
func (c *compose) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("docker-compose %s: %v\n%s\n%s", strings.Join(args, " "), err, out, c.docker.try("", "ps", "-a"))
	}
	return out
}

// container gives the id of a service's n-th container.
func (c *compose) container(service string, n int) string {
	c.t.Helper()
	id := c.docker.run("ps", "-q", "--no-trunc",
		"--filter", "label=com.docker.compose.project="+c.project,
		"--filter", "label=com.docker.compose.service="+service,
		"--filter", fmt.Sprintf("label=com.docker.compose.container-number=%d", n))
	if id == "" || strings.Contains(id, "\n") {
		c.t.Fatalf("containers of %s %d: %q", service, n, id)
	}
	return id
}

// lookup asks for a name inside a container and gives the addresses, sorted.
func (c *compose) lookup(id, name string) []string {
	c.t.Helper()
	r := c.docker.try("", "exec", id, "sh", "-c", "nslookup "+name+" | sed -n '/^Name:/,$s/^Address: *//p' | sort")
	if r.code != 0 {
		c.t.Fatalf("%v\nstate: %s\nlog: %v", r, c.docker.inspect(id, "{{json .State}}"), c.docker.try("", "logs", id))
	}
	return strings.Fields(r.stdout)
}

func (c *compose) knows(id, name string, count int) {
	c.t.Helper()
	if got := c.lookup(id, name); len(got) != count {
		c.t.Errorf("%s is %v, want %d addresses", name, got, count)
	}
}

// gone checks that nothing of the project is left.
func (c *compose) gone() {
	c.t.Helper()
	filter := "label=com.docker.compose.project=" + c.project
	c.docker.equal("containers after down", c.docker.run("ps", "-a", "-q", "--filter", filter), "")
	c.docker.lacks("networks after down", c.docker.run("network", "ls", "--format", "{{.Name}}"), "^"+c.project+"_")
	c.docker.lacks("volumes after down", c.docker.run("volume", "ls", "-q"), "^"+c.project+"_")
}

const composeOne = `
db:
  image: busybox
  command: sh -c 'while :; do echo hello from db | nc -l -p 5432; done'
  expose: ["5432"]
  environment: {SECRET: word}
  volumes: [/data]
web:
  image: busybox
  command: sh -c 'while :; do nc store 5432 </dev/null | nc -l -p 8080; done'
  links: ["db", "db:store"]
  ports: ["127.0.0.1::8080"]
`

const composeTwo = `
version: "2"
services:
  db:
    image: busybox
    command: sh -c 'echo started >>/data/starts; while :; do echo hello from db | nc -l -p 5432; done'
    volumes: ["data:/data"]
    networks:
      back:
        aliases: [store]
        ipv4_address: %[1]s.10
  worker:
    image: busybox
    command: sleep 1000
    depends_on: [db]
    links: ["db:linked"]
    networks: [back]
  web:
    image: busybox
    command: sh -c 'while :; do nc store 5432 </dev/null | nc -l -p 8080; done'
    depends_on: [db]
    ports: ["127.0.0.1::8080"]
    networks: [front, back]
  visitor:
    image: busybox
    command: sleep 1000
    networks: [front]
volumes:
  data: {}
networks:
  front: {}
  back:
    ipam:
      config: [{subnet: %[1]s.0/24, gateway: %[1]s.1}]
`

func (c *compose) answers(service string, port, want string) {
	c.t.Helper()
	address := strings.TrimSpace(c.run("port", service, port))
	eventually(c.t, address+" answers "+want, func() bool { return ask(address) == want })
}

// A project of format 1: links on the default network.
func TestComposeLinks(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "auto"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			c := newCompose(t, engine, version, "berthone"+version, composeOne)
			c.run("up", "-d")
			c.answers("web", "8080", "hello from db\n")
			db, web := c.container("db", 1), c.container("web", 1)
			address := c.docker.inspect(db, "{{.NetworkSettings.IPAddress}}")
			c.docker.matches("hosts", c.docker.run("exec", web, "cat", "/etc/hosts"), `(?m)^`+address+`\s+store `)
			env := c.docker.run("exec", web, "env")
			c.docker.matches("environment", env, `(?m)^STORE_PORT=tcp://`+address+`:5432$`)
			c.docker.matches("environment", env, `(?m)^STORE_PORT_5432_TCP_ADDR=`+address+`$`)
			c.docker.matches("environment", env, `(?m)^STORE_ENV_SECRET=word$`)
			// The other containers of the default network have no names.
			c.docker.equal("a name on the default network", strings.Join(c.lookup(db, "web"), " "), "")
			// A target that comes back elsewhere is found again.
			c.docker.run("stop", "-t", "0", db)
			c.docker.run("run", "-d", "--name", c.docker.name("other"), "busybox", "sleep", "1000")
			c.docker.run("start", db)
			c.answers("web", "8080", "hello from db\n")
			c.run("scale", "db=3")
			c.docker.matches("ps", c.run("ps"), `(?m)^`+c.project+`_db_3 .* Up`)
			c.run("down", "-v", "-t", "0")
			c.gone()
		})
	}
}

// A project of format 2.0: networks, names, static addresses, volumes.
func TestComposeNetworks(t *testing.T) {
	t.Parallel()
	for i, version := range []string{"", "auto"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			subnet := fmt.Sprintf("10.213.%d", 200+i)
			c := newCompose(t, engine, version, "berthtwo"+version, fmt.Sprintf(composeTwo, subnet))
			c.run("up", "-d")
			c.answers("web", "8080", "hello from db\n")
			worker, web, visitor := c.container("worker", 1), c.container("web", 1), c.container("visitor", 1)
			for _, name := range []string{"db", "store", "linked", c.project + "_db_1", c.container("db", 1)[:12]} {
				c.docker.equal(name, strings.Join(c.lookup(worker, name), " "), subnet+".10")
			}
			c.knows(visitor, "web", 1)
			for _, name := range []string{"db", "store", "worker"} {
				c.knows(visitor, name, 0)
			}
			c.knows(web, "linked", 0)
			c.run("scale", "worker=3")
			c.knows(web, "worker", 3)
			c.run("scale", "-t", "0", "worker=1")
			c.knows(web, "worker", 1)
			c.run("up", "-d", "--force-recreate", "-t", "0")
			c.answers("web", "8080", "hello from db\n")
			c.docker.equal("the volume is kept", c.docker.run("exec", c.container("db", 1), "cat", "/data/starts"), "started\nstarted")
			c.run("stop", "-t", "0")
			c.run("start")
			c.answers("web", "8080", "hello from db\n")
			c.docker.equal("after stop and start", strings.Join(c.lookup(c.container("worker", 1), "store"), " "), subnet+".10")
			c.run("down", "-v", "-t", "0")
			c.gone()
		})
	}
}

// Names are served again by the daemon that follows a killed one, and follow
// renames and connections at once.
func TestNamesAfterKill(t *testing.T) {
	t.Parallel()
	e := startOwn(t, "berthtest4", "10.213.11.1/24")
	before := e.steady()
	d := newDocker(t, e.Host(), "1.23")
	c := &compose{t: t, docker: d}
	d.run("network", "create", "one")
	d.run("network", "create", "two")
	d.run("run", "-d", "--name", "asker", "--net", "one", "busybox", "sleep", "1000")
	d.run("run", "-d", "--name", "target", "--net", "one", "--net-alias", "aim", "busybox", "sleep", "1000")
	d.run("run", "-d", "--name", "plain", "busybox", "sleep", "1000")
	c.knows("asker", "target", 1)
	e.Kill()
	e.comesBack()
	c.knows("asker", "target", 1)
	c.knows("asker", "aim", 1)
	d.run("rename", "target", "renamed")
	c.knows("asker", "renamed", 1)
	c.knows("asker", "target", 0)
	d.run("network", "disconnect", "one", "renamed")
	c.knows("asker", "renamed", 0)
	d.run("network", "connect", "--alias", "again", "one", "renamed")
	c.knows("asker", "again", 1)
	d.lacks("resolv.conf before", d.run("exec", "plain", "cat", "/etc/resolv.conf"), `127\.0\.0\.11`)
	d.run("network", "connect", "two", "plain")
	d.run("network", "connect", "two", "asker")
	d.matches("resolv.conf after", d.run("exec", "plain", "cat", "/etc/resolv.conf"), `(?m)^nameserver 127\.0\.0\.11$`)
	c.knows("plain", "asker", 1)
	c.knows("asker", "plain", 1)
	c.knows("plain", "renamed", 0)
	d.run("rm", "-f", "asker", "renamed", "plain")
	d.run("network", "rm", "one")
	d.run("network", "rm", "two")
	e.settles(before)
}
